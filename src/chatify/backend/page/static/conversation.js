/**
 * What is known of one conversation, and how each piece of news changes it.
 *
 * Pure: values in, values out; no page, clock, storage or network. A reply may come as the answer to a POST, over the
 * WebSocket and in a list that is read again, in any order and more than once. A turn (a message and the one reply to it) is
 * known by its message_id, and an answered turn stays as it was answered: so every reply is shown exactly once.
 *
 * Turn: { id, text, at, state, reply, provider, repliedAt, problem, place }
 *   state    sending    only this browser has it
 *            kept       the server has it and will answer it
 *            waking     the same, and the assistant is being woken for it
 *            answering  its reply streams in
 *            failed     problem (a problem document) says why
 *            answered   final
 *   at, repliedAt: milliseconds since 1970.   place: where the server's list has it; Infinity until it was read there.
 */

const RANK = { sending: 0, kept: 1, waking: 2, answering: 3, failed: 4, answered: 5 };

/** over: null, or why no more can be said: "limit" or "expired".   used, left, limit: replies, null while unknown. */
export const EMPTY = Object.freeze({ turns: Object.freeze([]), used: null, left: null, limit: null, over: null });

/** Does the server have it, and no outcome yet? */
export const isWaiting = (turn) => RANK[turn.state] >= RANK.kept && RANK[turn.state] <= RANK.answering;

const begun = (id, text, at) => ({
  id, text, at, state: "sending", reply: "", provider: null, repliedAt: null, problem: null, place: Infinity,
});

/** The conversation with turn `id` put through `change`. A turn not known yet is begun where `text` is known. */
function changed(conversation, id, change, text, at) {
  const index = conversation.turns.findIndex((turn) => turn.id === id);
  if (index < 0 && typeof text !== "string") return conversation;
  const before = index < 0 ? begun(id, text, at) : conversation.turns[index];
  const after = change(before);
  if (index >= 0 && after === before) return conversation;
  const turns = conversation.turns.slice();
  turns[index < 0 ? turns.length : index] = after;
  return { ...conversation, turns };
}

function everyTurn(conversation, change) {
  const turns = conversation.turns.map(change);
  return turns.every((turn, index) => turn === conversation.turns[index]) ? conversation : { ...conversation, turns };
}

/** News that is older than what is known changes nothing. */
const onward = (state) => (turn) => (RANK[turn.state] >= RANK[state] ? turn : { ...turn, state });

/** What was shown of a reply that is begun anew is forgotten. */
const waitingAgain = (state) => (turn) =>
  RANK[turn.state] >= RANK.failed || turn.state === state ? turn : { ...turn, state, reply: "" };

/** Refusals that end the conversation with the message. */
const ENDS = { response_limit_reached: "limit", session_expired: "expired", session_not_found: "expired" };

/** Nothing more is sent then; what this browser still had is refused like the message that ended it. */
function ended(conversation, reason) {
  if (!reason || conversation.over) return conversation;
  const code = reason === "limit" ? "response_limit_reached" : "session_expired";
  const turns = conversation.turns.map((turn) =>
    turn.state === "sending" ? { ...turn, state: "failed", problem: { code, detail: "" } } : turn,
  );
  return { ...conversation, turns, over: reason, left: reason === "limit" ? 0 : conversation.left };
}

const refused = (problem) => (turn) =>
  RANK[turn.state] >= RANK.failed ? turn : { ...turn, state: "failed", reply: "", problem };

const answered = ({ text, provider, at }) => (turn) =>
  turn.state === "answered"
    ? turn
    : { ...turn, state: "answered", reply: text, provider: provider ?? null, repliedAt: at, problem: null };

/** Replies are only ever used up, so of two figures the later one is known by its size. */
function counted(conversation, news) {
  const used = Math.max(conversation.used ?? 0, news.used ?? 0);
  const both = typeof news.used === "number" && typeof news.left === "number";
  const limit = news.limit ?? (both ? news.used + news.left : conversation.limit);
  if (used === conversation.used && limit === conversation.limit) return conversation;
  const left = limit === null ? null : Math.max(0, limit - used);
  return ended({ ...conversation, used, limit, left }, left === 0 ? "limit" : null);
}

/** A piece of the server's list, oldest first, beginning at `from`. */
function listed(conversation, items, from) {
  let next = conversation;
  items.forEach((item, index) => {
    const placed = (turn) => (turn.place === from + index ? turn : { ...turn, place: from + index });
    const change =
      item.status === "answered" ? answered(item.answer) : item.status === "failed" ? refused(item.problem) : onward("kept");
    next = changed(next, item.id, (turn) => change(placed(turn)), item.text, item.at);
    if (item.status === "answered") next = counted(next, item.answer);
    if (item.status === "failed") next = ended(next, ENDS[item.problem?.code]);
  });
  const turns = next.turns.slice().sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
  return turns.every((turn, index) => turn === next.turns[index]) ? next : { ...next, turns };
}

/** The conversation after one piece of news. */
export function after(conversation, news) {
  switch (news.type) {
    case "counted":
      return counted(conversation, news);
    case "written":
      return changed(conversation, news.id, (turn) => turn, news.text, news.at);
    case "accepted":
      return changed(conversation, news.id, onward("kept"));
    case "queued":
      return changed(conversation, news.id, waitingAgain("kept"));
    case "waking": {
      const next = news.id ? changed(conversation, news.id, waitingAgain("waking")) : conversation;
      return everyTurn(next, (turn) => (turn.state === "kept" ? { ...turn, state: "waking" } : turn));
    }
    case "awake":
      return everyTurn(conversation, (turn) => (turn.state === "waking" ? { ...turn, state: "kept" } : turn));
    case "delta":
      return changed(conversation, news.id, (turn) =>
        RANK[turn.state] >= RANK.failed ? turn : { ...turn, state: "answering", reply: turn.reply + news.text },
      );
    case "reply":
      return counted(changed(conversation, news.id, answered(news)), news);
    case "failed":
      return ended(changed(conversation, news.id, refused(news.problem)), ENDS[news.problem?.code]);
    case "retried":
      return changed(conversation, news.id, (turn) =>
        turn.state === "failed" ? { ...turn, state: "sending", problem: null } : turn,
      );
    case "withdrawn":
      return { ...conversation, turns: conversation.turns.filter((turn) => turn.id !== news.id || turn.state === "answered") };
    case "over":
      return ended(conversation, news.reason);
    case "listed":
      return listed(conversation, news.items, news.from);
    default:
      return conversation;
  }
}
