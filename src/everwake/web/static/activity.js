/**
 * The activity log, newest first, in the mission's words.
 */

import { node } from "./cards.js";
import { LEVELS, clock } from "./words.js";

const MOST = 200;

function line({ at, level, text }) {
  const { glyph, word } = LEVELS[level] ?? LEVELS.info;
  const time = node("time", "", clock(at));
  time.dateTime = at;
  const icon = node("span", "glyph", glyph);
  icon.setAttribute("aria-hidden", "true");
  const made = node("li", "", time, icon, node("span", "", node("span", "unseen", `${word}: `), text));
  made.dataset.level = LEVELS[level] ? level : "info";
  return made;
}

export class Activity {
  constructor(list) {
    this.list = list;
  }

  /** lines: oldest first. */
  replace(lines) {
    this.list.replaceChildren(...lines.slice(-MOST).reverse().map(line));
  }

  /** More lines, oldest first. skipped: so many more were said in that moment than anybody could read. */
  add(lines, skipped) {
    const made = lines.slice(-MOST).reverse().map(line);
    if (skipped) made.push(node("li", "dim", `… ${skipped} more lines`));
    this.list.prepend(...made);
    while (this.list.children.length > MOST) this.list.lastChild.remove();
  }
}
