/**
 * Ninety days of one service by the hour: how well it stood (SVG) and how fast it was (uPlot).
 */

import { share, took } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const HOUR_MS = 3_600_000;
const DAYS = 90;
const HOUR = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** How an hour stood: by its share of time up. */
function kind(uptime) {
  if (uptime === null) return "none";
  if (uptime >= 1) return "up";
  return uptime >= 0.95 ? "degraded" : "down";
}

// Size tells it too: an hour that was all well is the smaller square.
const INSET = { none: 4, up: 2, degraded: 1, down: 0.5 };

/** One column for each day, one row for each hour of it, in the reader's zone. hours: rollups, oldest first. */
export function hoursGrid(hours, now) {
  const cell = 10;
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", "hours");
  made.setAttribute("viewBox", `0 0 ${DAYS * cell} ${24 * cell}`);
  made.setAttribute("role", "img");
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  const at = new Map(hours.map((hour) => [Math.floor(Date.parse(hour.at) / HOUR_MS), hour]));
  const paths = { none: "", up: "", degraded: "", down: "" };
  const counts = { up: 0, degraded: 0, down: 0, none: 0 };
  const cells = new Map();
  for (let day = 0; day < DAYS; day += 1) {
    const date = new Date(midnight);
    date.setDate(date.getDate() - (DAYS - 1 - day));
    for (let row = 0; row < 24; row += 1) {
      date.setHours(row);
      if (date.getTime() > now) continue;
      const hour = at.get(Math.floor(date.getTime() / HOUR_MS));
      const is = kind(hour?.uptime ?? null);
      counts[is] += 1;
      const inset = INSET[is];
      const side = cell - 2 * inset;
      paths[is] += `M${day * cell + inset} ${row * cell + inset}h${side}v${side}h-${side}z`;
      cells.set(day * 24 + row, { at: date.getTime(), hour });
    }
  }
  for (const [is, d] of Object.entries(paths)) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", is);
    path.setAttribute("d", d);
    made.append(path);
  }
  const title = document.createElementNS(SVG, "title");
  made.append(title);
  made.setAttribute(
    "aria-label",
    `The last ${DAYS} days by the hour: ${counts.up} hours all well, ${counts.degraded} with a short failure, ${counts.down} with a long one`,
  );
  made.onpointermove = ({ clientX, clientY }) => {
    const { left, top, width, height } = made.getBoundingClientRect();
    const day = Math.floor(((clientX - left) / width) * DAYS);
    const row = Math.floor(((clientY - top) / height) * 24);
    const found = cells.get(day * 24 + row);
    const said = found
      ? `${new Date(found.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}: ${
          found.hour ? `${share(found.hour.uptime)} up, ${found.hour.looks} looks, ${took(found.hour.p50_ms)}` : "nothing known"
        }`
      : "";
    if (title.textContent !== said) title.textContent = said;
  };
  return made;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Resolves when uPlot has arrived; it is only needed here, so nothing waits for it. */
const arrived = () =>
  new Promise((done, gone) => {
    if (window.uPlot) return done();
    const script = document.getElementById("uplot");
    script.addEventListener("load", () => done(), { once: true });
    script.addEventListener("error", gone, { once: true });
  });

/** Draw latencies into `root`; hands back what takes them away again. */
export async function latencies(root, hours) {
  await arrived();
  const known = hours.filter(({ p50_ms }) => p50_ms !== null);
  const size = () => ({ width: Math.max(240, root.clientWidth), height: 180 });
  const axis = () => ({ stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } });
  const line = (label, stroke, width) => ({ label, stroke, width, points: { show: false }, value: (_, ms) => took(ms) });
  const chart = new window.uPlot(
    {
      ...size(),
      cursor: { y: false, drag: { x: false, y: false } },
      series: [
        { label: "hour", value: (_, s) => (s === null ? "–" : new Date(s * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })) },
        line("half of them within", colour("--ink"), 1.5),
        line("95 % within", colour("--sun"), 1),
      ],
      scales: { y: { range: (_, low, high) => [0, (high || 1) * 1.1] } },
      axes: [{ ...axis(), values: (_, at, axisIndex, space, step_s) => at.map((s) => (step_s < 86_400 ? HOUR : DAY).format(s * 1000)) }, { ...axis(), size: 62, values: (_, values) => values.map(took) }],
    },
    [known.map(({ at }) => Date.parse(at) / 1000), known.map(({ p50_ms }) => p50_ms), known.map(({ p95_ms }) => p95_ms)],
    root,
  );
  const watcher = new ResizeObserver(() => chart.setSize(size()));
  watcher.observe(root);
  return () => {
    watcher.disconnect();
    chart.destroy();
  };
}
