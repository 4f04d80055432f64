"""Told to stop: the signals that end a run, as something a coroutine can wait for."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Stopped", "ToldToStop"]

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - not an error: what was under way was given up because somebody said stop
    """Raised by `ToldToStop.unless`."""


class ToldToStop:
    """Ctrl-C, SIGTERM and SIGHUP (Windows: Ctrl-C and Ctrl-Break). stop: told once.   hurry: told again meanwhile.

    hangup: whether SIGHUP says stop too; else it is left to whoever reads it as "look at your files again".
    """

    def __init__(self, *, hangup: bool = True) -> None:
        self._hangup = hangup
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def told(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._told)

        for number in _signals(self._hangup):
            self._before[number] = signal.getsignal(number)
            signal.signal(number, told)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    async def unless(self, doing: Coroutine[Any, Any, T]) -> T:
        """What `doing` answers, or raises.

        Raises:
            Stopped: somebody said stop first; `doing` was cancelled and has cleaned up.
        """
        task = asyncio.ensure_future(doing)
        told = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
            if not self.stop.is_set():
                return await task
        finally:
            for each in (task, told):
                each.cancel()
            await asyncio.gather(task, told, return_exceptions=True)
        raise Stopped

    def _told(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


def _signals(with_hangup: bool) -> tuple[int, ...]:
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGBREAK)
    # `nohup everwake up` ignores SIGHUP on purpose.
    hangup = () if not with_hangup or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGINT, signal.SIGTERM, *hangup)
