/** The page as a whole: memory, server, line and view brought together. Decisions are in conversation.js and words.js. */

import { EMPTY, after, isWaiting } from "./conversation.js";
import { makeComposer } from "./composer.js";
import { makeDelivery, troubleOf } from "./delivery.js";
import { keepLine } from "./line.js";
import { memory, newId } from "./memory.js";
import { at, fromStart, outcome, readPages, server } from "./server.js";
import { makeSigningIn } from "./signing_in.js";
import { $, drawPersonalities, drawStanding, talkView } from "./view.js";
import { situation } from "./words.js";

const TITLE = "Chatify";
const POLL_MS = { first: 1500, most: 10_000, besideLine: 20_000 };
const DEFAULT = { id: "general-assistant", name: "General assistant" };

let talk = memory.talk; // { session, unsent }
let conversation = EMPTY;
let personalities = { items: [DEFAULT], stale: true };
let trouble = null; // { kind, until }
let wakingSince = null;
let chatbot = "unknown"; // as the line told last: awake, waking, unknown
let line = null;
let isLineOpen = false;
let isRead = false; // the server's list was read once
let unseenReplies = 0;
let announcedKind = "ready";
let beginnings = 0;
let ticker = 0;
let comeAgain = 0;
let poller = 0;
let polls = 0;
let frame = 0;
let reading = null; // { id, done }
let readFrom = fromStart();
let readTries = 0;

const nameOf = (id) => personalities.items.find((one) => one.id === id);
const chosen = () => nameOf(memory.personality) ?? personalities.items[0] ?? DEFAULT;
const current = () => (talk.session ? (nameOf(talk.session.personality_id) ?? { name: talk.session.personality_id }) : chosen());
const view = talkView($("talk"), $("scroller"), $("newest"), () => current().name);

// ── news ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function tell(news) {
  const before = conversation;
  conversation = after(conversation, news);
  if (conversation === before) return;
  const known = new Map(before.turns.map((turn) => [turn.id, turn]));
  for (const turn of conversation.turns) {
    const was = known.get(turn.id);
    if (turn.state === "answered" && was && was.state !== "answered") announceReply(turn);
  }
  if (!conversation.turns.some(isWaiting)) wakingSince = null;
  remember(news.type === "withdrawn" ? news.id : null);
  delivery.look();
  draw();
  poll();
}

function announce(text) {
  // The same words twice in a row are not a change to a screen reader; a trailing blank makes them one.
  $("announcer").textContent = $("announcer").textContent === text ? `${text}\u00a0` : text;
}

function announceReply(turn) {
  announce(`${current().name} said: ${turn.reply}`);
  if (!document.hidden) return;
  unseenReplies += 1;
  document.title = `(${unseenReplies}) New ${unseenReplies === 1 ? "reply" : "replies"} · ${TITLE}`;
}

/** Stores what only this browser has. What another tab wrote meanwhile is left standing. */
function remember(withdrawn = null) {
  const own = conversation.turns.filter((turn) => turn.state === "sending" || (turn.state === "failed" && turn.place === Infinity));
  const known = new Set(conversation.turns.map((turn) => turn.id));
  const stored = memory.talk;
  const isSame = stored.session?.session_id === talk.session?.session_id;
  const others = isSame ? stored.unsent.filter((turn) => !known.has(turn.id) && turn.id !== withdrawn) : [];
  talk = { session: talk.session, unsent: [...others, ...own.map(({ id, text, at, problem }) => ({ id, text, at, problem }))] };
  if (JSON.stringify(talk) !== JSON.stringify(stored)) memory.talk = talk;
}

// ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function draw() {
  frame ||= requestAnimationFrame(drawNow);
  if (document.hidden) drawNow(); // no frames come to a hidden tab
}

function drawNow() {
  cancelAnimationFrame(frame);
  frame = 0;
  const isNew = !talk.session && conversation.turns.length === 0;
  $("chooser").hidden = !isNew;
  $("back").hidden = !memory.previous;
  $("new").hidden = isNew;
  $("stale").hidden = !(personalities.stale && isNew);
  const isListed = isRead || !talk.session;
  view.draw(conversation, trouble !== null, isListed ? (talk.session?.opening ?? current().opening ?? "") : "");
  drawSituation();
}

