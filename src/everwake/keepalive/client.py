"""Hold a keep-alive line open for ever: answer its beats, notice silence, call again without haste.

    async with KeepAliveClient("wss://example.org/ws/keepalive") as line:
        async for event in line:
            print(event)

Something goes in at every beat, for only what comes in counts as activity on the platforms that put services to
sleep: a pong for each ping and, where the server pings more rarely or stays silent, a ping of the client's own.
Needs the `websockets` library (`pip install "everwake[client]"`), imported when the first line is opened.
"""

import asyncio
import functools
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from everwake.keepalive.protocol import Do, Kind, Message, Watch, client_ping, parse, pong
from everwake.keepalive.reconnect import Backoff

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

__all__ = [
    "Beat",
    "Closed",
    "Connected",
    "Event",
    "Failed",
    "KeepAliveClient",
    "Late",
    "Missed",
    "Reconnecting",
    "hold",
]

_OPEN_WITHIN_S = 90.0  # a free service wakes up in 30-90 s, and holds the handshake until it has
_CLOSE_WITHIN_S = 2.0
_SEND_WITHIN_S = 10.0
_EVENTS_MAX = 1000
# Larger than a ping will ever be, so that a server with more to say is not hung up on.
_MESSAGE_LIMIT_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Connected:
    """The line is open. took_s: from the first packet to the end of the handshake."""

    took_s: float


@dataclass(frozen=True, slots=True)
class Beat:
    """The server was heard. gap_s: since it was last heard.   seq: of a ping that had one."""

    seq: int | None
    gap_s: float


@dataclass(frozen=True, slots=True)
class Late:
    """A beat has not come when it should; the client has sent a ping of its own. silent_s: since the last one."""

    silent_s: float


@dataclass(frozen=True, slots=True)
class Missed:
    """count: beats in a row that did not come. The last one before the client hangs up is told, too."""

    count: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The line ended. code: RFC 6455 section 7.4; 1006 when it broke.   by_us: hung up on for its silence."""

    code: int
    reason: str
    lasted_s: float
    by_us: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """No line came about. error: as it was raised, for whoever classifies it.   status: of an HTTP answer."""

    error: Exception
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The next try comes in `in_s`. drops: lines in a row that did not last."""

    in_s: float
    drops: int


Event = Connected | Beat | Late | Missed | Closed | Failed | Reconnecting


