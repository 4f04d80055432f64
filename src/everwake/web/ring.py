"""The last events, numbered and encoded once for everybody: whoever lost the line takes up where it broke. Pure."""

from collections import deque

__all__ = ["Ring"]

MOST = 4_096
MOST_BYTES = 8 * 1024 * 1024


class Ring:
    """Events of one run, numbered from 1. run: a word without `-` that no other run has; ids are `run-number`.

    It holds at most `most` events and about `most_bytes`, yet always the newest one.
    """

    def __init__(self, run: str, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.run = run
        self.last = 0
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._events: deque[bytes] = deque()

    def add(self, event: str, data: bytes) -> None:
        """data: one line."""
        self.last += 1
        text = encode(event, data, f"{self.run}-{self.last}")
        self._events.append(text)
        self._bytes += len(text)
        while len(self._events) > 1 and (len(self._events) > self._most or self._bytes > self._most_bytes):
            self._bytes -= len(self._events.popleft())

    @property
    def id(self) -> str:
        """Of the newest event."""
        return f"{self.run}-{self.last}"

    def number(self, event_id: str) -> int | None:
        """Which event of this run that id names; None when it is of another run, of the future, or no id at all."""
        run, _, number = event_id.rpartition("-")
        if run != self.run or not (number.isascii() and number.isdigit() and len(number) <= 18):
            return None
        return int(number) if int(number) <= self.last else None

    def after(self, number: int) -> list[bytes] | None:
        """All events behind that one, oldest first; None when some of them are forgotten."""
        missing = self.last - number
        if missing > len(self._events) or missing < 0:
            return None
        return list(self._events)[len(self._events) - missing :] if missing else []


def encode(event: str, data: bytes, event_id: str) -> bytes:
    """One event as `text/event-stream` writes it."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (event_id.encode(), event.encode(), data)
