/**
 * How things stand, in words. Pure: the facts and the time in, sentences out.
 */

import { isWaiting } from "./conversation.js";

export const USUAL_WAKE_MS = 60_000;

/** 0:07, 1:42, 61:03 */
export function minutes(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

/** "1 reply left", "17 of 20 replies left" */
export function repliesLeft({ left, limit }) {
  if (left === null) return "";
  if (left === 0) return "no replies left";
  return limit === null ? `${left} ${left === 1 ? "reply" : "replies"} left` : `${left} of ${limit} replies left`;
}

export const keptMessages = (count) => (count > 1 ? `your ${count} messages are kept` : "your message is kept");

/** How long waking has taken, said honestly. */
export function wakingFor(elapsed_ms) {
  const usual = elapsed_ms < USUAL_WAKE_MS ? "usually under a minute" : "longer than usual, still trying";
  return `${minutes(elapsed_ms)} so far, ${usual}`;
}

/** For people: what a refusal means here. */
export function refusalInWords({ code, detail }) {
  const known = {
    response_limit_reached: "Not answered: this conversation has used all its replies.",
    session_expired: "Not answered: this conversation has ended.",
    session_not_found: "Not answered: the server no longer knows this conversation.",
    message_too_long: "Not sent: the message is too long.",
    body_too_large: "Not sent: the message is too long.",
    provider_rejected_key: "Not answered: the assistant's AI provider refuses its key. Its operator has to mend that.",
    gave_up: "Not answered: no reply came within a day.",
  };
  return known[code] ?? `Not answered: ${detail || "the server could not take it."}`;
}

/**
 * The sentence on top, and the line under it: { kind, sentence, detail }.
 *
 * kind, also for the glyph: ready, sending, answering, waking, paused, over, failed.
 * trouble: null or { kind: "offline" | "unreachable" | "busy" | "sign_in", until }; until: when it is tried again, ms.
 */
export function situation({ conversation, trouble, personality, now }) {
  const pending = conversation.turns.filter((turn) => turn.state === "sending" || isWaiting(turn));
  const kept = pending.length ? `; ${keptMessages(pending.length)}` : "";
  const again = trouble?.until > now ? `Trying again in ${minutes(trouble.until - now + 999)}.` : "Trying now.";
  const facts = [personality, repliesLeft(conversation)].filter(Boolean).join(" · ");
  const say = (kind, sentence, detail = facts) => ({ kind, sentence, detail });

  if (trouble?.kind === "sign_in") return say("paused", `Please sign in to go on${kept}.`, "The server asks who you are.");
  if (conversation.over === "limit")
    return say("over", "This conversation has used all its replies.", "It stays here to read; start a new one to go on.");
  if (conversation.over)
    return say("over", "This conversation has ended.", "It stays here to read; start a new one to go on.");
  if (trouble?.kind === "offline")
    return say("paused", `You are offline${kept}.`, "What you write is sent by itself when you are back.");
  if (trouble?.kind === "unreachable") return say("paused", `The chat server cannot be reached${kept}.`, again);
  if (trouble?.kind === "busy") return say("paused", `A short pause: that was a lot at once${kept}.`, again);
  if (pending.some((turn) => turn.state === "answering")) return say("answering", "The assistant is answering.");
  if (pending.some((turn) => turn.state === "waking")) return say("waking", `The assistant is waking up${kept}.`);
  if (pending.some((turn) => turn.state === "kept")) return say("answering", "The assistant is thinking.");
  if (pending.length) return say("sending", "Your message is on its way.");
  const last = conversation.turns.at(-1);
  if (last?.state === "failed") return say("failed", "Your last message was not answered.");
  if (conversation.turns.length) return say("ready", "Your turn.");
  return say("ready", "Pick a personality and say hello.", "This browser keeps your conversation.");
}

export const GLYPHS = { ready: "●", sending: "○", answering: "◔", waking: "◐", paused: "❚❚", over: "■", failed: "▲" };
