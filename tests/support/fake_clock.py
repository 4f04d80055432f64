"""A clock that only moves when it is told to (`ports.Clock`)."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, 11, 30, tzinfo=UTC)


class FakeClock:
    """Wall time and monotonic time that advance together; `jump` moves the wall alone, as a corrected clock does."""

    def __init__(self, start: datetime = START) -> None:
        self._wall, self._mono_s = start, 1_000.0
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._n = 0

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._mono_s

    def call_at(self, when_s: float, call: Callable[[], None]) -> Callable[[], None]:
        self._n += 1
        entry = (when_s, self._n, call)
        heapq.heappush(self._calls, entry)

        def cancel() -> None:
            if entry in self._calls:
                self._calls.remove(entry)
                heapq.heapify(self._calls)

        return cancel

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        cancel = self.call_at(self._mono_s + seconds, woken.set)
        try:
            await woken.wait()
        finally:
            cancel()

    def jump(self, seconds: float) -> None:
        self._wall += timedelta(seconds=seconds)

    async def advance(self, seconds: float) -> None:
        """Let that much time pass: everything that becomes due runs at its own moment, in order."""
        await settle()
        until_s = self._mono_s + seconds
        while self._calls and self._calls[0][0] <= until_s:
            when_s, _, call = heapq.heappop(self._calls)
            self._move_to(max(when_s, self._mono_s))
            call()
            await settle()
        self._move_to(until_s)
        await settle()

    def _move_to(self, when_s: float) -> None:
        self._wall += timedelta(seconds=when_s - self._mono_s)
        self._mono_s = when_s


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)
