/**
 * One service in full, at #/service/<name>: its last looks with everything that was seen, ninety days by the hour, its incidents.
 */

import { node, pill, write } from "./cards.js";
import { hoursGrid, latencies } from "./chart.js";
import * as server from "./server.js";
import { reasons, told as remedied } from "./repair.js";
import { story } from "./story.js";
import { clock, failure, moment, share, standing, took, worries } from "./words.js";

const DAY_MS = 86_400_000;
const LOOKS = 50;
const PHASES = { first_byte: "first byte" };

const iso = (ms) => new Date(ms).toISOString();

function part(title, ...children) {
  return node("section", "part", node("h3", "", title), ...children);
}

function facts(pairs) {
  const list = node("dl", "facts");
  for (const [name, value] of pairs)
    if (value !== null && value !== undefined && value !== "") list.append(node("dt", "", name), node("dd", "", String(value)));
  return list;
}

/** One look with everything it saw; headers and excerpt are somebody else's text. */
function look(seen, now) {
  const said = seen.failure ? `✕ ${failure(seen.failure.kind)}` : "● as expected";
  const summary = node("summary", "", node("time", "", moment(seen.at, now)), ` ${seen.check} `, node("b", "", said));
  summary.append(` ${[seen.status, took(seen.took_ms)].filter(Boolean).join(" · ")}`);
  const phases = Object.entries(seen.phases_ms).map(([phase, ms]) => `${PHASES[phase] ?? phase} ${took(ms)}`);
  const made = node(
    "details",
    "look",
    summary,
    facts([
      ["why", seen.failure && [seen.failure.phase.replaceAll("_", " "), seen.failure.detail].filter(Boolean).join(": ")],
      ["phases", phases.join(", ")],
      ["certificate until", seen.certificate_expires_at && moment(seen.certificate_expires_at, now)],
      ["redirects", seen.redirects || null],
      ...Object.entries(seen.headers),
    ]),
  );
  made.dataset.state = seen.failure ? "down" : "up";
  if (seen.excerpt) {
    const excerpt = node("pre", "", seen.excerpt);
    excerpt.tabIndex = 0;
    made.append(excerpt);
  }
  return made;
}

export class Details {
  #name = null;
  #forget = () => {};

