/**
 * Mending a service from the page: the plan first, a yes, then how it goes, step by step. And the big red switch.
 */

import { node, write } from "./cards.js";
import * as server from "./server.js";
import { moment } from "./words.js";

const POLL_MS = 1_000;
const ENDED = ["proved", "unproved", "failed", "dropped"];
const SAID = {
  asked: "It waits for a yes.",
  running: "Under way…",
  proving: "Done. The checks look whether it helped…",
  proved: "● Repaired, and proved.",
  unproved: "▲ All was done, and it is not shown to be well.",
  failed: "✕ It could not be carried out.",
  dropped: "■ Nothing more is done about it.",
};
const MARKS = { planned: "○", intended: "◐", done: "✓", failed: "✕", unknown: "?" };
const WORDS = { planned: "to come", intended: "under way", done: "done", failed: "failed", unknown: "not shown" };

/** What is known of why, as nodes. diagnosis: of the API; its texts are somebody else's. */
export function reasons({ causes, ruled_out, variables }) {
  const made = [];
  for (const { cause, sure, evidence, next } of causes.slice(0, 3)) {
    const name = node("b", "", cause.replaceAll("_", " "));
    const told = node("ul", "told");
    for (const { from, quote } of evidence.slice(0, 5)) told.append(node("li", "", `${from}: ${quote}`));
    made.push(node("p", "", name, sure === null ? "" : ` · ${Math.round(sure * 100)} % sure`), told);
    if (next) made.push(node("p", "", `Next: ${next}`));
  }
  for (const { key, problem, column, fix } of variables.slice(0, 8))
    made.push(node("p", "", node("b", "", key), `${column ? `, column ${column}` : ""}: ${problem.replaceAll("_", " ")} · ${fix}`));
  if (ruled_out.length) {
    const list = node("ul", "told");
    for (const { cause, why } of ruled_out) list.append(node("li", "", `${cause.replaceAll("_", " ")}: ${why}`));
    made.push(node("details", "", node("summary", "dim", `Ruled out: ${ruled_out.length}`), list));
  }
  return made;
}

function steps(list) {
  const made = node("ol", "steps");
  for (const { says, state = "planned", said } of list) {
    const mark = node("span", "mark", MARKS[state] ?? "○");
    mark.setAttribute("aria-hidden", "true");
    const item = node("li", "", mark, node("span", "", node("span", "unseen", `${WORDS[state] ?? state}: `), says, said ? ` · ${said}` : ""));
    item.dataset.step = state;
    made.append(item);
  }
  return made;
}

/** A remedy with its steps and what proved it, as nodes. */
export function told(run, now) {
  const about = run.about ? ` (${run.about})` : "";
  const made = [
    node("p", "", node("b", "", run.cause.replaceAll("_", " ")), ` · ${run.why}`),
    node("h3", "", `${run.remedy}${about}`),
    steps(run.steps),
  ];
  for (const [title, proof] of [["What the checks saw after it", run.proof], ["The seven criteria, while it was watched on", run.soak]]) {
    const shown = (proof?.criteria ?? []).map(({ name, met, said }) => ({
      says: name.replaceAll("_", " "),
      state: met ? "done" : met === null ? "unknown" : "failed",
      said,
    }));
    if (shown.length) made.push(node("h3", "", title), steps(shown));
  }
  if (run.outcome) made.push(node("p", "problem", run.outcome));
  made.push(node("p", "dim", `Begun by ${run.by}${run.began_at ? `, ${moment(run.began_at, now)}` : ""}.`));
  return made;
}

export class Repair {
  #name = null;
  #timer = 0;

  constructor(dialog) {
    this.dialog = dialog;
    this.title = dialog.querySelector("#repair-title");
    this.body = dialog.querySelector("#repair-body");
    this.said = dialog.querySelector("#repair-said");
    this.yes = dialog.querySelector("#repair-yes");
    this.no = dialog.querySelector("#repair-no");
    this.no.onclick = () => dialog.close();
    this.yes.onclick = () => this.#begin();
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.#closed());
  }

