/**
 * The free hours as a bar with a date: what is used, what is planned, the day they end, and the ways out.
 */

import { node, write } from "./cards.js";
import * as server from "./server.js";

const AGAIN_MS = 60_000;
const UTC = { timeZone: "UTC" };
const MONTH = new Intl.DateTimeFormat("en-GB", { month: "long", ...UTC });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", ...UTC });
const SOURCES = { platform: "counted", seen: "from our looks", assumed: "assumed" };

const whole = (hours) => Math.round(hours).toLocaleString("en");

/** 1st, 2nd, 3rd, 4th .. 11th .. 21st */
export function ordinal(day) {
  const teen = day % 100 >= 11 && day % 100 <= 13;
  return `${day}${teen ? "th" : (["th", "st", "nd", "rd"][day % 10] ?? "th")}`;
}

const dayOf = (at) => ordinal(new Date(at).getUTCDate());

/** The last day of the month that ends at that moment. */
const lastDay = (month_ends) => ordinal(new Date(Date.parse(month_ends) - 1).getUTCDate());

/** The parts of the bar, in percent of its width: {used, planned, over, limit}. limit: where the allowance ends. Pure. */
export function parts({ used_h, planned_h, allowance_h }) {
  const whole_h = Math.max(allowance_h, used_h + planned_h, 1e-9);
  const share = (hours) => (100 * Math.max(0, hours)) / whole_h;
  const used = Math.min(used_h, allowance_h);
  const planned = Math.max(0, Math.min(planned_h, allowance_h - used));
  return { used: share(used), planned: share(planned), over: share(used_h + planned_h - allowance_h), limit: share(allowance_h) };
}

/** [strong, text] pairs that make one sentence or two. Pure. */
export function said(hours) {
  const { used_h, planned_h, allowance_h, spare_h, lasts, ends_at, earliest, latest, month_ends, around_the_clock, speed } = hours;
  const found = hours.ended ? [["", hours.said]] : [[`${whole(used_h + planned_h)} of ${whole(allowance_h)} h`, " used or planned. "]];
  if (lasts) {
    found.push(["", `They last to the ${lastDay(month_ends)}, with ${whole(spare_h)} h to spare.`]);
    if (around_the_clock && !around_the_clock.lasts)
      found.push(["", " Without the windows they would end on the "], [dayOf(around_the_clock.ends_at), "."]);
  } else if (!hours.ended) {
    const spread = earliest && dayOf(earliest) !== dayOf(latest ?? month_ends) ? ` (between the ${dayOf(earliest)} and ` : "";
    found.push(["", "They end on "], [DAY.format(Date.parse(ends_at)), spread]);
    if (spread) found.push(["", latest ? `the ${dayOf(latest)})` : "the month's end)"]);
    found.push(["", "; then all free services are suspended until the month ends."]);
  }
  if (speed !== 1) found.push(["", ` A simulated platform's calendar: it runs ${speed} times as fast.`]);
  return found;
}

function bar(hours) {
  const { used, planned, over, limit } = parts(hours);
  const whole = node("div", "bar");
  for (const [kind, share] of Object.entries({ used, planned, over })) {
    const part = node("i", kind);
    part.style.width = `${share.toFixed(2)}%`;
    if (share > 0) whole.append(part);
  }
  if (over > 0) {
    const mark = node("b", "limit");
    mark.style.left = `${limit.toFixed(2)}%`;
    whole.append(mark);
  }
  whole.setAttribute("role", "img");
  const rest = hours.ended ? "used up" : hours.lasts ? `${Math.round(hours.spare_h)} to spare` : `${Math.round(-hours.spare_h)} too many`;
  whole.setAttribute("aria-label", `Of ${hours.allowance_h} hours ${Math.round(hours.used_h)} are used, ${Math.round(hours.planned_h)} planned, ${rest}`);
  return whole;
}

function ends({ lasts, ended, ends_at, month, month_ends }) {
  const first = new Date(`${month}-01T00:00:00Z`);
  const marks = node("p", "ends dim", node("span", "", ordinal(first.getUTCDate())));
  const spent = ended && (ended.suspended.length ? `used up until the ${dayOf(ended.again_at)}` : "used up, by this count");
  marks.append(node("span", lasts ? "" : "bad", lasts ? lastDay(month_ends) : spent || `ends on the ${dayOf(ends_at)}`));
  return marks;
}

function services(hours) {
  const list = node("dl", "shares");
  for (const { name, used_h, planned_h, awake, source } of hours.services) {
    const stopped = awake === null || hours.ended?.suspended.includes(name);
    const how = stopped ? "suspended" : awake === "always" ? "always awake" : awake;
    list.append(node("dt", "", name), node("dd", "", `${whole(used_h)} h`));
    list.append(node("dd", "dim", `+ ${whole(planned_h)} h, ${how}${source === "platform" ? "" : ` · ${SOURCES[source]}`}`));
  }
  return list;
}

function ways(hours) {
  if (!hours.ways.length) return [];
  const list = node("ol", "ways");
  for (const { says, spare_h } of hours.ways)
    list.append(node("li", "", says, ...(spare_h === null ? [] : [node("span", "dim", ` · ${whole(spare_h)} h to spare`)])));
  const count = ["", "One way", "Two ways", "Three ways"][hours.ways.length] ?? "Ways";
  return [node("h3", "", `${count} ${hours.ways.every((way) => way.lasts) ? "to make them last" : "out"}`), list];
}

/** One workspace. name: its platform's, said where there are several. */
function workspace(name, hours, isOnly) {
  const text = node("p", "said");
  for (const [strong, plain] of said(hours)) text.append(...(strong ? [node("b", "", strong)] : []), plain);
  const folded = node("details", "", node("summary", "dim", "By service"), services(hours));
  const part = node("div", "workspace", ...(isOnly ? [] : [node("h3", "", name)]), bar(hours), ends(hours), text, ...ways(hours), folded);
  part.dataset.lasts = hours.lasts;
  return part;
}

export class Hours {
  /** root: the panel; hidden while no hours are counted. */
  constructor(root) {
    this.root = root;
    this.body = root.querySelector("#hours-body");
    this.month = root.querySelector("#hours-month");
    this.known = "";
  }

  draw({ platforms }) {
    const all = Object.entries(platforms);
    this.root.hidden = !all.length;
    // Only what changed is drawn, so that what somebody unfolded stays so.
    const known = JSON.stringify(all.map(([name, { at, ...rest }]) => [name, rest]));
    if (!all.length || known === this.known) return;
    this.known = known;
    const isOpen = this.body.querySelector("details")?.open;
    write(this.month, MONTH.format(Date.parse(`${all[0][1].month}-01T00:00:00Z`)));
    this.body.replaceChildren(...all.map(([name, hours]) => workspace(name, hours, all.length === 1)));
    if (isOpen) this.body.querySelector("details").open = true;
  }

  /** Ask now, and again as long as the page is looked at. */
  keep() {
    const ask = () => server.hours().then((found) => this.draw(found)).catch(() => {}); // the page says by itself when the keeper is away
    ask();
    setTimeout(() => document.hidden || ask(), 6_000); // a keeper that was just started counts in a few seconds
    setInterval(() => document.hidden || ask(), AGAIN_MS);
  }
}
