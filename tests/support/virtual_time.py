"""An event loop whose time does not pass: whenever nothing can go on, it stands at the next moment at which something is due.

Everything on it runs as it is, `asyncio.sleep` and `asyncio.timeout` too, and a year takes as long as what happens in it. No
socket is listened to; what is given to a thread is done at once, where it stands.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["START", "VirtualClock", "VirtualLoop"]

START = datetime(2026, 1, 1, tzinfo=UTC)


class _Waiting(selectors.SelectSelector):
    """Waits by moving the loop's time."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing is due any more, and something still waits")
        if timeout > 0:
            self.passed_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """For `asyncio.Runner(loop_factory=VirtualLoop)`."""

    def __init__(self) -> None:
        self._waiting = _Waiting()
        super().__init__(self._waiting)

    def time(self) -> float:
        return 1_000.0 + self._waiting.passed_s

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


class VirtualClock:
    """`clock.SystemClock` on such a loop. wrong_s: by how much the machine's wall clock is wrong.   slept_s: how long the machine
    was suspended so far, in which its monotonic time stands still."""

    def __init__(self) -> None:
        self.wrong_s = self.slept_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time() - self._began_s + self.slept_s + self.wrong_s)

    @property
    def true_now(self) -> datetime:
        """As everybody else's clock has it."""
        return START + timedelta(seconds=self._loop.time() - self._began_s + self.slept_s)

    def monotonic(self) -> float:
        return self._loop.time()

    def awake_and_asleep_s(self) -> float:
        return self._loop.time() + self.slept_s

    def call_at(self, when_s: float, call: Callable[[], None]) -> Callable[[], None]:
        return self._loop.call_at(when_s, call).cancel

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