  constructor(dialog, fleet) {
    this.dialog = dialog;
    this.fleet = fleet;
    this.title = dialog.querySelector("#details-title");
    this.state = dialog.querySelector("#details-state");
    this.body = dialog.querySelector("#details-body");
    this.standing = node("p", "dim");
    dialog.querySelector("#details-close").onclick = () => dialog.close();
    dialog.addEventListener("close", () => this.#closed());
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    addEventListener("hashchange", () => this.#route());
  }

  /** Services changed; the address may name one that has only now become known. */
  changed(names) {
    if (this.#name === null) return this.#route();
    const service = this.fleet.services.get(this.#name);
    if (!service) this.dialog.close();
    else if (names.size === 0 || names.has(this.#name)) this.#head(service);
  }

  #route() {
    const wanted = /^#\/service\/(.+)$/.exec(location.hash);
    const name = wanted && decodeURIComponent(wanted[1]);
    if (name === this.#name) return;
    if (!wanted) return void (this.dialog.open && this.dialog.close());
    const service = this.fleet.services.get(name);
    if (service) this.#open(service);
  }

  #closed() {
    this.#forget();
    this.#forget = () => {};
    const name = this.#name;
    this.#name = null;
    this.body.replaceChildren();
    if (location.hash.startsWith("#/service/")) history.replaceState(null, "", location.pathname + location.search);
    document.querySelector(`[data-service="${CSS.escape(name ?? "")}"] .more`)?.focus({ preventScroll: true });
  }

  #head(service) {
    const now = server.now();
    write(this.title, service.title);
    if (this.state.dataset.state !== service.state) {
      this.state.dataset.state = service.state;
      this.state.replaceChildren(pill(service.state));
    }
    const { said, why } = standing(service, now);
    const ending = service.checked_at ? ` · last looked at ${clock(service.checked_at)}` : "";
    write(this.standing, `${said}${why ? ` · ${why}` : ""}${ending}`);
  }

  /** Looks are told oldest first: those of the strip are the ones to ask for. */
  #since({ strip }, now) {
    return strip.at ? Date.parse(strip.at) - (strip.ago_s.at(-LOOKS) ?? strip.ago_s[0]) * 1000 - 1000 : now - DAY_MS;
  }

  async #open(service) {
    this.#forget();
    const name = (this.#name = service.name);
    this.#head(service);
    const url = node("a", "", service.url);
    // Only what is plainly a web address becomes a link.
    if (/^https?:\/\//i.test(service.url)) Object.assign(url, { href: service.url, target: "_blank", rel: "noopener noreferrer" });
    const up = facts([
      ["24 hours", share(service.uptime["24h"])],
      ["7 days", share(service.uptime["7d"])],
      ["30 days", share(service.uptime["30d"])],
      ["90 days", share(service.uptime["90d"])],
    ]);
    up.classList.add("row");
    const past = node("div", "", node("p", "dim", "Asking the keeper…"));
    this.body.replaceChildren(node("p", "", url), this.standing, up, past);
    if (!this.dialog.open) this.dialog.showModal();

    const now = server.now();
    const isBad = worries(service.state);
    const asked = await Promise.allSettled([
      server.observations(name, { since: iso(now - 90 * DAY_MS), until: iso(now), resolution: "hour" }),
      server.incidents({ service: name, limit: 10 }),
      server.observations(name, { since: iso(this.#since(service, now)), until: iso(now), resolution: "raw", limit: 1000 }),
      isBad ? server.diagnosis(name) : null,
      server.remedy(name),
    ]);
    if (this.#name !== name) return;
    const [hours, incidents, looks] = asked.map(({ value }) => value?.items ?? null);
    const known = asked[3].value;
    const { run } = asked[4].value ?? {};
    const unread = asked.find(({ status }) => status === "rejected");
    const made = [];
    if (unread) made.push(node("p", "problem", `▲ ${unread.reason.message}`));
    if (known?.causes?.length) made.push(part("Why", ...reasons(known)));
    const chart = node("div", "chart");
    if (hours?.length) {
      const legend = node("p", "dim key", "a column for each day, midnight on top; a larger square is an hour with a failure");
      made.push(part("90 days by the hour", hoursGrid(hours, now), legend), part("How fast it answers", chart));
    } else if (hours) made.push(part("90 days by the hour", node("p", "dim", "No whole hour is known yet.")));
    if (run) made.push(part("Last repair", ...remedied(run, now)));
    if (incidents) {
      const told = incidents.map((incident) => story(incident, moment(incident.opened_at, now), now, service.state));
      made.push(part("Incidents", ...(told.length ? told : [node("p", "dim", "None.")])));
    }
    if (looks) {
      const newest = looks.slice(-LOOKS).reverse().map((seen) => look(seen, now));
      made.push(part("Last looks", ...(newest.length ? newest : [node("p", "dim", "None yet.")])));
    }
    past.replaceChildren(...made);
    if (hours?.length) {
      const answered = hours.filter(({ p50_ms }) => p50_ms !== null);
      if (answered.length < 2) {
        const [{ p50_ms, p95_ms } = {}] = answered;
        const so = answered.length ? `Half of them within ${took(p50_ms)}, 95 % within ${took(p95_ms)}` : "Nothing is known yet";
        chart.replaceChildren(node("p", "dim", `${so}; a line needs two hours.`));
        return;
      }
      try {
        const forget = await latencies(chart, hours);
        if (this.#name === name && chart.isConnected) this.#forget = forget;
        else forget();
      } catch {
        chart.replaceChildren(node("p", "dim", "The chart could not be loaded."));
      }
    }
  }
}
