/**
 * How things are said. Pure: facts and the time in, words out. Times are milliseconds since 1970.
 */

/** Worst first: what a person has to know about before anything else. */
export const STATES = {
  down: { glyph: "✕", word: "Down", letter: "d" },
  unknown: { glyph: "?", word: "Unknown", letter: "?" },
  waking: { glyph: "◐", word: "Waking", letter: "w" },
  degraded: { glyph: "▲", word: "Degraded", letter: "g" },
  up: { glyph: "●", word: "Up", letter: "u" },
  asleep: { glyph: "☾", word: "Asleep", letter: "a" },
  paused: { glyph: "❚❚", word: "Paused", letter: "p" },
};

export const OF_LETTER = Object.fromEntries(Object.entries(STATES).map(([state, { letter }]) => [letter, state]));

export const LEVELS = {
  success: { glyph: "✓", word: "good" },
  error: { glyph: "✕", word: "error" },
  warning: { glyph: "▲", word: "warning" },
  info: { glyph: "·", word: "note" },
};

/** A state that is not as it should be, so that its card is wide and shows why. */
export const worries = (state) => ["down", "unknown", "waking", "degraded"].includes(state);

const FAILURES = {
  dns_no_such_name: "there is no such name",
  dns_failed: "its name could not be looked up",
  no_route: "there is no way to it",
  address_refused: "its address is private, and the fleet file forbids that",
  refused: "it refuses connections",
  reset: "it cut the connection",
  timeout: "no answer in time",
  closed_early: "it hung up before the answer was whole",
  certificate_expired: "its certificate has expired",
  certificate_expiring: "its certificate expires soon",
  certificate_wrong_host: "its certificate is for another host",
  certificate_untrusted: "its certificate is not trusted",
  tls_failed: "no secure connection came about",
  too_large: "the answer is too large",
  headers_too_large: "the headers of the answer are too large",
  bad_encoding: "the answer could not be unpacked",
  bad_protocol: "it does not speak the protocol",
  too_many_redirects: "redirected too often",
  status: "not the status that was expected",
  header: "not the header that was expected",
  json: "not the value that was expected",
  text: "the expected text is missing",
  slow: "slower than it should be",
  beat_missed: "a heartbeat was missed",
  line_closed: "the heartbeat line was closed",
  line_rejected: "the heartbeat line was refused",
  auth: "it does not accept the credentials",
  answer: "it answered no",
  internal: "the keeper could not look",
};

/** What went wrong, for people: `timeout` -> "no answer in time". */
export const failure = (kind) => FAILURES[kind] ?? String(kind).replaceAll("_", " ");

/** 4 s · 1 min 48 s · 2 h 5 min · 6 d 4 h */
export function span(lasted_ms) {
  const s = Math.max(0, Math.floor(lasted_ms / 1000));
  const part = (n, unit) => (n ? ` ${n} ${unit}` : "");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${part(s % 60, "s")}`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h${part(Math.floor((s % 3600) / 60), "min")}`;
  return `${Math.floor(s / 86_400)} d${part(Math.floor((s % 86_400) / 3600), "h")}`;
}

