"""Live events for everybody who looks: told once, encoded once, at most four times a second, resumed after a drop.

A reader has no queue of its own, only a place in the ring: ten tabs cost ten writes, and one that cannot keep up falls out of the
ring and is let go. While nobody has looked for a minute, nothing is done at all.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any

from starlette.types import Receive, Scope, Send

from everwake.model import Incident, LogLine, State
from everwake.web import answers
from everwake.web.door import KeeperDoor, Uptime
from everwake.web.ring import Ring, encode

__all__ = ["EventStream", "Hub"]

log = logging.getLogger(__name__)

FLUSH_EVERY_S = 0.25
LINGER_S = 60.0  # how long after the last reader left events are still kept, for one that only lost its line
COMMENT_EVERY_S = 15.0  # proxies cut a silent answer after 30-100 s
SEND_WITHIN_S = 30.0  # who takes longer to read one piece is as good as gone
READERS = 200
LINES = 200  # of the log: kept for the snapshot, and told in one flush
SLICE = 50  # services encoded before the loop may look after its services again


class Hub:
    """Hears what changes (`door.Listener`) and makes events of it. `run` has to be running; `close` ends every stream."""

    def __init__(self, door: KeeperDoor, uptimes: Callable[[], Mapping[str, Uptime]]) -> None:
        self._door, self._uptimes = door, uptimes
        self._ring = Ring(secrets.token_hex(4))
        self._awake, self._closed = False, False
        self._readers, self._left_at_s = 0, 0.0
        self._cards: dict[str, tuple[str, State, datetime | None, bytes]] = {}
        self._changed: dict[str, None] = {}
        self._told: dict[str, Incident] = {}
        self._head: dict[str, Any] = {}
        self._lines: deque[LogLine] = deque(maxlen=LINES)
        self._said: deque[LogLine] = deque(maxlen=LINES)
        self._unsaid = 0
        self._snapshot: tuple[str, bytes] = ("", b"")
        self._wanted, self._news, self._flushing = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self.incidents_opened: dict[str, int] = {}
        self._known = {incident.id for incident in door.open_incidents()}

    # --- hearing ------------------------------------------------------------------------------------------------------

    def changed(self, service: str) -> None:
        """The view of that service changed."""
        if self._awake:
            self._changed[service] = None
            self._wanted.set()

    def said(self, line: LogLine) -> None:
        """A line of the activity log."""
        if not self._awake:
            self._lines.append(line)
            return
        self._unsaid += len(self._said) == LINES
        self._said.append(line)
        self._wanted.set()

    def told(self, incident: Incident) -> None:
        """An incident opened, changed or closed."""
        if incident.id not in self._known:
            self._known.add(incident.id)
            self.incidents_opened[incident.service] = self.incidents_opened.get(incident.service, 0) + 1
        if incident.closed_at is not None:
            self._known.discard(incident.id)
        if self._awake:
            self._told[incident.id] = incident
            self._wanted.set()

    def reloaded(self) -> None:
        """The fleet is another one: everybody begins with a new snapshot."""
        self._rest()
        self._wake_readers()

    def remember(self, lines: list[LogLine]) -> None:
        """Lines of before this start, oldest first, for the first snapshot."""
        for line in (*lines, *self._lines):
            self._lines.append(line)

    # --- making events ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            rests_at_s = None if self._readers or not self._awake else self._left_at_s + LINGER_S
            try:
                async with asyncio.timeout_at(rests_at_s):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            if rests_at_s is not None and not self._readers and loop.time() >= rests_at_s:
                self._rest()
                continue
            try:
                await self._flush()
            except Exception:  # outermost frame of this task: the page is stale, the keeper keeps
                log.exception("live.failed")
            await asyncio.sleep(FLUSH_EVERY_S)

    def close(self) -> None:
        """End every stream; whoever comes now is sent away."""
        self._closed = True
        self._wake_readers()

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """The last lines of the log, oldest first."""
        return (*self._lines, *self._said)[-LINES:]

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return self._readers

    def _rest(self) -> None:
        """Forget everything that is only there for readers."""
        self._awake = False
        self._lines.extend(self._said)
        self._cards, self._changed, self._told, self._head, self._unsaid = {}, {}, {}, {}, 0
        self._said.clear()
        self._ring = Ring(secrets.token_hex(4))
        self._snapshot = ("", b"")

    async def _flush(self) -> None:
        """Make events of what was heard since the last time."""
        async with self._flushing:
            if not self._awake:
                return
            ring = self._ring
            changed, self._changed = self._changed, {}
            for n, name in enumerate(changed):
                body = self._encode(name)
                if body is not None:
                    ring.add("service", body)
                if n % SLICE == SLICE - 1:
                    self._wake_readers()
                    await asyncio.sleep(0)
                    if ring is not self._ring:
                        return
            told, self._told = self._told, {}
            for incident in told.values():
                ring.add("incident", answers.json_bytes(answers.incident(incident)))
            self._flush_lines(ring)
            self._flush_head(ring)
            self._wake_readers()

    def _encode(self, name: str) -> bytes | None:
        try:
            view = self._door.service(name)
        except KeyError:
            self._cards.pop(name, None)
            return None
        body = answers.json_bytes(answers.service(view, self._uptimes().get(name)))
        self._cards[name] = (view.title, view.state, view.next_check_at, body)
        return body

    def _flush_lines(self, ring: Ring) -> None:
        if not self._said:
            return
        said, skipped = list(self._said), self._unsaid
        self._said.clear()
        self._unsaid = 0
        self._lines.extend(said)
        ring.add("log", answers.json_bytes({"items": [answers.line(line) for line in said], "skipped": skipped}))

    def _flush_head(self, ring: Ring) -> None:
        door, told = self._door, answers.Head()
        for title, state, next_check_at, _ in self._cards.values():
            told.add(title, state, next_check_at)
        head = told.body(door.name, door.monitoring, door.trouble, door.switch)
        if head != self._head:
            self._head = head
            ring.add("fleet", answers.json_bytes(head))

    def _wake_readers(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _all(self) -> bytes:
        """The snapshot: everything as of the newest event."""
        await self._wake()
        await self._flush()
        while not self._awake:  # the fleet was taken anew meanwhile
            await self._wake()
            await self._flush()
        ring = self._ring
        if self._snapshot[0] != ring.id:
            # No await from here on, so that it tells exactly what stood at this event.
            services = b",".join(body for *_, body in self._cards.values())
            rest = answers.json_bytes(
                {
                    **self._head,
                    "incidents": [answers.incident(incident) for incident in self._door.open_incidents()],
                    "log": [answers.line(line) for line in self._lines],
                }
            )
            data = b'%s,"services":[%s]}' % (rest[:-1], services)
            self._snapshot = (ring.id, encode("snapshot", data, ring.id))
        return self._snapshot[1]

    async def _wake(self) -> None:
        """Look at every service once; from then on only at what changes."""
        async with self._flushing:
            if self._awake:
                return
            self._awake = True
            ring = self._ring
            for n, name in enumerate(self._door.names):
                self._encode(name)
                if n % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
                    if ring is not self._ring:
                        return
            self._flush_head(ring)

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether another reader has to be sent away."""
        return self._closed or self._readers >= READERS

    async def events(self, last_id: str, comment_every_s: float = COMMENT_EVERY_S) -> AsyncGenerator[bytes, None]:
        """What one reader is sent. last_id: of the last event it has, or anything else for none; then it gets a snapshot."""
        self._readers += 1
        self._wanted.set()
        try:
            ring, place = self._ring, self._ring.number(last_id) if self._awake else None
            if place is not None and ring.after(place) is None:
                place = None  # away for too long
            yield b"retry: 2000\n\n"
            while not self._closed:
                if place is None or ring is not self._ring:
                    whole = await self._all()
                    ring, place = self._ring, self._ring.last
                    yield whole
                    continue
                news, behind = self._news, ring.after(place)
                if behind is None:
                    return  # too slow: it comes again by itself, and gets a snapshot
                if behind:
                    place = ring.last
                    yield b"".join(behind)
                    continue
                try:
                    async with asyncio.timeout(comment_every_s):
                        await news.wait()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._readers -= 1
            self._left_at_s = asyncio.get_running_loop().time()
            self._wanted.set()


class _Gone(Exception):  # noqa: N818
    """The reader went away."""


class EventStream:
    """An ASGI answer that sends one reader's events until either side goes away."""

    def __init__(self, events: AsyncGenerator[bytes, None], send_within_s: float = SEND_WITHIN_S) -> None:
        self._events, self._send_within_s = events, send_within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._events) as events, asyncio.TaskGroup() as group:
                going = group.create_task(_until_gone(receive))
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                async for piece in events:
                    await self._send(send, piece)
                going.cancel()
                await send({"type": "http.response.body", "body": b""})
        except* _Gone:
            pass

    async def _send(self, send: Send, piece: bytes) -> None:
        try:
            async with asyncio.timeout(self._send_within_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (TimeoutError, OSError):
            raise _Gone from None


_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _Gone
