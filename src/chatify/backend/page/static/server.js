/**
 * The backend's HTTP routes as functions. Each answers with the body, or throws a Refusal or Unreachable.
 *
 * Nothing waits for ever: a call is given up after its deadline and counts as unreachable.
 */

import { memory } from "./memory.js";

const CHAT = "api/v1/chat/";
const QUICK_MS = 20_000;
const REPLY_MS = 90_000; // the server waits up to 60 s for a reply before it answers 202
const LIST_LIMIT = 200;

let ahead_ms = 0; // the server's clock minus this one's; whole seconds, from its Date header

/** The server answered with an error. status, code, detail: of its problem document; retryAfter_ms: null when not told. */
export class Refusal extends Error {
  constructor(status, problem, retryAfter_ms) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.problem = { code: this.code, detail: this.message, message_id: problem.message_id ?? null };
    this.retryAfter_ms = retryAfter_ms;
  }
}

/** No answer at all, or one that is not ours. */
export class Unreachable extends Error {}

/** `Retry-After` is whole seconds or a date (RFC 9110, 10.2.3). */
function retryAfter_ms(response) {
  const value = response.headers.get("retry-after");
  if (value === null) return null;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

async function call(method, path, body, deadline_ms = QUICK_MS) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (memory.token) headers.Authorization = `Bearer ${memory.token}`;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), deadline_ms);
  let response;
  let answer;
  try {
    response = await fetch(path, { method, headers, body: JSON.stringify(body), signal: abort.signal, cache: "no-store" });
    answer = await response.json().catch(() => null);
  } catch {
    throw new Unreachable();
  } finally {
    clearTimeout(timer);
  }
  const told = Date.parse(response.headers.get("date") ?? "") - Date.now();
  if (Number.isFinite(told)) ahead_ms = Math.abs(told) < 2000 ? 0 : told;
  if (response.ok && answer !== null) return answer;
  if (answer === null && response.status < 500) throw new Unreachable();
  throw new Refusal(response.status, answer ?? {}, retryAfter_ms(response));
}

/** A time the server told, as milliseconds of this browser's clock; now when it told none. */
export function at(time) {
  const told = Date.parse(time ?? "");
  return Number.isFinite(told) ? told - ahead_ms : Date.now();
}

/** A reply's outcome out of a POST's answer, a WebSocket event or an entry of the list. */
export const outcome = (body) => ({
  text: body.response ?? "",
  provider: body.provider ?? null,
  at: at(body.answered_at),
  used: body.responses_used ?? null,
  left: body.responses_left ?? null,
});

const listItem = (entry) => ({
  id: entry.message_id,
  text: entry.message,
  at: at(entry.created_at),
  status: entry.status,
  problem: entry.problem ?? null,
  answer: outcome(entry),
});

/** The user a Firebase ID token stands for; the server verifies it, the page only repeats the name. */
function signedInUser() {
  try {
    const payload = memory.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(payload)).sub;
  } catch {
    return undefined;
  }
}

export const server = {
  /** Since when the assistant is being woken, in milliseconds; null when it is not. */
  async wakingSince() {
    const { chatbot } = await call("GET", "health");
    return chatbot?.state === "waking" && chatbot.since ? at(chatbot.since) : null;
  },
  personalities: () => call("GET", `${CHAT}personalities`),
  open: (personality_id) =>
    call("POST", `${CHAT}sessions`, { user_id: memory.token ? signedInUser() : memory.user, personality_id: personality_id ?? undefined }),
  session: (id) => call("GET", `${CHAT}sessions/${encodeURIComponent(id)}`),
  send: (session, message_id, message) =>
    call("POST", `${CHAT}sessions/${encodeURIComponent(session)}/messages`, { message, message_id }, REPLY_MS),
  /** One page of the list: { items, next }. after: null, or the `next` of an earlier page. */
  async list(session, after) {
    const query = after === null ? "" : `&after=${encodeURIComponent(after)}`;
    const page = await call("GET", `${CHAT}sessions/${encodeURIComponent(session)}/messages?limit=${LIST_LIMIT}${query}`);
    return { items: page.items.map(listItem), next: page.next ?? null };
  },
};

/** Where a list is read from: what lies before has all its outcomes and is not read again. */
export const fromStart = () => ({ after: null, place: 0 });

const MOST_PAGES = 500;

/** Tells the list as news, page by page; moves `from` on to the first page that may still change. */
export async function readPages(session, from, tell) {
  let { after, place } = from;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const { items, next } = await server.list(session, after);
    tell({ type: "listed", items, from: place });
    if (next === null) return;
    const isSettled = from.place === place && items.every((item) => item.status !== "queued");
    place += items.length;
    after = next;
    if (isSettled) Object.assign(from, { after, place });
  }
}