function drawSituation() {
  const now = Date.now();
  const since = wakingSince ?? conversation.turns.find(isWaiting)?.at ?? now;
  const is = situation({ conversation, trouble, personality: talk.session ? current().name : "", now });
  if (talk.session && !isRead && !trouble) Object.assign(is, { sentence: "Reading your conversation.", detail: "" });
  drawStanding(is);
  view.tick(now - since);
  $("try-now").hidden = !trouble?.until;
  $("sign-in").hidden = trouble?.kind !== "sign_in";
  if (is.kind !== announcedKind) {
    announcedKind = is.kind;
    if (["waking", "paused", "over", "failed"].includes(is.kind)) announce(is.sentence);
  }
  const ticks = is.kind === "waking" || Boolean(trouble?.until);
  if (ticks && !ticker) ticker = setInterval(drawSituation, 1000);
  if (!ticks && ticker) ticker = clearInterval(ticker) ?? 0;
}

// ── trouble ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function troubled({ kind, wait_ms }) {
  clearTimeout(comeAgain);
  trouble = { kind: navigator.onLine ? kind : "offline", until: null };
  if (wait_ms !== null && trouble.kind !== "offline") {
    trouble.until = Date.now() + wait_ms;
    comeAgain = setTimeout(tryNow, wait_ms);
  }
  if (kind === "sign_in") signingIn.ask();
  draw();
}

/** The trouble is over, unless it is of another kind than `kind`. */
function well(kind = trouble?.kind) {
  if (trouble === null || trouble.kind === "offline" || trouble.kind !== kind) return;
  clearTimeout(comeAgain);
  trouble = null;
  draw();
}

const isPaused = () => trouble?.kind === "offline" || (trouble?.kind === "busy" && Date.now() < trouble.until);

/** Take up whatever was left lying. */
function resume() {
  if (trouble?.kind === "offline" && navigator.onLine) trouble = null;
  if (personalities.stale) readPersonalities();
  if (talk.session) readList();
  delivery.start();
  line?.nudge();
}

function tryNow() {
  clearTimeout(comeAgain);
  if (trouble?.until) trouble.until = Math.min(trouble.until, Date.now());
  resume();
  draw();
}

// ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** An answer may come when another conversation has been begun meanwhile. */
const isHere = (id) => conversation.turns.some((turn) => turn.id === id);

const delivery = makeDelivery({
  next: () => (isPaused() || conversation.over ? undefined : conversation.turns.find((turn) => turn.state === "sending")),
  session: openSession,
  delivered: () => well(),
  taken(id, body) {
    if (!isHere(id)) return;
    tell({ type: "accepted", id });
    if (body.status === "answered") tell({ type: "reply", id, ...outcome(body) });
    else if (body.chatbot === "waking" && !isLineOpen) waking(null, id); // an open line tells it sooner, and when it is over
  },
  refused(id, problem) {
    if (!isHere(id)) return;
    well();
    tell({ type: "failed", id, problem });
  },
  troubled,
});

async function openSession() {
  talk = { ...talk, session: talk.session ?? memory.talk.session }; // another tab may have opened it meanwhile
  if (!talk.session) {
    const begun = beginnings;
    const session = await server.open(chosen().id);
    if (begun !== beginnings) return session.session_id;
    talk = { ...talk, session };
    isRead = true; // there is nothing yet to read
    tell({ type: "counted", used: 0, limit: talk.session.response_limit ?? null });
    remember();
    draw();
  }
  if (!line) openLine();
  return talk.session.session_id;
}

async function readPersonalities() {
  try {
    const { items, stale } = await server.personalities();
    if (items.length) personalities = { items, stale: stale === true };
    const focused = document.activeElement?.name === "personality";
    drawPersonalities(personalities.items, chosen().id);
    if (focused) $("personalities").querySelector(":checked")?.focus();
  } catch {
    drawPersonalities(personalities.items, chosen().id); // the default is enough to begin with
  }
  draw();
}

