/**
 * Incidents as stories, in order: seen, why and how sure, what was done, what proved it.
 */

import { node, write } from "./cards.js";
import { moment, span, whatFailed } from "./words.js";

const SHOWN = 4;
const PAST = 5;

/** The steps of one incident: [{at, kind, text, strong}]. at: null where only the order is known. state: of the service now. Pure. */
export function steps({ opened_at, closed_at, cause, first, flaps, actions, proof, diagnosis, parent }, state) {
  const story = [];
  const add = (at, kind, text, strong = "") => story.push({ at, kind, text, strong });
  if (first?.failure) {
    const { detail } = first.failure;
    add(opened_at, "down", `${first.check}: ${whatFailed(first.failure, first.status)}${detail ? ` (${detail})` : ""}`);
  } else add(opened_at, "down", "not as it should be any more");
  if (parent) add(null, "waking", "it follows from what it depends on");
  const known = diagnosis?.causes?.[0];
  const named = cause ?? (known && known.cause !== "unknown" ? known.cause : null);
  if (named) add(null, "down", known?.sure ? ` · ${Math.round(known.sure * 100)} % sure` : "", named);
  if (flaps) add(null, "waking", `came back and fell again ${flaps === 1 ? "once" : `${flaps} times`}`);
  for (const { at, remedy, step, outcome } of actions) add(at, "waking", ` · ${step}: ${outcome}`, remedy);
  // What the checks saw after a remedy; a remedy never says by itself that it has helped.
  for (const { name, met, said } of proof?.criteria ?? [])
    add(null, met ? "up" : "down", ` · ${said}`, `${met ? "✓" : "✕"} ${name.replaceAll("_", " ")}`);
  if (closed_at) add(closed_at, "up", proof?.proved ? "back, and proved" : "back");
  else if (state === "up") add(null, "up", proof?.proved ? "up again, and proved; it is over when that lasts" : "up again; it is over when that lasts");
  return story;
}

export function story(incident, title, now, state) {
  const open = !incident.closed_at;
  const lasted = span((open ? now : Date.parse(incident.closed_at)) - Date.parse(incident.opened_at));
  const list = node("ol", "story");
  for (const { at, kind, text, strong } of steps(incident, state)) {
    const item = node("li", "");
    item.dataset.state = kind;
    if (at) {
      const time = node("time", "", moment(at, now));
      time.dateTime = at;
      item.append(time, " ");
    }
    item.append(...(strong ? [node("b", "", strong)] : []), text);
    list.append(item);
  }
  const lastedNode = node("span", "dim lasted", open ? `open · ${lasted}` : lasted);
  if (open) lastedNode.dataset.since = incident.opened_at;
  return node("article", "incident", node("div", "title", node("h3", "", title), lastedNode), list);
}

export class Stories {
  constructor(root, count) {
    this.root = root;
    this.count = count;
    this.past = [];
  }

  /** open: incidents, oldest first.   services: by name. */
  draw(open, services, now) {
    const titleOf = (name) => services.get(name)?.title ?? name;
    const newest = [...open].reverse();
    // What follows from another incident is told there, in a line.
    const own = newest.filter(({ parent }) => !parent || !open.some(({ id }) => id === parent));
    const made = own.slice(0, SHOWN).map((incident) => {
      const told = story(incident, titleOf(incident.service), now, services.get(incident.service)?.state);
      const also = newest.filter(({ parent }) => parent === incident.id).map(({ service }) => titleOf(service));
      if (also.length) told.append(node("p", "dim", `Because of it: ${also.slice(0, 6).join(", ")}${also.length > 6 ? " and others" : ""}.`));
      return told;
    });
    if (own.length > SHOWN) made.push(node("p", "dim", `and ${own.length - SHOWN} more that are open.`));
    if (!open.length) made.push(node("p", "dim", this.past.length ? "None is open." : "None yet."));
    if (this.past.length && open.length < SHOWN) {
      const list = node("ul", "past");
      for (const one of this.past.slice(0, PAST)) {
        const time = node("time", "", moment(one.opened_at, now));
        time.dateTime = one.opened_at;
        const lasted = span(Date.parse(one.closed_at) - Date.parse(one.opened_at));
        list.append(node("li", "", time, ` ${titleOf(one.service)}, ${lasted}${one.cause ? ` · ${one.cause}` : ""}`));
      }
      made.push(node("h3", "dim", "Before"), list);
    }
    this.root.replaceChildren(...made);
    write(this.count, open.length ? `${open.length} open` : "");
  }

  tick(now) {
    for (const one of this.root.querySelectorAll("[data-since]"))
      write(one, `open · ${span(now - Date.parse(one.dataset.since))}`);
  }
}

