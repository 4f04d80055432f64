"""Notices that the fleet file changed and reads it anew; a file that turned bad keeps the old fleet running."""

import asyncio
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from everwake.fleet.load import LARGEST_BYTES, BadFleet, load
from everwake.fleet.schema import Fleet, Secret
from everwake.fleet.secrets import Present, Reference, Resolver
from everwake.ports import Clock

__all__ = ["LOOK_EVERY_S", "Reloader"]

LOOK_EVERY_S = 1.0

_Mark = tuple[int, int, int] | None
_Marks = tuple[_Mark, ...] | None
_Prints = tuple[bytes | None, ...]


class Reloader:
    """Watches one fleet file. taken: called with every new fleet, and when a bad file is well again.

    refused: called with what is wrong, once per change.

    The file is looked at every second by time and size, read when one of them moved, and taken when its bytes are others:
    touching it changes nothing. An editor that writes in two steps is waited for, for a look sees the same file twice first.
    Files that secrets come from are watched with it; `now` (SIGHUP) reads everything again, variables too.
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
        self._wake, self._is_asked = asyncio.Event(), False
        # None until the first look, which tells by the bytes whether the file was changed since it was loaded.
        self._mark: _Marks = None
        self._moving: _Marks = None
        self._current, self._is_bad = fleet, False
        self._secrets = tuple(sorted(_secret_files(fleet, self._path.parent)))
        self._print: _Prints = (fleet.digest, *map(_fingerprint, self._secrets))

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

    def _marks(self) -> _Marks:
        return tuple(_mark(path) for path in (self._path, *self._secrets))

    def _prints(self) -> _Prints:
        return tuple(_fingerprint(path) for path in (self._path, *self._secrets))

    async def look(self, *, asked: bool = False) -> None:
        """Look once. asked: somebody wants it read whatever it looks like."""
        # In a thread: a slow disk, or a file of 10,000 services, must not hold up a look at a service.
        mark = await asyncio.to_thread(self._marks)
        if not asked and (mark == self._mark or mark != self._moving):
            self._moving = mark
            return
        self._mark = self._moving = mark
        found = await asyncio.to_thread(self._prints)
        if found == self._print and not asked:
            return
        self._print = found
        resolver = _Noting(Present(self._environ))
        try:
            fleet = await asyncio.to_thread(load, self._path, self._environ, self._kinds, resolver=resolver)
        except BadFleet as bad:
            await self._watch(resolver.files)
            self._is_bad = True
            self._refused(bad)
            return
        await self._watch(resolver.files)
        if fleet != self._current or asked or self._is_bad:
            self._current, self._is_bad = fleet, False
            self._taken(fleet)

    async def _watch(self, files: set[Path]) -> None:
        """Watch these files of secrets from now on, one that is missing too: it may come."""
        if (wanted := tuple(sorted(files))) == self._secrets:
            return
        self._secrets = wanted
        # What changed since it was read is found by the next look, which only compares bytes.
        self._mark = self._moving = None
        self._print = (self._print[0], *await asyncio.to_thread(lambda: [*map(_fingerprint, wanted)]))


class _Noting:
    """A resolver that remembers which files were asked for."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.files: set[Path] = set()

    def __call__(self, found: Reference, where: tuple[str | int, ...]) -> Secret:
        if found.how == "file":
            self.files.add(found.folder / found.name)
        return self._resolver(found, where)


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


def _secret_files(fleet: Fleet, folder: Path) -> set[Path]:
    """The files that secrets of the fleet came from."""
    held = (fleet.platforms, fleet.notify, fleet.keeper, *(one.spec for each in fleet.services for one in each.checks))
    sources = (secret.source.partition(" ") for secret in _secrets_in(held))
    return {folder / name for how, _, name in sources if how == "file"}


def _secrets_in(value: Any) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets_in(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _secrets_in(inner)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.metadata:
                yield from _secrets_in(getattr(value, field.name))
