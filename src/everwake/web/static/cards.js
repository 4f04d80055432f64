/**
 * The cards: one for each service, made once, moved and changed where it differs, drawn when it comes near the screen.
 *
 * Text of services is only ever put in as text, never as markup.
 */

import { drawLine, drawStrip, lookAt, newLine, newStrip } from "./draw.js";
import { now } from "./server.js";
import { STATES, clock, evidence, heartbeat, share, standing, strip, took, worries } from "./words.js";

const ALL_AT_ONCE = 40; // more cards than this are filled only when they come near the screen
const MANY = 6; // if more than this are not as they should be, none of them takes the whole width
const COMPACT_FROM = 25; // with more services than this, those that are well take little room

/** node("p", "dim", "text", child, ..) */
export function node(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Write only what differs: a screen reader and a selection are left in peace. */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function pill(state) {
  const { glyph, word } = STATES[state] ?? STATES.unknown;
  const icon = node("span", "", glyph);
  icon.setAttribute("aria-hidden", "true");
  const made = node("span", "pill", icon, ` ${word}`);
  made.dataset.state = state;
  return made;
}

export function button(label, about) {
  const made = node("button", "", label);
  made.type = "button";
  if (about) made.setAttribute("aria-label", `${label}: ${about}`);
  return made;
}

class Card {
  isNear = false;
  #parts = null;
  #drawn = null;

  constructor(service, acts) {
    this.service = service;
    this.acts = acts;
    this.node = node("article", "card");
    this.node.dataset.service = service.name;
    this.name = node("h3", "name", service.title);
    this.name.id = `card-${service.name}`;
    this.node.setAttribute("aria-labelledby", this.name.id);
    this.top = node("div", "top", this.name);
    this.node.append(this.top);
    this.label();
  }

  /** What stands on a card that is far from the screen too: name and state. */
  label() {
    const { state, title } = this.service;
    write(this.name, title);
    if (this.node.dataset.state !== state) {
      this.node.dataset.state = state;
      this.node.classList.toggle("wide", worries(state));
      this.pill?.remove();
      this.pill = pill(state);
      this.top.append(this.pill);
    }
  }

  #fill() {
    const { name, title } = this.service;
    const number = (label) => {
      const value = node("dd");
      numbers.append(node("div", "", node("dt", "", label), value));
      return value;
    };
    const numbers = node("dl", "numbers");
    const parts = {
      url: node("p", "dim url"),
      said: node("span"),
      why: node("b"),
      evidence: node("div", "evidence"),
      label: node("p", "dim"),
      quote: node("pre"),
      more: node("ul", "told"),
      latency: node("b"),
      line: newLine(),
      strip: newStrip(),
      ping: button("Ping now", title),
      fix: button("Fix", title),
      details: node("a", "more", "Details"),
      day: number("24 h"),
      month: number("30 d"),
      beat: number("heartbeat"),
    };
    parts.evidence.append(parts.label, parts.quote, parts.more);
    parts.details.href = `#/service/${encodeURIComponent(name)}`;
    parts.details.setAttribute("aria-label", `Details: ${title}`);
    parts.ping.onclick = () => this.acts.ping(this.service.name, parts.ping);
    parts.fix.classList.add("main");
    parts.fix.setAttribute("aria-haspopup", "dialog");
    parts.fix.onclick = () => this.acts.fix(this.service);
    parts.strip.onpointermove = (event) => this.#name(event);
    this.node.append(
      parts.url,
      node("p", "dim said", parts.said, parts.why),
      parts.evidence,
      node(
        "div",
        "measures",
        node("div", "latency", node("span", "dim", "latency"), parts.latency, parts.line),
        numbers,
      ),
      parts.strip,
      node("div", "acts", parts.ping, parts.fix, parts.details),
    );
    this.#parts = parts;
  }

  /** Everything that changes with the service. */
  draw() {
    if (!this.isNear) return;
    if (!this.#parts) this.#fill();
    const { service } = this;
    const parts = this.#parts;
    if (this.#drawn !== service) {
      this.#drawn = service;
      write(parts.url, service.url.replace(/^https?:\/\//, ""));
      this.evidence();
      write(parts.latency, took(service.latency_ms));
      write(parts.day, share(service.uptime["24h"]));
      write(parts.month, share(service.uptime["30d"]));
      drawLine(parts.line, service.strip.ms);
      drawStrip(parts.strip, service.strip.states);
      parts.strip.setAttribute("aria-label", strip(service.strip));
      const isBad = worries(service.state);
      parts.fix.hidden = !isBad;
      write(parts.details, isBad ? "Why?" : "Details");
      parts.details.setAttribute("aria-label", `${isBad ? "Why?" : "Details"}: ${service.title}`);
      parts.ping.classList.toggle("busy", service.checking);
      write(parts.ping, service.checking ? "Looking…" : "Ping now");
    }
    this.tick();
  }

  /** What was seen, out of the service and its open incident. */
  evidence() {
    if (!this.#parts) return;
    const parts = this.#parts;
    parts.evidence.hidden = !this.service.failure || !worries(this.service.state);
    if (parts.evidence.hidden) return;
    const { label, quote, marked, more } = evidence(this.service, this.acts.incidentOf(this.service));
    write(parts.label, label);
    parts.quote.hidden = !quote;
    if (parts.quote.textContent !== quote || Boolean(parts.quote.querySelector("mark")) !== Boolean(marked)) {
      const at = marked ? quote.lastIndexOf(marked) : -1;
      if (at < 0) parts.quote.replaceChildren(quote);
      else parts.quote.replaceChildren(quote.slice(0, at), node("mark", "", marked), quote.slice(at + marked.length));
    }
    parts.more.hidden = !more.length;
    if (parts.more.textContent !== more.join("")) parts.more.replaceChildren(...more.map((text) => node("li", "", text)));
  }

  /** What changes by itself, once a second. */
  tick() {
    if (!this.#parts) return;
    const { said, why } = standing(this.service, now());
    write(this.#parts.said, why ? `${said} · ` : said);
    write(this.#parts.why, why ?? "");
    write(this.#parts.beat, heartbeat(this.service.heartbeat, now()));
  }

  /** The look under the pointer, as a tooltip. */
  #name(event) {
    const { at, ago_s, states, ms } = this.service.strip;
    const index = lookAt(event.currentTarget, states, event.clientX);
    const title = index === null ? "" : describe(at, ago_s[index], states[index], ms[index]);
    if (event.currentTarget.dataset.title === title) return;
    event.currentTarget.dataset.title = title;
    event.currentTarget.querySelector("title")?.remove();
    const made = document.createElementNS("http://www.w3.org/2000/svg", "title");
    made.textContent = title;
    event.currentTarget.append(made);
  }
}

function describe(at, ago_s, letter, ms) {
  const state = Object.values(STATES).find((one) => one.letter === letter) ?? STATES.unknown;
  return `${clock(Date.parse(at) - ago_s * 1000)} ${state.glyph} ${state.word}${ms === null ? "" : ` ${took(ms)}`}`;
}

export class Cards {
  #cards = new Map(); // name -> Card
  #sections = new Map(); // key -> {node, heading, list}
  #near = new Set();
  #watcher;

  constructor(root, acts) {
    this.root = root;
    this.acts = acts;
    this.#watcher = new IntersectionObserver((entries) => this.#saw(entries), { rootMargin: "600px 0px" });
  }

  #saw(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = this.#cards.get(target.dataset.service);
      if (!card || card.node !== target) continue;
      card.isNear = isIntersecting;
      if (isIntersecting) this.#near.add(card);
      else this.#near.delete(card);
      card.draw();
    }
  }

  /** Put every card where it belongs; what is gone from the fleet goes. */
  arrange(sections, fleet) {
    for (const [name, card] of this.#cards) {
      if (fleet.services.has(name)) continue;
      this.#watcher.unobserve(card.node);
      this.#near.delete(card);
      card.node.remove();
      this.#cards.delete(name);
    }
    this.root.classList.toggle("compact", fleet.services.size > COMPACT_FROM);
    const focused = document.activeElement;
    let at = 0;
    for (const { key, heading, services } of sections) {
      const section = this.#section(key);
      write(section.heading, heading ?? "");
      section.heading.hidden = !heading;
      section.node.classList.toggle("many", key === "worrying" && services.length > MANY);
      place(this.root, section.node, at++);
      let n = 0;
      for (const service of services) place(section.list, this.#card(service, fleet).node, n++);
      while (section.list.children.length > n) section.list.lastChild.remove();
    }
    while (this.root.childNodes.length > at) this.root.lastChild.remove();
    // A card that moved took the focus along with it, but the browser let it go.
    if (focused !== document.activeElement && focused?.isConnected && this.root.contains(focused)) focused.focus({ preventScroll: true });
  }

  #section(key) {
    if (!this.#sections.has(key)) {
      const section = { node: node("section"), heading: node("h2", "group"), list: node("div", "list") };
      section.node.append(section.heading, section.list);
      this.#sections.set(key, section);
    }
    return this.#sections.get(key);
  }

  #card(service, fleet) {
    let card = this.#cards.get(service.name);
    if (!card) {
      card = new Card(service, this.acts);
      this.#cards.set(service.name, card);
      if (fleet.services.size <= ALL_AT_ONCE) {
        card.isNear = true;
        this.#near.add(card);
        card.draw();
      } else this.#watcher.observe(card.node);
    } else this.update(service);
    return card;
  }

  /** Draw one service anew where it differs. */
  update(service) {
    const card = this.#cards.get(service.name);
    if (!card || card.service === service) return;
    card.service = service;
    card.label();
    card.draw();
  }

  /** An incident changed, and with it what is known of why. */
  evidence(name) {
    const card = this.#cards.get(name);
    if (card?.isNear) card.evidence();
  }

  tick() {
    for (const card of this.#near) card.tick();
  }
}

/** Make `child` the child number `at` of `parent`; one that stands there already is left in peace. */
function place(parent, child, at) {
  const there = parent.childNodes[at];
  if (there !== child) parent.insertBefore(child, there ?? null);
}
