/**
 * Brings the page together: events in, one drawing for each frame out. It shows what the keeper does and keeps nothing alive itself.
 */

import { Activity } from "./activity.js";
import { Cards, button, node, write } from "./cards.js";
import { Details } from "./details.js";
import { Fleet } from "./fleet.js";
import { Hours } from "./hours.js";
import { listen } from "./line.js";
import { RedSwitch, Repair } from "./repair.js";
import * as server from "./server.js";
import { Stories } from "./story.js";
import { STATES, clock, countdown } from "./words.js";

const TOOLS_FROM = 8; // with fewer services than this there is nothing to search
const HIDDEN_MS = 1_000;
const REARRANGE_MS = 1_000; // at most so often do cards change places, so that nothing jumps from under a finger

const $ = (id) => document.getElementById(id);

const fleet = new Fleet();
const filter = { text: "", state: null };
const cards = new Cards($("cards"), {
  ping: (name, by) => act(by, () => server.ping(name)),
  fix: (service) => repair.open(service),
  incidentOf: ({ incident }) => fleet.incidents.get(incident),
});
const stories = new Stories($("stories"), $("incidents-count"));
const activity = new Activity($("log"));
const details = new Details($("details"), fleet);
const repair = new Repair($("repair"));
const red = new RedSwitch($("repairs"), (by, call) => act(by, call));

let isLive = null; // null: not yet
let lostAt = null;
let failed = null; // what a button was answered with

// --- drawing: collected, and done once for each frame ---------------------------------------------------------------

const due = { all: false, head: false, incidents: false, place: false, services: new Set(), known: new Set(), lines: [], skipped: 0 };
let isDue = false; // a drawing is to come
let placedAt = -REARRANGE_MS;
let later = 0;

function soon() {
  if (isDue) return;
  // A tab nobody sees gets no frames; its title still tells how things stand.
  if (document.hidden) setTimeout(draw, HIDDEN_MS);
  else requestAnimationFrame(draw);
  isDue = true;
}

document.addEventListener("visibilitychange", () => isDue && draw());

function draw() {
  isDue = false;
  if (!fleet.head) return;
  const { all, head, incidents, services, known, lines, skipped } = due;
  Object.assign(due, { all: false, head: false, incidents: false, services: new Set(), known: new Set(), lines: [], skipped: 0 });
  if (all) activity.replace(fleet.lines);
  else if (lines.length) activity.add(lines, skipped);
  if (all || incidents) stories.draw([...fleet.incidents.values()], fleet.services, server.now());
  if (!all) for (const name of services) cards.update(fleet.services.get(name));
  if (!all) for (const name of known) cards.evidence(name);
  if (all || due.place) place(all);
  if (all || head) drawHead();
  if (all || services.size) details.changed(services);
  if (all) performance.mark("everwake shown");
}

function place(atOnce) {
  const wait_ms = placedAt + REARRANGE_MS - performance.now();
  if (!atOnce && wait_ms > 0) {
    later ||= setTimeout(() => {
      later = 0; // it may come a moment early, and then waits once more
      soon();
    }, wait_ms);
    return;
  }
  clearTimeout(later);
  later = 0;
  due.place = false;
  placedAt = performance.now();
  const sections = fleet.sections(filter);
  cards.arrange(sections, fleet);
  const count = sections.reduce((sum, { services }) => sum + services.length, 0);
  if (!fleet.services.size) $("cards").replaceChildren(empty());
  else if (!count) $("cards").replaceChildren(node("p", "panel dim", "No service is like that."));
  write($("found"), filter.text || filter.state ? `${count} of ${fleet.services.size}` : "");
}

function empty() {
  const text = node("p", "dim", "Write a service into everwake.toml; the keeper takes it up by itself. The least it needs:");
  const example = node("pre", "", '[[service]]\nname = "chatbot"\nurl = "https://chatbot.example.com"');
  return node("div", "panel", node("h2", "", "Nothing to watch yet"), text, example);
}

function drawHead() {
  const { name, sentence, state, monitoring, counts } = fleet.head;
  const count = fleet.services.size;
  const bad = counts.down ?? 0;
  const glyph = isLive === false ? "?" : (STATES[state] ?? STATES.unknown).glyph;
  const said = isLive === false ? `The keeper cannot be reached; this is how things stood at ${clock(lostAt)}.` : sentence;
  write($("sentence"), said);
  write($("fleet-name"), name);
  write($("fleet-count"), ` · ${count.toLocaleString("en")} ${count === 1 ? "service" : "services"}`);
  document.title = `${glyph} ${bad ? `${bad} down · ` : ""}${name} · Everwake`;
  document.body.classList.toggle("lost", isLive === false);
  write($("activity-live"), isLive === false ? "" : "live");
  enable($("start"), isLive !== false && !monitoring, $("stop"));
  enable($("stop"), isLive !== false && monitoring, $("start"));
  enable($("ping-all"), isLive !== false && count > 0);
  red.draw(fleet.head.repairs, isLive !== false);
  drawBanner();
  drawTools(counts, count);
  drawCountdown();
}

