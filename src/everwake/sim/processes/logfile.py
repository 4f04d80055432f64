"""A log that cannot fill the disk: at its limit it becomes NAME.log.1, in place of the one before."""

from pathlib import Path
from typing import BinaryIO

__all__ = ["LogFile"]


class LogFile:
    """Lines appended to `path`; at most two files of about `limit_bytes` each. A full disk loses lines, never the fleet."""

    def __init__(self, path: Path, limit_bytes: int = 5 * 2**20) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._limit_bytes = limit_bytes
        self._file: BinaryIO | None = None
        self._size_bytes = 0

    def write(self, line: str) -> None:
        """Append one line (given without its end)."""
        data = line.encode("utf-8", "replace") + b"\n"
        try:
            self._room_for(len(data)).write(data)
        except OSError:
            self.close()
            return
        self._size_bytes += len(data)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _room_for(self, more_bytes: int) -> BinaryIO:
        if self._file is not None and self._size_bytes + more_bytes > self._limit_bytes:
            self.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        if self._file is None:
            # Unbuffered: after a SIGKILL the last line is what a person wants to read.
            self._file = self._path.open("ab", buffering=0)
            self._size_bytes = self._path.stat().st_size
        return self._file
