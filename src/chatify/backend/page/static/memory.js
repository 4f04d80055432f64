/**
 * What this browser remembers across a reload: who is talking, which session, what is written but not yet accepted.
 *
 * Every tab of this address shares it. Where storage is forbidden or full the page works on and forgets with the tab.
 */

const PREFIX = "chatify.";
const fallback = new Map();

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name) ?? "null") ?? fallback.get(name) ?? null;
  } catch {
    return fallback.get(name) ?? null;
  }
}

function write(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
    fallback.delete(name);
  } catch {
    fallback.set(name, value);
  }
}

/** A random id as of RFC 9562, version 4; `crypto.randomUUID` exists on https and loopback only. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export const memory = {
  /** The guest this browser is, made once. */
  get user() {
    const known = read("user");
    if (typeof known === "string") return known;
    const made = `guest-${newId()}`;
    write("user", made);
    return made;
  },
  /** { session, unsent }: session as the server told it, or null; unsent: [{id, text, at, problem}]. */
  get talk() {
    const known = read("talk");
    return { session: known?.session ?? null, unsent: Array.isArray(known?.unsent) ? known.unsent : [] };
  },
  set talk(talk) {
    write("talk", talk);
  },
  /** The talk before this one, so that "New conversation" can be taken back. */
  get previous() {
    return read("previous");
  },
  set previous(talk) {
    write("previous", talk);
  },
  get draft() {
    const known = read("draft");
    return typeof known === "string" ? known : "";
  },
  set draft(text) {
    write("draft", text || null);
  },
  get personality() {
    return read("personality");
  },
  set personality(id) {
    write("personality", id);
  },
  /** An ID token lives as long as the tab. */
  get token() {
    try {
      return sessionStorage.getItem(`${PREFIX}token`) ?? fallback.get("token") ?? null;
    } catch {
      return fallback.get("token") ?? null;
    }
  },
  set token(token) {
    try {
      if (token === null) sessionStorage.removeItem(`${PREFIX}token`);
      else sessionStorage.setItem(`${PREFIX}token`, token);
    } catch {
      fallback.set("token", token);
    }
  },
  /** Calls `heard` when another tab changed the talk. */
  onOtherTab(heard) {
    addEventListener("storage", (event) => {
      if (event.key === `${PREFIX}talk` || event.key === null) heard();
    });
  },
};
