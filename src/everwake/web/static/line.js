/**
 * The keeper's events, one stream for all tabs of this browser.
 *
 * HTTP/1.1 gives a browser six connections to one host: with a stream for every tab the seventh tab would hang. So one tab, whoever
 * holds the lock, listens and tells the others; when it is closed the next one takes over. Without locks (a page that did not
 * come over HTTPS or from this machine) every tab listens for itself.
 */

import { health } from "./server.js";

const EVENTS = ["snapshot", "service", "incident", "log", "fleet"];
const AGAIN_MS = [2_000, 30_000]; // after the browser itself has given up: first and longest pause
const SILENT_MS = 20_000; // then the tab that listens is asked whether it still does
const ANSWER_MS = 5_000;
const AGAIN_ASK_MS = 1_000;

/**
 * heard(event, data) with every event; live(isLive) when the stream comes and goes; snapshot() what a new tab is told, or null.
 * Nothing is ever sent to the keeper from here.
 */
export function listen({ heard, live, snapshot }) {
  const canShare = "locks" in navigator && "BroadcastChannel" in window;
  if (!canShare) return void stream({ heard, live });

  const name = `everwake ${new URL(".", location.href)}`;
  const channel = new BroadcastChannel(name);
  let isListening = false;
  let isLive = false;
  let hasAll = false;
  let leader = null;
  let heardAt = performance.now();

  const me = crypto.randomUUID();
  const tell = (news) => channel.postMessage({ ...news, from: me });

  const lead = () => {
    if (isListening) return;
    isListening = true;
    stream({
      heard: (event, data) => {
        heard(event, data);
        tell({ event, data });
      },
      live: (now) => {
        isLive = now;
        live(now);
        tell({ live: now });
      },
    });
  };

  channel.onmessage = ({ data: news }) => {
    if (isListening) {
      const all = news.whole && isLive ? snapshot() : null;
      if (all) tell({ event: "snapshot", data: all, to: news.whole });
      if (news.whole || news.ask) tell({ live: isLive });
      return;
    }
    if (news.whole || news.ask) return; // another tab's question
    // Of two that listen, one was only frozen for a while: whoever is listened to stays so, or every line would come twice.
    if (!news.leads && news.from !== leader && leader !== null && performance.now() - heardAt < SILENT_MS) return;
    leader = news.from;
    heardAt = performance.now();
    if (news.to && news.to !== me) return;
    hasAll ||= news.event === "snapshot";
    if (news.live !== undefined) live(news.live);
    if (news.event) heard(news.event, news.data);
  };

  navigator.locks.request(name, { mode: "exclusive" }, () => {
    lead();
    tell({ live: isLive, leads: true });
    return new Promise(() => {}); // held until this tab is closed
  });
  const ask = (what) => {
    if (isListening) return;
    const asked = performance.now();
    channel.postMessage(what);
    // A tab that was frozen or stopped in a debugger holds the lock and says nothing: then this one listens too.
    setTimeout(() => heardAt < asked && lead(), ANSWER_MS);
  };
  // Until the first answer: the other tab may be just about to take the lock itself.
  const askForAll = () => {
    if (hasAll || isListening) return;
    ask({ whole: me });
    setTimeout(askForAll, AGAIN_ASK_MS);
  };
  setTimeout(askForAll, 0);
  setInterval(() => performance.now() - heardAt > SILENT_MS && ask({ ask: me }), ANSWER_MS);
}

/** One EventSource, for ever. The browser itself comes back after a drop, saying which event it had last. */
function stream({ heard, live }) {
  let source;
  let pause_ms = AGAIN_MS[0];
  let heardAt;

  const open = () => {
    heardAt = performance.now();
    source = new EventSource("api/v1/events");
    source.onopen = () => live(true);
    source.onerror = () => {
      live(false);
      // An answer that is no stream (a 502 on the way, a keeper that is full): the browser does not try again, we do.
      if (source.readyState === EventSource.CLOSED) reopen();
    };
    for (const event of EVENTS)
      source.addEventListener(event, ({ data }) => {
        pause_ms = AGAIN_MS[0];
        heardAt = performance.now();
        heard(event, JSON.parse(data));
      });
  };
  const reopen = () => {
    setTimeout(open, pause_ms * (0.5 + Math.random()));
    pause_ms = Math.min(pause_ms * 2, AGAIN_MS[1]);
  };
  // A line that died without a word (a laptop that slept, a router that forgot) looks open for ever.
  const check = async () => {
    if (source.readyState === EventSource.OPEN && performance.now() - heardAt > SILENT_MS) {
      const checked = source;
      try {
        await health();
        heardAt = performance.now();
      } catch {
        if (checked !== source || source.readyState !== EventSource.OPEN) return;
        source.close();
        live(false);
        reopen();
      }
    }
  };
  setInterval(check, ANSWER_MS);
  open();
}