/** Read what the server has of this session; one reading at a time. */
function readList() {
  const id = talk.session.session_id;
  if (reading?.id !== id) {
    const mine = { id, done: readAll(id).finally(() => (reading = reading === mine ? null : reading)) };
    reading = mine;
  }
  return reading.done;
}

async function readAll(id) {
  const isStill = () => talk.session?.session_id === id;
  try {
    if (!isRead || talk.session.response_limit == null) {
      const session = await server.session(id);
      if (!isStill()) return;
      talk = { ...talk, session };
      tell({ type: "counted", used: session.responses_used ?? 0, limit: session.response_limit ?? null });
      remember();
    }
    await readPages(id, readFrom, (news) => isStill() && tell(news));
    if (!isStill()) return;
    isRead = true;
    readTries = 0;
    if (!conversation.turns.some((turn) => turn.state === "sending")) well("unreachable");
  } catch (error) {
    if (!isStill()) return;
    const found = troubleOf(error, readTries++);
    if (found) return troubled(found);
    isRead = true;
    if ([404, 410].includes(error.status)) tell({ type: "over", reason: "expired" });
  }
  draw();
}

/** Without the line the list is read again and again while a reply is due; beside it seldom, to be sure. */
function poll() {
  clearTimeout(poller);
  if (!talk.session || !conversation.turns.some(isWaiting)) {
    polls = 0;
    return;
  }
  const wait_ms = isLineOpen ? POLL_MS.besideLine : Math.min(POLL_MS.most, POLL_MS.first * 1.4 ** polls);
  poller = setTimeout(() => {
    polls += 1;
    if (trouble?.kind !== "offline") readList().then(poll);
    else poll();
  }, wait_ms);
}

function openLine() {
  const id = talk.session.session_id;
  line = keepLine({
    address: () => new URL(`ws/chat/${encodeURIComponent(id)}`, document.baseURI.replace(/^http/, "ws")),
    greeting: () => (memory.token ? { type: "sign_in", token: memory.token } : null),
    heard: (event) => talk.session?.session_id === id && heard(event),
    changed(isOpen) {
      isLineOpen = isOpen;
      poll();
    },
    isWorthPinging: () => !document.hidden || conversation.turns.some(isWaiting),
  });
}

/** The assistant is being woken, since a time that may not have been told with it. */
async function waking(since, id) {
  tell({ type: "waking", id });
  if (since) wakingSince = at(since);
  else wakingSince ??= await server.wakingSince().catch(() => null);
  draw();
}

function heard(event) {
  const id = event.message_id;
  if (id && !isHere(id)) {
    readList(); // written in another tab or on another device
    return;
  }
  switch (event.type) {
    case "hello":
      well("unreachable");
      chatbot = event.chatbot;
      readList().then(() => chatbot === "waking" && waking(event.since));
      delivery.start();
      break;
    case "waking":
      chatbot = "waking";
      waking(event.since, id);
      break;
    case "reply":
      tell({ type: "reply", id, ...outcome(event) });
      break;
    case "failed":
      tell({ type: "failed", id, problem: { ...event.problem, message_id: id } });
      break;
    case "queued":
      tell({ type: "accepted", id });
      tell({ type: "queued", id });
      break;
    case "awake":
      chatbot = "awake";
      wakingSince = null;
      tell({ type: "awake" });
      if (personalities.stale) readPersonalities();
      break;
    case "delta":
      tell({ type: "delta", id, text: event.text });
      break;
  }
}

// ── the person ──────────────────────────────────────────────────────────────────────────────────────────────────────

function send(text) {
  if (conversation.over) {
    announce($("sentence").textContent);
    return $("new").focus();
  }
  composer.clear();
  if (!talk.session) memory.personality = chosen().id;
  tell({ type: "written", id: newId(), text, at: Date.now() });
  view.toEnd();
  composer.focus();
  delivery.start();
}
const composer = makeComposer(send);

