/**
 * Small pictures as SVG: one path for each state, whatever the number of looks, so that a thousand of them stay cheap.
 */

import { OF_LETTER } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const SLOTS = 60;
const HEIGHT = 20;

// Height tells the state as well as colour does.
const TALL = { up: 14, down: 20, unknown: 6, waking: 17, degraded: 17, asleep: 8, paused: 4 };

function svg(className, width, height) {
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("class", className);
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  node.setAttribute("preserveAspectRatio", "none");
  return node;
}

function path(node, className, d) {
  let one = node.querySelector(`.${className}`);
  if (!d) return one?.remove();
  if (!one) {
    one = document.createElementNS(SVG, "path");
    one.setAttribute("class", className);
    node.append(one);
  }
  if (one.getAttribute("d") !== d) one.setAttribute("d", d);
}

/** The strip of the last looks, newest at the right. */
export function newStrip() {
  const node = svg("strip", SLOTS * 10, HEIGHT);
  node.setAttribute("role", "img");
  return node;
}

/** states: a letter for each look, oldest first. */
export function drawStrip(node, states) {
  const paths = {};
  const shown = states.slice(-SLOTS);
  const free = SLOTS - shown.length;
  let none = "";
  for (let n = 0; n < free; n += 1) none += `M${n * 10 + 1} ${HEIGHT}h8v-3h-8z`;
  for (let n = 0; n < shown.length; n += 1) {
    const state = OF_LETTER[shown[n]] ?? "unknown";
    const tall = TALL[state];
    paths[state] = `${paths[state] ?? ""}M${(free + n) * 10 + 1} ${HEIGHT}h8v-${tall}h-8z`;
  }
  path(node, "none", none);
  for (const state of Object.keys(TALL)) path(node, state, paths[state]);
}

/** Which look lies under the pointer: its index into `states`, or null. */
export function lookAt(node, states, clientX) {
  const { left, width } = node.getBoundingClientRect();
  const shown = Math.min(SLOTS, states.length);
  const slot = Math.floor(((clientX - left) / width) * SLOTS) - (SLOTS - shown);
  return slot >= 0 && slot < shown ? states.length - shown + slot : null;
}

/** The small line of latencies. */
export function newLine() {
  const node = svg("spark", 100, 30);
  node.setAttribute("aria-hidden", "true");
  return node;
}

/** latencies_ms: oldest first, null where there was no answer: the line has a gap there. Each stands above its bar of the strip. */
export function drawLine(node, latencies_ms) {
  const shown = latencies_ms.slice(-SLOTS);
  const most = Math.max(...shown.map((ms) => ms ?? 0), 1) * 1.15;
  const x = (n) => (((SLOTS - shown.length + n + 0.5) / SLOTS) * 100).toFixed(2);
  let line = "";
  let area = "";
  let from = null;
  shown.forEach((ms, n) => {
    if (ms === null) return;
    const begins = n === 0 || shown[n - 1] === null;
    const ends = n === shown.length - 1 || shown[n + 1] === null;
    const point = `${begins ? "M" : "L"}${x(n)} ${(30 - (ms / most) * 28).toFixed(1)}`;
    if (begins) from = n;
    line += begins && ends ? `${point}h.4` : point; // one alone is a dot
    area += point;
    if (ends) area += `L${x(n)} 30L${x(from)} 30z`;
  });
  path(node, "area", area);
  path(node, "line", line);
}