async def hold(
    url: str,
    tell: Callable[[Event], None],
    *,
    every_s: float = 30.0,
    late_s: float = 2.0,
    token: str | None = None,
    backoff: Backoff | None = None,
    now: Callable[[], float] = time.monotonic,
    roll: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Hold a line to `url` (`ws://` or `wss://`) and tell what happens, until cancelled; it never ends by itself.

    every_s: between two beats; a server that pings about as often gives them, else the client does.
    late_s: patience with one beat.   tell: must not block.
    now, roll, sleep: monotonic seconds, dice from 0 to 1, and a way to wait; tests bring their own.
    Raises: ImportError without `websockets`; ValueError for what is no WebSocket URL; whatever `tell` raises.
    """
    from websockets.exceptions import InvalidURI, WebSocketException

    waits = backoff or Backoff(stable_s=2 * every_s)
    drops = 0
    while True:
        lived_s = 0.0
        began = now()
        try:
            connection = await _open(url, token)
        except InvalidURI as error:
            raise ValueError(f"not a WebSocket URL: {error}") from error
        except (OSError, WebSocketException) as error:  # TimeoutError and what TLS raises are OSErrors
            tell(Failed(error, _status(error)))
        else:
            opened = now()
            watch = Watch(every_s, late_s, opened)
            try:
                tell(Connected(opened - began))
                by_us = await _follow(connection, watch, tell, now)
            finally:
                # The close handshake has a deadline of its own (`close_timeout`), after which the socket is shut.
                await connection.close()
            lasted_s = now() - opened
            # Silence is no life: a server that takes lines and says nothing must not be called as if all were well.
            lived_s = watch.heard_at - opened if by_us else lasted_s
            code = connection.close_code
            tell(Closed(1006 if code is None else code, connection.close_reason or "", lasted_s, by_us))
        drops = waits.drops(drops, lived_s)
        delay_s = waits.delay_s(drops, roll())
        tell(Reconnecting(delay_s, drops))
        await sleep(delay_s)


async def _open(url: str, token: str | None) -> "ClientConnection":
    from websockets.asyncio.client import connect

    headers = None if token is None else {"Authorization": f"Bearer {token}"}
    return await connect(
        url,
        additional_headers=headers,
        compression=None,  # it multiplies memory at both ends, for messages of 100 bytes
        open_timeout=_OPEN_WITHIN_S,
        close_timeout=_CLOSE_WITHIN_S,
        ping_interval=None,  # the protocol has its own
        max_size=_MESSAGE_LIMIT_BYTES,
    )


async def _follow(
    connection: "ClientConnection", watch: Watch, tell: Callable[[Event], None], now: Callable[[], float]
) -> bool:
    """Answer beats until the line ends; True when its silence ended it."""
    from websockets.exceptions import ConnectionClosed

    asked = 0
    while True:
        try:
            async with asyncio.timeout(max(0.0, watch.due - now())):
                data = await connection.recv()
        except TimeoutError:
            silent_s = now() - watch.heard_at
            match watch.tick(now()):
                case (Do.BEAT | Do.PING) as do:
                    if do is Do.PING:
                        tell(Late(silent_s))
                    if not await _say(connection, client_ping(asked, time.time())):
                        return True
                    asked += 1
                case Do.MISSED:
                    tell(Missed(watch.missed))
                case Do.HANG_UP:
                    tell(Missed(watch.missed))
                    return True
        except ConnectionClosed:
            return False
        else:
            match parse(data):
                case Message(Kind.PING, seq):
                    tell(Beat(seq, watch.heard(now(), is_ping=True)))
                    if not await _say(connection, pong(seq, time.time())):
                        return True
                case Message(Kind.PONG, seq):
                    tell(Beat(seq, watch.heard(now())))


async def _say(connection: "ClientConnection", text: str) -> bool:
    """False when the other side takes nothing any more; a line that is closed is found so by the next `recv`."""
    from websockets.exceptions import ConnectionClosed

    try:
        async with asyncio.timeout(_SEND_WITHIN_S):
            await connection.send(text)
    except TimeoutError:
        return False
    except ConnectionClosed:
        pass
    return True


def _status(error: Exception) -> int | None:
    from websockets.exceptions import InvalidStatus

    return error.response.status_code if isinstance(error, InvalidStatus) else None


class KeepAliveClient:
    """`hold` as an async context and an async iterator. The arguments are those of `hold`.

    Whoever does not iterate loses the oldest events beyond 1,000 (`lost` counts them), never the line.
    """

    def __init__(
        self,
        url: str,
        *,
        every_s: float = 30.0,
        late_s: float = 2.0,
        token: str | None = None,
        backoff: Backoff | None = None,
        now: Callable[[], float] = time.monotonic,
        roll: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hold = functools.partial(
            hold,
            url,
            self._tell,
            every_s=every_s,
            late_s=late_s,
            token=token,
            backoff=backoff,
            now=now,
            roll=roll,
            sleep=sleep,
        )
        self._events: deque[Event] = deque(maxlen=_EVENTS_MAX)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.lost = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._hold(), name="keep-alive client")
        self._task.add_done_callback(lambda _: self._news.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up; within some 2 s, whatever the server does."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Events as they come, until `close`. Raises what `hold` raised."""
        while True:
            while self._events:
                yield self._events.popleft()
            task = self._task
            if task is None:
                return
            if task.done():
                await task
            self._news.clear()
            await self._news.wait()

    def _tell(self, event: Event) -> None:
        self.lost += len(self._events) == _EVENTS_MAX
        self._events.append(event)
        self._news.set()