$("talk").addEventListener("click", (event) => {
  const { act, id } = event.target.closest("button")?.dataset ?? {};
  if (act === "new") return beginAnew();
  const turn = conversation.turns.find((one) => one.id === id);
  if (!turn) return;
  if (act === "retry") {
    tell({ type: "retried", id });
    delivery.start();
  } else if (act === "edit") {
    composer.add(turn.text);
    // What the server has refused stays in the conversation; what never arrived can be taken back.
    if (turn.place === Infinity && !turn.problem?.message_id) tell({ type: "withdrawn", id });
  }
  composer.focus();
});

$("personalities").addEventListener("change", (event) => {
  memory.personality = event.target.value;
  draw();
});
$("chooser").addEventListener("submit", (event) => event.preventDefault());

function beginAnew() {
  const unanswered = conversation.over ? conversation.turns.filter((turn) => turn.state === "failed") : [];
  unanswered.forEach((turn) => composer.add(turn.text));
  if (conversation.turns.length) memory.previous = memory.talk;
  if (talk.session) memory.personality = talk.session.personality_id;
  begin({ session: null, unsent: [] });
  ($("personalities").querySelector(":checked") ?? composer).focus();
}
$("new").addEventListener("click", beginAnew);

$("back").addEventListener("click", () => {
  const previous = memory.previous;
  memory.previous = null;
  if (previous) begin(previous);
  composer.focus();
});

$("try-now").addEventListener("click", () => {
  tryNow();
  composer.focus();
});

const signingIn = makeSigningIn(() => {
  trouble = null;
  hangUp(); // the line was opened as somebody else
  if (talk.session) openLine();
  resume();
  draw();
  composer.focus();
});

// ── beginning, and being woken ──────────────────────────────────────────────────────────────────────────────────────

function hangUp() {
  line?.close();
  line = null;
  isLineOpen = false;
}

/** Show `stored` (as in memory.talk) and go on with it. */
function begin(stored) {
  beginnings += 1;
  hangUp();
  clearTimeout(poller);
  conversation = EMPTY;
  talk = stored;
  memory.talk = stored;
  isRead = false;
  wakingSince = null;
  readFrom = fromStart();
  if (trouble?.kind !== "offline") trouble = null;
  view.clear();
  for (const turn of stored.unsent) {
    tell({ type: "written", ...turn });
    if (turn.problem) tell({ type: "failed", id: turn.id, problem: turn.problem });
  }
  if (talk.session) {
    openLine();
    readList().then(() => delivery.start());
  } else delivery.start();
  drawNow(); // at once: what is shown next may be given the focus
}

memory.onOtherTab(() => {
  const stored = memory.talk;
  if (stored.session?.session_id !== talk.session?.session_id) {
    if (talk.session || !stored.session) return begin(stored);
    talk = { ...talk, session: stored.session }; // the session this tab was about to open
    openLine();
  }
  const ids = new Set(stored.unsent.map((turn) => turn.id));
  for (const turn of stored.unsent) {
    tell({ type: "written", ...turn });
    if (turn.problem) tell({ type: "failed", id: turn.id, problem: turn.problem });
  }
  for (const turn of conversation.turns) {
    if (ids.has(turn.id) || turn.place !== Infinity) continue;
    if (turn.state === "sending") tell({ type: "accepted", id: turn.id });
    else if (turn.state === "failed") tell({ type: "withdrawn", id: turn.id });
  }
  delivery.start();
});

addEventListener("online", () => {
  trouble = null;
  resume();
  draw();
});
addEventListener("offline", () => {
  troubled({ kind: "offline", wait_ms: null });
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseenReplies = 0;
  document.title = TITLE;
  resume();
});

// The on-screen keyboard of iOS covers the page instead of shrinking it. Zooming shrinks the visual viewport as well: leave that alone.
window.visualViewport?.addEventListener("resize", () => {
  const isCovered = visualViewport.scale === 1 && visualViewport.height < innerHeight - 1;
  if (isCovered) document.documentElement.style.setProperty("--height", `${visualViewport.height}px`);
  else document.documentElement.style.removeProperty("--height");
});

drawPersonalities(personalities.items, chosen().id);
readPersonalities();
if (!navigator.onLine) troubled({ kind: "offline", wait_ms: null });
begin(talk);
if (matchMedia("(hover: hover)").matches) composer.focus();