/** 0:42 · 12:05 · 1:00:00; "now" when it is due. */
export function countdown(left_ms) {
  const s = Math.ceil(left_ms / 1000);
  if (s <= 0) return "now";
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  return minutes < 60 ? `${minutes}:${two(s % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}

/** 312 ms · 2.4 s; "–" for none. */
export function took(took_ms) {
  if (took_ms === null || took_ms === undefined) return "–";
  return took_ms < 9_950 ? `${Math.round(took_ms).toLocaleString("en")} ms` : `${(took_ms / 1000).toFixed(1)} s`;
}

/** 99.98 %; "100 %" only for the whole: it is cut, never rounded up. "–" while nothing is known. */
export function share(part) {
  if (part === null || part === undefined) return "–";
  if (part >= 1) return "100 %";
  return `${(Math.floor(part * 10_000 + 1e-6) / 100).toFixed(2)} %`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

const ms = (at) => (typeof at === "number" ? at : Date.parse(at));

/** 11:30:02, in the reader's own zone. at: ms, or as the keeper writes it. */
export const clock = (at) => CLOCK.format(ms(at));

/** 11:30:02 today, else 21 Nov 11:30:02. */
export function moment(at, now) {
  const day = DAY.format(ms(at));
  return day === DAY.format(now) ? clock(at) : `${day} ${clock(at)}`;
}

/** The line under a card's address: for how long it has been so, and why if that is known. */
export function standing({ state, since, cause, rests, turns_at, awake }, now) {
  const lasted = since ? span(now - Date.parse(since)) : null;
  if (rests && state === "asleep") return resting({ cause, turns_at, awake }, now);
  const why = cause ? cause : null;
  const said = {
    up: lasted ? `since ${lasted}` : "not looked at yet",
    asleep: lasted ? `on purpose for ${lasted}` : "on purpose",
    paused: "monitoring is stopped",
    waking: lasted ? `waking up for ${lasted}` : "waking up",
    unknown: lasted ? `not known for ${lasted}` : "not looked at yet",
  }[state] ?? (lasted ? `${state} for ${lasted}` : state);
  return { said, why };
}

const HOUR = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** Of one that is sent nothing now: "on purpose until 08:00 · window 08:00-24:00", by the reader's own clock. */
function resting({ cause, turns_at, awake }, now) {
  const why = cause && !cause.startsWith("on purpose") ? cause : cause?.includes("still runs") ? "an instance still runs" : null;
  const assumed = cause?.includes("assumed") ? " (assumed)" : "";
  if (!turns_at) return { said: `on purpose${assumed}, until somebody uses it`, why };
  const until = ms(turns_at) - now < 86_400_000 ? HOUR.format(ms(turns_at)) : moment(turns_at, now);
  return { said: `on purpose${assumed} until ${until} · window ${awake}`, why };
}

/** What failed, in a few words: "answered 502", "no answer in time". failed: {kind, ..}; status: of the answer, if there was one. */
export function whatFailed(failed, status) {
  return failed.kind === "status" && status ? `answered ${status}` : failure(failed.kind);
}

const SAYS_MOST = 160;
const QUOTES_MOST = 3;

/**
 * What a card shows of what is wrong: {label, quote, marked, more}. marked: the part of the quote that is to blame, "" for none.
 * more: further lines. The surest first: a variable with its offending text, then what the cause rests on, then what was seen.
 */
export function evidence({ failure: failed, status }, incident) {
  const { causes = [], variables = [] } = incident?.diagnosis ?? {};
  const cause = causes.find(({ sure }) => sure !== null && sure !== undefined);
  const quotes = cause?.evidence ?? [];
  const variable = variables.find(({ found }) => found) ?? variables[0];
  if (variable) {
    const { key, column, found, fix } = variable;
    const whole = quotes.find(({ from, quote }) => from === `variables.${key}` && found && quote.includes(found))?.quote;
    return { label: column ? `${key} · column ${column}` : key, quote: whole ?? found, marked: found, more: [fix, cause?.next && `next: ${cause.next}`].filter(Boolean) };
  }
  const where = failed.phase === "expect" ? null : failed.phase.replaceAll("_", " ");
  const answered = status && failed.kind !== "status" ? `answered ${status}` : null;
  const label = [whatFailed(failed, status), where, answered].filter(Boolean).join(" · ");
  // What the look itself failed with stands above already, in other words.
  const others = quotes.filter(({ from, quote }) => from !== "keeper.failure" && !(from === "http.status" && quote === String(status)));
  const more = others.slice(0, QUOTES_MOST).map(({ from, quote }) => `${from}: ${quote}`);
  const said = incident?.first?.failure?.kind === failed.kind ? incident.first.excerpt?.replace(/\s+/g, " ").trim() : "";
  if (!more.length && said) more.push(`it says: ${said.length > SAYS_MOST ? `${said.slice(0, SAYS_MOST)}…` : said}`);
  if (cause?.next) more.push(`next: ${cause.next}`);
  return { label, quote: failed.detail, marked: "", more };
}

/** The persistent line, in a few words. */
export function heartbeat(heart, now) {
  if (!heart) return "–";
  if (!heart.connected) return "no line";
  if (heart.missed) return `${heart.missed} missed`;
  return heart.last_beat_at ? `${span(now - Date.parse(heart.last_beat_at))} ago` : "connected";
}

/** What a strip shows, for who cannot see it. */
export function strip({ states }) {
  if (!states) return "No looks yet";
  const counts = Object.entries(STATES)
    .map(([state, { letter }]) => [states.split(letter).length - 1, state])
    .filter(([count]) => count)
    .sort((one, other) => other[0] - one[0])
    .map(([count, state]) => `${count} ${state}`);
  return `Last ${states.length} looks: ${counts.join(", ")}`;
}
