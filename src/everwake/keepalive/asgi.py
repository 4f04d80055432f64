"""The keep-alive WebSocket as an ASGI app: mount `KeepAlive` in any ASGI framework on asyncio.

    app.router.add_websocket_route("/ws/keepalive", KeepAlive(service="my_service"))     # FastAPI and Starlette
    app = KeepAlive(service="my_service").around(app, path="/ws/keepalive")              # any ASGI app

A line costs no task and no timer of its own: it lives in the task that the server started for it, and one timer for
each event loop knocks at every line whose beat is due (`grid.Wheel`). A client that does not read blocks only itself.
"""

import asyncio
import contextlib
import hmac
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from everwake.keepalive._ear import Ear, Event
from everwake.keepalive._log import Thinned
from everwake.keepalive.grid import Wheel
from everwake.keepalive.protocol import (
    BAD_ORIGIN,
    BAD_TOKEN,
    FULL,
    MISSED_LIMIT,
    RESTARTING,
    SUBPROTOCOL,
    TOO_BIG,
    Close,
    Kind,
    Line,
    Pings,
    bearer_subprotocol,
    parse,
    pong,
)

__all__ = ["KeepAlive", "Stats"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a line that ended without a close frame is said to have ended with (RFC 6455 section 7.1.5).
_GONE = 1006
# A client that sends without pause must let the other lines have their turn.
_MESSAGES_AT_ONCE = 16
# Beats that are due together go out in bites, with a turn of the loop in between, so that a request to the same process
# does not wait for a hundred of them; it costs nothing that could be measured.
_BEATS_AT_ONCE = 16
_CLOSE_WITHIN_S = 1.0
_OPEN_WITHIN_S = 10.0

_CONNECTED = "Keep-alive WebSocket connected (%d open)"
_DISCONNECTED = "Keep-alive WebSocket disconnected (code %d, %d open)"
_RECEIVED = "Keep-alive heartbeat received"
_REFUSED = "Keep-alive WebSocket refused (code %d, %s)"


@dataclass(slots=True)
class Stats:
    """Counted since the start. lines: open now. heard: pongs. ignored: unknown types, bad JSON, binary frames.

    refused: wrong origin or token, full, or closing.   missed: closed for missed beats.   stuck: dropped, for they
    did not read what was sent.   skipped: beats that found a line still busy with the one before.
    """

    lines: int = 0
    connected: int = 0
    disconnected: int = 0
    beats: int = 0
    heard: int = 0
    ignored: int = 0
    refused: int = 0
    missed: int = 0
    stuck: int = 0
    skipped: int = 0


class _Client(Ear):
    """One line in this process: an ear, and what the ticker knows of it. In one object, for it lies cold in memory.

    skipped: beats in a row that found it busy.   end: set when it was told to end.
    """

    __slots__ = ("end", "is_dropped", "line", "skipped", "slot", "task")

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]") -> None:
        super().__init__(receive, loop)
        self.task = task
        self.line = Line()
        self.slot = 0
        self.skipped = 0
        self.end: Close | None = None
        self.is_dropped = False

    def drop(self) -> None:
        """End a line that waits in a `send` for a client that does not read: nothing could be said to it any more."""
        self.is_dropped = True
        self.task.cancel()


class _Ticker:
    """The one timer of a loop: knocks at every line whose beat is due."""

    def __init__(self, every_s: float, loop: asyncio.AbstractEventLoop, stats: Stats) -> None:
        self._loop = loop
        self._stats = stats
        self._wheel: Wheel[_Client] = Wheel(every_s, loop.time())
        self._due: deque[_Client] = deque()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0  # beside it, for uvloop's handle of a timer that is due at once has no `when`
        self.clients: set[_Client] = set()
        self.is_empty = asyncio.Event()

    def join(self, client: _Client) -> None:
        client.slot = self._wheel.join(client, self._loop.time())
        self.clients.add(client)
        self._arm()

    def leave(self, client: _Client) -> None:
        self.clients.discard(client)
        self._wheel.leave(client, client.slot)
        if not self.clients:
            self.is_empty.set()
            self._due.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _knock(self) -> None:
        self._timer = None
        self._due.extend(self._wheel.due(self._loop.time()))
        for _ in range(min(_BEATS_AT_ONCE, len(self._due))):
            client = self._due.popleft()
            if client not in self.clients:
                continue
            if client.is_knocked:
                self._stats.skipped += 1
                client.skipped += 1
                if client.skipped == MISSED_LIMIT:
                    self._stats.stuck += 1
                    client.drop()
            else:
                client.knock()
        if self._due:
            self._timer, self._timer_at = self._loop.call_soon(self._knock), 0.0
        else:
            self._arm()

    def _arm(self) -> None:
        at = self._wheel.next_at
        if self._timer is not None:
            if at is not None and self._timer_at <= at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer, self._timer_at = self._loop.call_at(at, self._knock), at