  async open(service) {
    const name = (this.#name = service.name);
    write(this.title, `Fix ${service.title}`);
    this.body.replaceChildren(node("p", "dim", "Asking the keeper what would mend it…"));
    this.#say("");
    this.#offer(false, "Close");
    if (!this.dialog.open) this.dialog.showModal();
    this.no.focus();
    try {
      const { run } = await server.remedy(name);
      if (run && ["running", "proving"].includes(run.state)) return this.#follow(name, run);
      const planned = await server.plan(name);
      if (this.#name === name) this.#show(planned);
    } catch (trouble) {
      if (this.#name === name) this.body.replaceChildren(node("p", "problem", `▲ ${trouble.message}`));
    }
  }

  #show({ decision, well, why, next, plan, refused }) {
    const made = [];
    if (decision === "wait") made.push(node("p", "", `${well ? "Nothing is to be done" : "It is given time"}: ${why.replace(/\.$/, "")}.`));
    else if (!plan) made.push(node("p", "", "This needs a person. ", why), ...(next ? [node("p", "", node("b", "", "Next: "), next)] : []));
    else {
      const about = plan.about ? ` (${plan.about})` : "";
      made.push(node("p", "", node("b", "", plan.cause.replaceAll("_", " ")), ` · ${plan.why}`));
      made.push(node("h3", "", `${plan.remedy}${about}`), steps(plan.steps));
      made.push(node("p", "dim", `It costs ${plan.costs}. It is proved when ${plan.proved_by}.`));
      if (refused) made.push(node("p", "problem", `▲ Not now: ${refused}.`));
    }
    this.body.replaceChildren(...made);
    this.#offer(Boolean(plan) && !refused, plan && !refused ? "Leave it" : "Close");
    if (!this.yes.hidden) this.yes.focus();
  }

  async #begin() {
    const name = this.#name;
    this.yes.disabled = true;
    this.#say("Beginning…");
    try {
      const { run } = await server.mend(name);
      if (this.#name === name) this.#follow(name, run);
    } catch (trouble) {
      if (this.#name !== name) return;
      this.#say(`▲ ${trouble.message}`);
      this.yes.disabled = false;
    }
  }

  #follow(name, run) {
    if (this.#name !== name) return;
    this.#offer(false, "Close");
    this.#draw(run);
    this.no.focus();
    if (ENDED.includes(run.state)) return;
    this.#timer = setTimeout(async () => {
      try {
        const told = await server.remedy(name);
        this.#follow(name, told.run?.id === run.id ? told.run : run);
      } catch {
        this.#follow(name, run); // the keeper is asked again; what has begun goes on without the page
      }
    }, POLL_MS);
  }

  #draw(run) {
    if (this.drawn !== JSON.stringify(run)) this.body.replaceChildren(...told(run, server.now()));
    this.drawn = JSON.stringify(run);
    this.#say(SAID[run.state] ?? run.state);
  }

  #offer(isOffered, other) {
    this.yes.hidden = !isOffered;
    this.yes.disabled = false;
    write(this.no, other);
  }

  #say(text) {
    write(this.said, text);
  }

  #closed() {
    clearTimeout(this.#timer);
    const name = this.#name;
    this.#name = this.drawn = null;
    document.querySelector(`[data-service="${CSS.escape(name ?? "")}"] .acts button:not([hidden])`)?.focus({ preventScroll: true });
  }
}

/** The red switch in the head of the page. act: does something for a button and says what went wrong. */
export class RedSwitch {
  #isStopped = false;

  constructor(target, act) {
    this.button = target;
    target.onclick = () => act(target, () => server.repairs(!this.#isStopped));
  }

  /** repairs: {stopped, by, at} of the fleet; isLive: whether the keeper is there to be told. */
  draw(repairs, isLive) {
    this.#isStopped = Boolean(repairs?.stopped);
    write(this.button, this.#isStopped ? "Allow repairs" : "Stop repairs");
    this.button.title = this.#isStopped ? "Repairs may begin again" : "Nothing is repaired any more until somebody allows it again";
    this.button.dataset.stopped = String(this.#isStopped);
    this.button.disabled = !isLive || !repairs;
  }

  /** A line for the banner, or null. */
  static told(repairs) {
    return repairs?.stopped ? `■ All repairs were stopped${repairs.by ? ` by ${repairs.by}` : ""}. Nothing is mended until they are allowed again.` : null;
  }
}
