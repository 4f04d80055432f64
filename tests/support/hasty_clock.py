"""A clock for code that waits on real sockets: each wait takes a thousandth of its time, and the clock shows it whole."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

__all__ = ["HastyClock"]


class HastyClock:
    """`ports.Clock`. waited: the waits that were asked for, in seconds."""

    def __init__(self, haste: float = 1_000.0) -> None:
        self.haste, self.skipped_s = haste, 0.0
        self.waited: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.skipped_s)

    def monotonic(self) -> float:
        return time.monotonic() + self.skipped_s

    def call_at(self, when_s: float, call: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        await asyncio.sleep(seconds / self.haste)
        self.skipped_s += seconds * (1 - 1 / self.haste)
