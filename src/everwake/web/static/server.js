/**
 * The keeper's routes as functions. Nothing waits for ever: a call is given up after its deadline.
 */

const DEADLINE_MS = 20_000;

let ahead_ms = 0; // the keeper's clock minus this one's; whole seconds, from its Date header

/** The keeper's time, ms: ages and countdowns are told by its clock, not by that of the reader. */
export const now = () => Date.now() + ahead_ms;

/** The keeper said no, or nothing. status: 0 when there was no answer. */
export class Trouble extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(method, path, deadline_ms = DEADLINE_MS, sent = null) {
  let response;
  let body;
  try {
    const signal = AbortSignal.timeout(deadline_ms);
    const headers = { Accept: "application/json", ...(sent ? { "Content-Type": "application/json" } : {}) };
    response = await fetch(path, { method, headers, body: sent && JSON.stringify(sent), signal, cache: "no-store" });
    body = await response.json().catch(() => null);
  } catch {
    throw new Trouble(0, "The keeper does not answer.");
  }
  const told_ms = Date.parse(response.headers.get("date") ?? "") - Date.now();
  if (Number.isFinite(told_ms)) ahead_ms = Math.abs(told_ms) < 2_000 ? 0 : told_ms;
  if (response.ok && body !== null) return body;
  if (response.status === 401) location.assign("login");
  throw new Trouble(response.status, body?.detail || `The keeper answered ${response.status}.`);
}

const of = (name) => `api/v1/services/${encodeURIComponent(name)}`;
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null)).toString();

export const hours = () => call("GET", "api/v1/hours");
export const health = () => call("GET", "health", 10_000);
export const start = () => call("POST", "api/v1/monitoring/start");
export const stop = () => call("POST", "api/v1/monitoring/stop");
export const pingAll = () => call("POST", "api/v1/checks");
export const ping = (name) => call("POST", `${of(name)}/check`);
/** What would mend it; the platform is asked for everything, so this may take a while. */
export const plan = (name) => call("POST", `${of(name)}/remedy`, 90_000, { plan: true });
export const mend = (name) => call("POST", `${of(name)}/remedy`, 90_000, { yes: true });
export const remedy = (name) => call("GET", `${of(name)}/remedy`);
export const repairs = (isStopped) => call("POST", `api/v1/repairs/${isStopped ? "stop" : "start"}`);
export const service = (name) => call("GET", of(name));
export const diagnosis = (name) => call("GET", `${of(name)}/diagnosis`);
export const observations = (name, values) => call("GET", `${of(name)}/observations?${query(values)}`);
export const incidents = (values) => call("GET", `api/v1/incidents?${query(values)}`);
