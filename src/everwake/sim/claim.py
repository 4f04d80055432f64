"""The data folder of a run: one owner at a time, and `up.json` for those who want to talk to it."""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from everwake.errors import AlreadyRunning, Misused

__all__ = ["Claim"]

# The guardian of a run that was killed holds the lock until the last of its processes is gone.
PREDECESSOR_TRIES, TRY_EVERY_S = 200, 0.05


class Claim:
    """Ownership of `folder`, held by a lock that the system gives up with its owner: a dead owner never blocks.

    fileno: descriptor of the lock, for whoever is to hold it on.
    what: what is owned. "up" is the folder's `up.json`; a keeper owns "keeper", also inside the folder of an `everwake up`.
    """

    def __init__(self, folder: Path, what: str = "up") -> None:
        self.folder, self._what = folder, what
        self._file = folder / "up.json"
        self._lock = -1

    def __enter__(self) -> Self:
        """Take it.

        Raises:
            AlreadyRunning: another run has it.
            Misused: the folder cannot be made or written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.folder / f"{self._what}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Misused(
                f"cannot use {self.folder} as data folder: {error.strerror}", hint="name another with --data"
            ) from None
        try:
            self._take()
        except BaseException:
            os.close(self._lock)
            raise
        if self._what == "up":
            self.withdraw()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._what == "up":
            self.withdraw()
        os.close(self._lock)

    @property
    def fileno(self) -> int:
        """The lock's descriptor."""
        return self._lock

    def publish(self, document: Mapping[str, Any]) -> None:
        """Write `up.json`, all or nothing, readable by its owner only."""
        draft = self._file.with_suffix(".json.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
        draft.replace(self._file)

    def withdraw(self) -> None:
        """Remove `up.json`."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _take(self) -> None:
        for _ in range(PREDECESSOR_TRIES):
            if _locked(self._lock):
                os.lseek(self._lock, 0, os.SEEK_SET)
                os.write(self._lock, b"%20d\n" % os.getpid())
                return
            owner = self._owner()
            if _is_alive(owner):
                break
            time.sleep(TRY_EVERY_S)
        raise AlreadyRunning(
            f"another everwake{self._who} (process {owner or 'unknown'}) runs with the data folder {self.folder}",
            hint="use that one, stop it, or name another folder with --data",
        )

    @property
    def _who(self) -> str:
        return "" if self._what == "up" else f" {self._what}"

    def _owner(self) -> int:
        os.lseek(self._lock, 0, os.SEEK_SET)
        with suppress(ValueError, OSError):
            return int(os.read(self._lock, 21))
        return 0


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    if sys.platform == "win32":
        return True  # os.kill(pid, 0) would end it; the lock has told us enough
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _locked(descriptor: int) -> bool:
    """Take the lock if nobody has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # Far behind the text: Windows lets nobody read what is locked.
            os.lseek(descriptor, 2**20, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
