"""One wake-up for everybody: whoever misses the chatbot says so here, and one long, polite look is under way.

Backends that share an outbox also share the wake-up: only the holder of a lease looks.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from chatify.backend.answers import Answered, NotThere
from chatify.backend.gate import Gate, Standing, look_again_s
from chatify.backend.outbox import Outbox, OutboxUnavailable

__all__ = ["Waker", "happens"]

log = logging.getLogger(__name__)

T = TypeVar("T")
LEASE_S = 15.0


class Sleeper(Protocol):
    """Who is looked after."""

    async def health(self) -> NotThere | None:
        """Wait patiently for it to be awake: None then, else what came instead."""


class Waker:
    """on_news(standing): called when the chatbot fell asleep (`WAKING`) or answers again (`AWAKE`).

    waking_after_s: a look that is unanswered for so long is a wake-up; before that nobody is bothered with it.
    lease: under which name one of several looks: those that look at the same place share one, for who looks elsewhere, such as an
    old instance with another address during a rollover, finds nothing for the others.
    """

    def __init__(
        self,
        sleeper: Sleeper,
        outbox: Outbox,
        *,
        most: int,
        waking_after_s: float,
        on_news: Callable[[Standing], None],
        lease: str = "wake",
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleeper = sleeper
        self._outbox = outbox
        self._gate = Gate(most=most, since=monotonic())
        self._waking_after_s = waking_after_s
        self._on_news = on_news
        self._lease = lease
        self._clock = clock
        self._monotonic = monotonic
        self._me = secrets.token_hex(8)
        self._not_before = float("-inf")
        self._wanted = asyncio.Event()
        self._known = asyncio.Event()  # awake or waking, no longer unknown
        self.detail: str | None = None

    @property
    def standing(self) -> Standing:
        """Is it awake?"""
        return self._gate.standing

    @property
    def since(self) -> float:
        """Since when, in Unix seconds."""
        return self._clock() - (self._monotonic() - self._gate.since)

    @property
    def room(self) -> int:
        """Replies that may be in the making at once: few after a wake-up, more with every reply."""
        return self._gate.room

    def is_open(self) -> bool:
        """May messages go out?"""
        return self._gate.is_open(self._monotonic())

    def knock(self) -> bool:
        """Somebody needs it: True when it is awake, else a look is under way from now on."""
        if self._gate.knock(self._monotonic()):
            return True
        self._shut()
        return False

    async def is_awake(self, within_s: float) -> bool:
        """`knock`, but a look that is answered at once is waited for."""
        if self.knock():
            return True
        return await happens(self._known, within_s) and self.is_open()

    def report(self, outcome: object, began_at: float) -> None:
        """What a call that began at `began_at` (monotonic) came back with."""
        now = self._monotonic()
        if not isinstance(outcome, NotThere):
            self._awake(now, is_reply=isinstance(outcome, Answered))
            return
        self._noted(outcome)
        self._gate.missed(began_at, now)
        if self._gate.is_wanted:
            self._shut()

    async def look(self) -> None:
        """Wait until somebody wants to know, then look until it is awake."""
        await self._wanted.wait()
        self._wanted.clear()
        began_at, misses = self._monotonic(), 0
        try:
            while self._gate.is_wanted:
                if not await self._take_lease():
                    # Another backend is at it; what it finds, we see when our turn comes.
                    await asyncio.sleep(0.3 + 0.7 * random.random())
                    if self._monotonic() - began_at >= self._waking_after_s:
                        self._asleep()
                    continue
                if (early_s := self._not_before - self._monotonic()) > 0:
                    self._asleep()
                    await self._holding(asyncio.sleep(early_s))
                seen = await self._holding(self._sleeper.health())
                if seen is None:
                    self._awake(self._monotonic())
                    return
                misses += 1
                self._noted(seen)
                self._asleep()
                pause_s = look_again_s(misses, seen.retry_after_s, random.random(), is_refused=seen.why == "refused")
                await self._holding(asyncio.sleep(pause_s))
        finally:
            await self._drop_lease()

    def _noted(self, miss: NotThere) -> None:
        self.detail = miss.why if miss.status is None else f"{miss.why} {miss.status}"
        # An edge that throttles wake-ups says how long; asking earlier would only prolong it.
        if miss.status == 429 and miss.retry_after_s is not None:
            self._not_before = self._monotonic() + miss.retry_after_s

    def _shut(self) -> None:
        if self._gate.standing is Standing.UNKNOWN:
            self._known.clear()
        self._wanted.set()

    def _awake(self, now: float, *, is_reply: bool = False) -> None:
        was = self._gate.standing
        is_news = self._gate.answered(now, is_reply=is_reply)
        self._known.set()
        if is_news:
            self.detail = None
            if was is Standing.WAKING:
                log.info("[AI_ORCHESTRATOR] AI service is awake")
            self._on_news(Standing.AWAKE)

    def _asleep(self) -> None:
        is_news = self._gate.asleep(self._monotonic())
        self._known.set()
        if is_news:
            log.info("[AI_ORCHESTRATOR] AI service is asleep, waking it")
            self._on_news(Standing.WAKING)

    async def _holding(self, work: Awaitable[T]) -> T:
        """Wait for `work`, keeping the lease meanwhile; slow work is told to users as waking."""
        async with _owned(work) as task:
            done, _ = await asyncio.wait({task}, timeout=self._waking_after_s)
            while not done:
                self._asleep()
                await self._take_lease()
                done, _ = await asyncio.wait({task}, timeout=LEASE_S / 3)
            return task.result()

    async def _take_lease(self) -> bool:
        try:
            return await self._outbox.take_lease(self._lease, self._me, now=self._clock(), lease_s=LEASE_S)
        except OutboxUnavailable:
            return False

    async def _drop_lease(self) -> None:
        try:
            await self._outbox.drop_lease(self._lease, self._me)
        except OutboxUnavailable:
            log.warning("[AI_ORCHESTRATOR] the wake-up's lease is left to run out")


async def happens(event: asyncio.Event, within_s: float) -> bool:
    """Wait for an event, but not for ever."""
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False


@asynccontextmanager
async def _owned(work: Awaitable[T]) -> AsyncIterator["asyncio.Task[T]"]:
    """`work` as a task that does not outlive the block."""

    async def run() -> T:
        return await work

    task = asyncio.create_task(run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
