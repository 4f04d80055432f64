"""Who wants to hear what happens in a session: pages on the WebSocket, and POSTs that wait for their reply.

Events are told to everybody here and, where several backends share a Redis, to those who listen elsewhere. Telling never
waits: a listener that falls behind is dropped (it comes again and reads what it missed), an event that cannot be sent is
left out (a page also looks at the store from time to time).
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Protocol

__all__ = ["Event", "Hub", "Listener", "Wire"]

log = logging.getLogger(__name__)

LISTENER_LIMIT = 512
UNSENT_LIMIT = 2048
Event = Mapping[str, Any]


class Listener:
    """A bounded line of events. is_dropped: it fell behind and gets no more."""

    __slots__ = ("_events", "is_dropped")

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(LISTENER_LIMIT + 1)
        self.is_dropped = False

    def tell(self, event: Event) -> None:
        """Add one; over the limit the listener is dropped instead."""
        if self.is_dropped:
            return
        if self._events.qsize() >= LISTENER_LIMIT:
            self.drop()
        else:
            self._events.put_nowait(event)

    def drop(self) -> None:
        """No more; what is there may still be read."""
        if not self.is_dropped:
            self.is_dropped = True
            self._events.put_nowait(None)

    async def next(self) -> Event | None:
        """The next event; None once it is dropped and has heard what came before."""
        return await self._events.get()


class Wire(Protocol):
    """Events from and to other processes."""

    async def send(self, session_id: str, event: str) -> None:
        """To whoever listens to the session elsewhere."""

    async def listen(self, session_id: str) -> None:
        """From now on, hear what others send about the session."""

    async def ignore(self, session_id: str) -> None:
        """No more of it."""

    async def is_heard(self, session_id: str) -> bool:
        """Does anybody listen, here or elsewhere?"""
        ...

    def events(self) -> AsyncIterator[tuple[str, str]]:
        """What others send: session and event. Ends when the connection does."""
        ...


class Hub:
    """wire: None where this process is alone."""

    def __init__(self, wire: Wire | None = None) -> None:
        self._wire = wire
        self._pages: dict[str, set[Listener]] = {}
        self._waiters: dict[tuple[str, str], set[asyncio.Future[Event]]] = {}
        self._unsent: asyncio.Queue[tuple[str, str]] = asyncio.Queue(UNSENT_LIMIT)

    def tell(self, session_id: str, event: Event) -> None:
        """To everybody who listens to this session."""
        self._tell_here(session_id, event)
        if self._wire is not None:
            with suppress(asyncio.QueueFull):
                self._unsent.put_nowait((session_id, json.dumps(event)))

    def tell_all(self, event: Event) -> None:
        """To every page of this process."""
        for listeners in self._pages.values():
            for listener in listeners:
                listener.tell(event)

    async def is_heard(self, session_id: str) -> bool:
        """Is anybody there for deltas?"""
        if session_id in self._pages:
            return True
        if self._wire is None:
            return False
        try:
            return await self._wire.is_heard(session_id)
        except OSError:
            return False

    @asynccontextmanager
    async def listening(self, session_id: str) -> AsyncIterator[Listener]:
        """A page's line, for as long as the block lasts."""
        listener = Listener()
        here = self._pages.setdefault(session_id, set())
        here.add(listener)
        try:
            if self._wire is not None:
                with suppress(OSError):
                    await self._wire.listen(session_id)
            yield listener
        finally:
            here.discard(listener)
            if not here and self._pages.get(session_id) is here:
                del self._pages[session_id]
                if self._wire is not None:
                    with suppress(OSError):
                        await self._wire.ignore(session_id)

    @contextmanager
    def waiting(self, session_id: str, message_id: str) -> Iterator["asyncio.Future[Event]"]:
        """A future for the message's `reply` or `failed`, for as long as the block lasts."""
        key, told = (session_id, message_id), asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(key, set())
        waiters.add(told)
        try:
            yield told
        finally:
            waiters.discard(told)
            told.cancel()
            if not waiters:
                self._waiters.pop(key, None)

    async def run(self) -> None:
        """Carry events to and from other processes, for ever."""
        if self._wire is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            group.create_task(self._receive())

    async def _send(self) -> None:
        assert self._wire is not None
        while True:
            session_id, event = await self._unsent.get()
            with suppress(OSError):
                await self._wire.send(session_id, event)

    async def _receive(self) -> None:
        assert self._wire is not None
        while True:
            try:
                async for session_id, text in self._wire.events():
                    self._tell_here(session_id, json.loads(text))
            except (OSError, ValueError) as failure:
                log.warning("hub.wire_broken %s", type(failure).__name__)
            await asyncio.sleep(1.0)
            for session_id in list(self._pages):
                with suppress(OSError):
                    await self._wire.listen(session_id)

    def _tell_here(self, session_id: str, event: Event) -> None:
        for listener in self._pages.get(session_id, ()):
            listener.tell(event)
        if event["type"] in ("reply", "failed"):
            for told in self._waiters.get((session_id, event["message_id"]), ()):
                if not told.done():
                    told.set_result(event)