/** instead: where the focus goes when this button is switched off under it. */
function enable(target, isEnabled, instead) {
  if (target.disabled === !isEnabled) return;
  const hadFocus = document.activeElement === target;
  target.disabled = !isEnabled;
  if (hadFocus && instead) setTimeout(() => instead.focus());
}

function drawBanner() {
  const lines = [];
  if (isLive === false) lines.push("◐ Reconnecting to the keeper. Nothing below is newer than that; the services are watched by the keeper, not by this page.");
  if (failed) lines.push(`▲ ${failed}`);
  const stopped = RedSwitch.told(fleet.head?.repairs);
  if (stopped && isLive !== false) lines.push(stopped);
  if (isLive !== false) for (const trouble of fleet.head?.trouble ?? []) lines.push(`▲ ${trouble}`);
  const banner = $("banner");
  banner.hidden = !lines.length;
  if ([...banner.children].map((one) => one.textContent).join("\n") !== lines.join("\n"))
    banner.replaceChildren(...lines.map((line) => node("p", "", line)));
}

function drawCountdown() {
  const next = isLive === false ? null : fleet.nextLook();
  const text = next === null ? "--" : countdown(next - server.now());
  write($("countdown"), text === "--" || text === "now" ? text : `in ${text}`);
}

function drawTools(counts, count) {
  $("tools").hidden = count < TOOLS_FROM;
  if (count < TOOLS_FROM) return;
  const wanted = ["", ...Object.keys(STATES).filter((state) => counts[state] || filter.state === state)];
  const chips = $("states");
  if ([...chips.children].map((chip) => chip.value).join() !== wanted.join()) {
    const focused = document.activeElement?.value;
    const hadFocus = chips.contains(document.activeElement);
    chips.replaceChildren(
      ...wanted.map((state) => {
        const chip = button("");
        chip.value = state;
        chip.className = "chip";
        chip.dataset.state = state;
        return chip;
      }),
    );
    if (hadFocus) [...chips.children].find((chip) => chip.value === focused)?.focus();
  }
  for (const chip of chips.children) {
    const { glyph, word } = STATES[chip.value] ?? { glyph: "", word: "All" };
    write(chip, `${glyph} ${word} ${(chip.value ? (counts[chip.value] ?? 0) : count).toLocaleString("en")}`.trim());
    chip.setAttribute("aria-pressed", String((filter.state ?? "") === chip.value));
  }
}

// --- what people do ---------------------------------------------------------------------------------------------------

async function act(by, call) {
  if (by.classList.contains("busy")) return;
  by.classList.add("busy");
  failed = null;
  try {
    await call();
  } catch (trouble) {
    failed = trouble.message;
  }
  by.classList.remove("busy");
  drawBanner();
}

$("start").onclick = () => act($("start"), server.start);
$("stop").onclick = () => act($("stop"), server.stop);
$("ping-all").onclick = () => act($("ping-all"), server.pingAll);
$("tools").onsubmit = (event) => event.preventDefault();
$("search").oninput = () => filtered({ text: $("search").value });
$("states").onclick = ({ target }) => {
  if (target.matches(".chip")) filtered({ state: target.value && target.value !== filter.state ? target.value : null });
};

function filtered(change) {
  Object.assign(filter, change);
  drawTools(fleet.head.counts, fleet.services.size);
  place(true);
}

// --- what is heard ----------------------------------------------------------------------------------------------------

function heard(event, data) {
  const before = event === "service" ? fleet.services.get(data.name)?.state : null;
  const change = fleet.take(event, data);
  due.all ||= Boolean(change.all);
  due.head ||= Boolean(change.head);
  due.incidents ||= Boolean(change.incidents);
  if (event === "incident") due.known.add(data.service);
  if (change.service) {
    due.services.add(change.service);
    due.place ||= before !== data.state;
    due.incidents ||= before !== data.state && Boolean(data.incident);
  }
  if (change.lines) {
    due.lines.push(...change.lines);
    due.skipped += change.skipped;
  }
  if (change.all || (event === "incident" && data.closed_at)) readPast();
  soon();
}

function live(now) {
  if (now === isLive) return;
  isLive = now;
  if (now) server.health().catch(() => {}); // for its clock
  else lostAt = server.now();
  due.head = true;
  if (fleet.head) soon();
  else if (!now) write($("sentence"), "The keeper cannot be reached.");
}

let reading = null;
function readPast() {
  reading ??= server
    .incidents({ limit: 12 })
    .then(({ items }) => {
      stories.past = items.filter(({ closed_at }) => closed_at);
      due.incidents = true;
      soon();
    })
    .catch(() => {}) // the page says by itself when the history is in trouble
    .finally(() => (reading = null));
}

setInterval(() => {
  if (!fleet.head || document.hidden) return;
  drawCountdown();
  if (isLive === false) return;
  cards.tick();
  stories.tick(server.now());
}, 1_000);

new Hours($("free-hours")).keep();
listen({ heard, live, snapshot: () => fleet.head && fleet.snapshot() });