class KeepAlive:
    """A keep-alive endpoint, at whatever path it is mounted.

    service: the name in every ping.   every_s: the period, > 0.   max_lines: one more is closed with 1013.
    allowed_origins: None lets every page in, one opened from disk included (its origin is `null`); else what is not
        among them is closed with 1008. Who sends no `Origin` is no browser: this does not concern it, a token does.
    token: None, or what a client must show, as `Authorization: Bearer TOKEN` or as a subprotocol
        (docs/keepalive.md); else it is closed with 1008. It is never logged.
    log: where the lines that docs/keepalive.md names go, at INFO, each at most 10 times a second, so that 10,000
        clients cost no more log than a hundred.

    On shutdown uvicorn closes the lines itself (1012). Elsewhere `async with keepalive:` in the lifespan does,
    or `await keepalive.close()`.

    Raises: ValueError for a period, an origin or a token that cannot be meant.
    """

    def __init__(
        self,
        service: str = "service",
        *,
        every_s: float = 30.0,
        status: str = "alive",
        max_lines: int = 20_000,
        allowed_origins: Iterable[str] | None = None,
        token: str | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        if not every_s > 0:
            raise ValueError(f"every_s must be greater than 0, found {every_s}")
        if isinstance(allowed_origins, str):
            raise ValueError(f"allowed_origins must be a list of origins, found the text {allowed_origins!r}")
        if token == "":
            raise ValueError("token must not be empty; leave it out to let everybody in")
        self.every_s = every_s
        self.max_lines = max_lines
        self._pings = Pings(service, status)
        self._origins = None if allowed_origins is None else frozenset(origin.lower() for origin in allowed_origins)
        self._tokens = None if token is None else (b"bearer " + token.encode(), bearer_subprotocol(token).encode())
        self._log = Thinned(log or logging.getLogger("everwake.keepalive"))
        self._tickers: dict[asyncio.AbstractEventLoop, _Ticker] = {}
        self._stats = Stats()
        self._is_closing = False

    @property
    def stats(self) -> Stats:
        """A copy of the counters as they stand."""
        return replace(self._stats)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "websocket":
                await receive()  # websocket.connect
                refusal = self._refusal(scope)
                if refusal is None:
                    self._stats.lines += 1  # before anything else is awaited, or more than max_lines could come in
                    await self._hold(_accept(scope), receive, send)
                else:
                    await self._refuse(_accept(scope), refusal, send)
            case "http":
                await _answer_http(scope, send)
            case "lifespan":
                await self._live(receive, send)
            case other:
                raise ValueError(f"KeepAlive speaks websocket, http and lifespan, not {other!r}")

    def around(self, app: App, *, path: str = "/ws/keepalive") -> App:
        """`app` with this endpoint at `path`; its lifespan's end closes the lines."""

        async def routed(scope: Scope, receive: Receive, send: Send) -> None:
            async def receive_end() -> Event:
                event = await receive()
                if event["type"] == "lifespan.shutdown":
                    await self.close()
                return event

            if scope["type"] == "lifespan":
                await app(scope, receive_end, send)
            elif scope["path"] in (path, scope.get("root_path", "") + path):
                await self(scope, receive, send)
            else:
                await app(scope, receive, send)

        return routed

    async def __aenter__(self) -> Self:
        self._is_closing = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, within_s: float = _CLOSE_WITHIN_S) -> None:
        """Close every line of this loop with 1012, and each new one. What will not go in time is dropped."""
        self._is_closing = True
        ticker = self._tickers.get(asyncio.get_running_loop())
        if ticker is None:
            return
        for client in ticker.clients:
            client.end = RESTARTING
            asyncio.get_running_loop().call_soon(client.knock)
        try:
            async with asyncio.timeout(within_s):
                await ticker.is_empty.wait()
        except TimeoutError:
            for client in ticker.clients:
                client.drop()

    async def _refuse(self, accept: Event, refusal: Close, send: Send) -> None:
        """Accept and close, for only then the client sees a code."""
        self._stats.refused += 1
        self._say(logging.WARNING, _REFUSED, refusal.code, refusal.reason)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_OPEN_WITHIN_S):
                await send(accept)
                await send(_close(refusal))

    def _refusal(self, scope: Scope) -> Close | None:
        if self._is_closing:
            return RESTARTING
        if self._origins is not None:
            origin = _header(scope, b"origin")
            if origin is not None and origin.decode("latin-1").lower() not in self._origins:
                return BAD_ORIGIN
        if self._tokens is not None and not self._shows_token(scope, *self._tokens):
            return BAD_TOKEN
        return FULL if self._stats.lines >= self.max_lines else None

    @staticmethod
    def _shows_token(scope: Scope, header: bytes, subprotocol: bytes) -> bool:
        shown = _header(scope, b"authorization") or b""
        scheme, _, value = shown.partition(b" ")
        offered = [name.encode("latin-1", "replace") for name in scope.get("subprotocols", ())]
        # No shortcut: how long this takes must not tell which of them was right, or how far.
        fits = [hmac.compare_digest(scheme.lower() + b" " + value.strip(), header)]
        fits += [hmac.compare_digest(name, subprotocol) for name in offered]
        return any(fits)

    async def _hold(self, accept: Event, receive: Receive, send: Send) -> None:
        """One line from its first ping to its end: beats out, messages in. `_Ticker` ends a `send` that hangs.

        One long coroutine, for a task wakes up through every one that it waits in, and with 10,000 lines finds each
        cold in memory: split in three, a beat cost 52 us instead of 46 (bench/keepalive.py).
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        ticker = self._tickers.get(loop)
        if ticker is None:
            ticker = self._tickers[loop] = _Ticker(self.every_s, loop, self._stats)
        stats = self._stats
        client = _Client(receive, loop, task)
        ticker.join(client)
        stats.connected += 1
        self._say(logging.INFO, _CONNECTED, stats.lines)
        code, heard = _GONE, 0
        answer: str | Close | None
        try:
            await send(accept)
            client.is_knocked = True  # the first beat is due at once
            while True:
                event = await client.listen()
                if event is None:
                    client.skipped = 0
                    answer = client.end or self._beat(client.line)
                elif event["type"] == "websocket.receive":
                    answer = self._hear(client.line, event)
                    heard += 1
                    if heard % _MESSAGES_AT_ONCE == 0:
                        await asyncio.sleep(0)
                else:
                    code = int(event.get("code") or _GONE)
                    break
                if isinstance(answer, str):
                    await send({"type": "websocket.send", "text": answer})
                elif answer is not None:
                    code = answer.code
                    await send(_close(answer))
                    break
        except OSError:
            pass  # what an ASGI server raises from `send` when the client has gone
        except RuntimeError:
            # uvicorn's answer to a `send` that meets its own close, when its WebSocket ping was not answered.
            logging.getLogger(__name__).debug("a beat met the server's own close", exc_info=True)
        except asyncio.CancelledError:
            if not client.is_dropped or task.uncancel() > 0:
                raise
        finally:
            client.close()
            ticker.leave(client)
            if not ticker.clients:
                del self._tickers[loop]
            stats.lines -= 1
            stats.disconnected += 1
            self._say(logging.INFO, _DISCONNECTED, code, stats.lines)

    def _beat(self, line: Line) -> str | Close:
        seq = line.beat()
        if isinstance(seq, Close):
            self._stats.missed += 1
            return seq
        self._stats.beats += 1
        return self._pings.frame(seq, time.time())

    def _hear(self, line: Line, event: Event) -> str | Close | None:
        """What to answer to a message."""
        text = event.get("text")
        message = parse(event.get("bytes") or b"" if text is None else text)
        line.hear(message)
        match message.kind:
            case Kind.PONG:
                self._stats.heard += 1
                self._say(logging.INFO, _RECEIVED)
                return None
            case Kind.PING:
                return pong(message.seq, time.time())
            case Kind.IGNORED:
                self._stats.ignored += 1
                return None
            case Kind.TOO_BIG:
                return TOO_BIG

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan of a server whose only app this is."""
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self._is_closing = False
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _say(self, level: int, message: str, *values: object) -> None:
        self._log.say(level, time.monotonic(), message, *values)


def _accept(scope: Scope) -> Event:
    accept: Event = {"type": "websocket.accept"}
    if SUBPROTOCOL in scope.get("subprotocols", ()):
        accept["subprotocol"] = SUBPROTOCOL
    return accept


def _close(close: Close) -> Event:
    return {"type": "websocket.close", "code": close.code, "reason": close.reason}


async def _answer_http(scope: Scope, send: Send) -> None:
    """Somebody opened the endpoint without a WebSocket: say what it is (RFC 9110 section 15.5.22)."""
    body = json.dumps(
        {
            "type": "about:blank",
            "title": "Upgrade Required",
            "status": 426,
            "code": "upgrade_required",
            "detail": "This is a WebSocket that pings for ever, so that the service stays awake. "
            "Open it with ws:// or wss:// instead of http:// or https://.",
        }
    ).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"upgrade", b"websocket"),
        (b"connection", b"upgrade"),
    ]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key.lower() == name), None)
