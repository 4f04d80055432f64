"""The only module that reads time."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["SystemClock"]

# CLOCK_BOOTTIME keeps counting while a laptop sleeps; CLOCK_MONOTONIC, which the event loop uses, does not (man clock_gettime).
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """The machine's clocks (`ports.Clock`)."""

    def now(self) -> datetime:
        """Wall time, UTC-aware."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def awake_and_asleep_s(self) -> float:
        """Seconds that also count while the machine is suspended, where the system tells; else `monotonic`."""
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    def call_at(self, when_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call at that monotonic time, from the running loop."""
        loop = asyncio.get_running_loop()
        return loop.call_at(loop.time() + max(0.0, when_s - time.monotonic()), call).cancel

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await asyncio.sleep(seconds)
