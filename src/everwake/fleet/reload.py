"""Notices that the fleet file changed and reads it anew; a file that turned bad keeps the old fleet running."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from everwake.fleet.load import LARGEST_BYTES, BadFleet, load
from everwake.fleet.schema import Fleet
from everwake.ports import Clock

__all__ = ["LOOK_EVERY_S", "Reloader"]

LOOK_EVERY_S = 1.0

_Mark = tuple[int, int, int] | None


class Reloader:
    """Watches one fleet file. taken: called with every new fleet, and when a bad file is well again.

    refused: called with what is wrong, once per change.

    The file is looked at every second by time and size, read when one of them moved, and taken when its bytes are others:
    touching it changes nothing. An editor that writes in two steps is waited for, for a look sees the same file twice first.
    Files that secrets come from are not watched; `now` (SIGHUP) reads everything again.
    """

    def __init__(
        self,
        fleet: Fleet,
        clock: Clock,
        *,
        environ: Mapping[str, str],
        kinds: Mapping[str, type[Any]],
        taken: Callable[[Fleet], None],
        refused: Callable[[BadFleet], None],
    ) -> None:
        self._path, self._clock, self._environ, self._kinds = Path(fleet.path), clock, environ, kinds
        self._taken, self._refused = taken, refused
        self._current, self._is_bad = fleet, False
        self._wake, self._is_asked = asyncio.Event(), False
        self._mark, self._print = _mark(self._path), _fingerprint(self._path)
        self._moving = self._mark

    def now(self) -> None:
        """Read the file again soon, changed or not."""
        self._is_asked = True
        self._wake.set()

    async def run(self) -> None:
        """Look for ever; cancel it to end."""
        while True:
            cancel = self._clock.call_at(self._clock.monotonic() + LOOK_EVERY_S, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                cancel()
            self._wake.clear()
            asked, self._is_asked = self._is_asked, False
            await self.look(asked=asked)

    async def look(self, *, asked: bool = False) -> None:
        """Look once. asked: somebody wants it read whatever it looks like."""
        # In a thread: a slow disk, or a file of 10,000 services, must not hold up a look at a service.
        mark = await asyncio.to_thread(_mark, self._path)
        if not asked and (mark == self._mark or mark != self._moving):
            self._moving = mark
            return
        self._mark = self._moving = mark
        found = await asyncio.to_thread(_fingerprint, self._path)
        if found == self._print and not asked:
            return
        self._print = found
        try:
            fleet = await asyncio.to_thread(load, self._path, self._environ, self._kinds)
        except BadFleet as bad:
            self._is_bad = True
            self._refused(bad)
            return
        if fleet != self._current or asked or self._is_bad:
            self._current, self._is_bad = fleet, False
            self._taken(fleet)


def _mark(path: Path) -> _Mark:
    """What tells cheaply that a file may have changed; None while it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - one system call, every second
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _fingerprint(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.sha256(file.read(LARGEST_BYTES + 1)).digest()
    except OSError:
        return None
