/**
 * One WebSocket that is there as long as it is wanted: reconnects with growing, jittered delay, notices a dead line.
 *
 * The delay starts over only after a line has lasted: a server that accepts and hangs up at once is not hammered.
 */

const FIRST_MS = 500;
const MOST_MS = 30_000;
const LASTED_MS = 10_000;
const PING_MS = 30_000;
const PONG_MS = 10_000;

/**
 * address: () => URL.   greeting: () => first frame or null.   heard(event): one JSON message.   changed(isOpen).
 * isWorthPinging: () => bool; pings keep a sleeping-prone host awake, so only a page somebody looks at sends them.
 */
export function keepLine({ address, greeting, heard, changed, isWorthPinging }) {
  let socket = null;
  let tries = 0;
  let openedAt = 0;
  let timer = 0;
  let pinger = 0;
  let ponger = 0;
  let isWanted = true;

  function connect() {
    clearTimeout(timer);
    const mine = (socket = new WebSocket(address()));
    openedAt = Infinity;
    mine.onopen = () => {
      openedAt = performance.now();
      const first = greeting();
      if (first) mine.send(JSON.stringify(first));
      pinger = setInterval(ping, PING_MS);
    };
    mine.onmessage = ({ data }) => {
      let event;
      try {
        event = JSON.parse(data);
      } catch {
        return; // not ours; the list is read again anyhow
      }
      clearTimeout(ponger);
      if (event?.type === "hello") changed(true);
      if (event && mine === socket) heard(event);
    };
    mine.onclose = () => {
      if (mine !== socket) return;
      letGo();
      if (!isWanted) return;
      changed(false);
      if (performance.now() - openedAt > LASTED_MS) tries = 0;
      const most_ms = Math.min(MOST_MS, FIRST_MS * 2 ** tries++);
      timer = setTimeout(connect, most_ms * (0.5 + Math.random() / 2));
    };
  }

  function letGo() {
    clearInterval(pinger);
    clearTimeout(ponger);
    socket = null;
  }

  function ping() {
    if (socket?.readyState !== WebSocket.OPEN || !isWorthPinging()) return;
    const mine = socket;
    mine.send('{"type":"ping"}');
    clearTimeout(ponger);
    // A line cut without a word (a laptop that slept) never fires `close` in time: hang up and dial again.
    ponger = setTimeout(() => mine.onclose?.(mine.close()), PONG_MS);
  }

  connect();
  return {
    /** The network or the page is back: look at once. */
    nudge() {
      if (socket === null) {
        tries = 0;
        connect();
      } else ping();
    },
    close() {
      isWanted = false;
      clearTimeout(timer);
      const mine = socket;
      letGo();
      mine?.close();
    },
  };
}
