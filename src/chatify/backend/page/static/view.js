/**
 * Draws what is known. Text from users and assistants is only ever put in as text, never as markup.
 *
 * A turn is drawn anew only when it changed; what ticks (how long waking takes) is written into the nodes that are there.
 */

import { isWaiting } from "./conversation.js";
import { GLYPHS, USUAL_WAKE_MS, refusalInWords, wakingFor } from "./words.js";

export const $ = (id) => document.getElementById(id);

const NEAR_PX = 80;

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Text as it was written; what stands between ``` fences in a fixed-width block that scrolls by itself. */
function written(text) {
  const node = element("div", "text");
  text.split(/^```[^\n`]*\n([\s\S]*?)(?:^```[^\S\n]*$|$(?![\s\S]))\n?/m).forEach((part, index) => {
    if (part === "") return;
    const block = element(index % 2 ? "pre" : "p", "", index % 2 ? part.replace(/\n$/, "") : part.replace(/^\n+|\n+$/g, ""));
    block.dir = index % 2 ? "ltr" : "auto";
    if (index % 2) block.tabIndex = 0; // what scrolls must be reachable by keyboard
    node.append(block);
  });
  return node;
}

function clock(ms) {
  const node = element("time", "", new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  node.dateTime = new Date(ms).toISOString();
  node.title = new Date(ms).toLocaleString();
  return node;
}

function button(label, act, id) {
  const node = element("button", "", label);
  node.type = "button";
  node.dataset.act = act;
  node.dataset.id = id;
  return node;
}

const unseen = (text) => element("span", "unseen", text);

const PROVIDERS = { offline: "offline talker, no AI" };

function reply(name, text, turn) {
  const node = element("li", "theirs", unseen(`${name} said: `), written(text));
  if (turn.state === "answered") {
    const about = [name, PROVIDERS[turn.provider] ?? turn.provider].filter(Boolean).join(" · ");
    node.append(element("p", "about", `${about} · `, clock(turn.repliedAt)));
  }
  return node;
}

/** isHeld: it cannot be sent just now. */
function question(turn, isHeld) {
  const node = element("li", "mine", unseen("You said: "), written(turn.text));
  const about = element("p", "about");
  if (turn.state === "sending") about.append(isHeld ? "○ Not sent yet" : "○ Sending");
  else if (turn.state === "failed") about.append("▲ Failed");
  else if (turn.state === "answered") about.append(clock(turn.at));
  else about.append("✓ Kept · ", clock(turn.at));
  node.append(about);
  return node;
}

/** What stands where the reply will be. isFirst: the first that waits; the others only say that they wait. */
function waiting(turn, name, isFirst) {
  if (turn.state !== "waking") {
    const dots = element("span", "dots", element("i"), element("i"), element("i"));
    dots.ariaHidden = "true";
    return element("li", "theirs pending", dots, element("span", "dim", isFirst ? `${name} is thinking` : "Waits its turn"));
  }
  if (!isFirst) return element("li", "theirs pending", element("span", "dim", "◐ Waits its turn"));
  const bar = element("div", "dawn", element("i"));
  bar.ariaHidden = "true";
  return element(
    "li", "theirs waking",
    element("p", "pill", "◐ Waking"),
    element("p", "", "The assistant was asleep and is starting now. Your message is kept and answered by itself; you may even close this page and come back."),
    bar,
    element("p", "dim elapsed"),
  );
}

function failure(turn) {
  const node = element("li", "theirs refused", element("p", "", `✕ ${refusalInWords(turn.problem ?? {})}`));
  const acts = element("p", "acts");
  if (turn.problem?.retry) acts.append(button("Try again", "retry", turn.id));
  acts.append(button("Edit and send anew", "edit", turn.id));
  node.append(acts);
  return node;
}

function over({ over, limit }) {
  const all = limit === null ? "all its replies" : `all its ${limit} replies`;
  const why = over === "limit" ? `This conversation has used ${all}.` : "This conversation has ended.";
  const node = element("li", "theirs ended", element("p", "", `■ ${why} It stays here to read.`));
  node.append(button("Start a new conversation", "new", ""));
  return node;
}

/** A list that shows turns. name: () => the assistant's. */
export function talkView(list, scroller, newest, name) {
  const shown = new Map(); // turn id -> { turn, look, nodes }
  let opening = null;
  let end = null; // what says that the conversation is over
  let follows = false; // the beginning is read from the top

  const isNearEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_PX;
  function toEnd() {
    follows = true;
    newest.hidden = true;
    scroller.scrollTop = scroller.scrollHeight;
  }
  scroller.addEventListener("scroll", () => {
    follows = isNearEnd();
    if (follows) newest.hidden = true;
  }, { passive: true });
  newest.addEventListener("click", () => {
    toEnd();
    $("message").focus();
  });
  // The list grows once more when what came into view is laid out (`content-visibility`), the scroller with the keyboard.
  const resized = new ResizeObserver(() => follows && toEnd());
  resized.observe(scroller);
  resized.observe(list);

  function nodesOf(turn, isFirst, isHeld) {
    const nodes = [question(turn, isHeld)];
    if (turn.state === "answering" || turn.state === "answered") nodes.push(reply(name(), turn.reply, turn));
    else if (turn.state === "failed") nodes.push(failure(turn));
    else if (isWaiting(turn)) nodes.push(waiting(turn, name(), isFirst));
    return nodes;
  }

  /** isHeld: nothing can be sent just now.   openingLine: what the assistant says first, or "". */
  function draw(conversation, isHeld, openingLine) {
    if (openingLine !== (opening?.line ?? "")) {
      opening?.node.remove();
      opening = openingLine ? { line: openingLine, node: reply(name(), openingLine, {}) } : null;
      if (opening) list.prepend(opening.node);
    }
    const hadTurns = shown.size > 0;
    const first = conversation.turns.find(isWaiting);
    const gone = new Set(shown.keys());
    let isNewReply = false;
    let previous = opening?.node ?? null;
    for (const turn of conversation.turns) {
      gone.delete(turn.id);
      const look = `${turn === first} ${turn.state === "sending" && isHeld} ${name()}`;
      let entry = shown.get(turn.id);
      if (entry?.turn !== turn || entry.look !== look) {
        const held = entry?.nodes.some((node) => node.contains(document.activeElement));
        if (entry && turn.state === "answering" && entry.turn.state === "answering") {
          entry.nodes[1].querySelector(".text").replaceWith(written(turn.reply));
          Object.assign(entry, { turn, look });
        } else {
          entry?.nodes.forEach((node) => node.remove());
          isNewReply ||= turn.state === "answered" || turn.state === "answering";
          entry = { turn, look, nodes: nodesOf(turn, turn === first, isHeld) };
          shown.set(turn.id, entry);
          if (held) $("message").focus(); // what had the focus is gone; do not drop it to the top of the page
        }
      }
      for (const node of entry.nodes) {
        const expected = previous ? previous.nextSibling : list.firstChild;
        if (expected !== node) list.insertBefore(node, expected);
        previous = node;
      }
    }
    for (const id of gone) {
      shown.get(id).nodes.forEach((node) => node.remove());
      shown.delete(id);
    }
    if (conversation.over && !end) list.append((end = over(conversation)));
    if (follows || (conversation.turns.length && !hadTurns)) toEnd();
    else if (isNewReply) newest.hidden = false;
  }

  function clear() {
    shown.forEach((entry) => entry.nodes.forEach((node) => node.remove()));
    shown.clear();
    end?.remove();
    end = null;
    follows = false;
    newest.hidden = true;
  }

  /** Writes how long waking has taken; elapsed_ms since it began. */
  function tick(elapsed_ms) {
    const words = list.querySelector(".elapsed");
    if (!words) return;
    const text = wakingFor(elapsed_ms);
    words.textContent = text[0].toUpperCase() + text.slice(1);
    list.querySelector(".dawn > i").style.transform = `scaleX(${Math.min(1, elapsed_ms / USUAL_WAKE_MS)})`;
  }

  return { draw, clear, tick, toEnd };
}

/** The sentence on top; what is said does not change with every second, the line under it may. */
export function drawStanding({ kind, sentence, detail }) {
  if ($("sentence").textContent !== sentence) $("sentence").textContent = sentence;
  $("glyph").textContent = GLYPHS[kind];
  document.body.dataset.kind = kind;
  if ($("detail").textContent !== detail) $("detail").textContent = detail;
}

/** Radio cards, one for each personality. chosen: id. */
export function drawPersonalities(items, chosen) {
  $("personalities").replaceChildren(
    ...items.map(({ id, name, description }) => {
      const radio = element("input");
      Object.assign(radio, { type: "radio", name: "personality", value: id, checked: id === chosen });
      const words = element("span", "words", element("span", "name", name ?? id));
      if (description) words.append(element("span", "dim", description));
      return element("label", "choice", radio, words);
    }),
  );
}
