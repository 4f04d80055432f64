"""What waits for the disk: one bounded lane for each kind of row. The keeper puts in, the writer takes out; neither waits.

A full lane drops its oldest row and counts it. Looks are dropped long before anything that happened: transitions, with
their incidents and notices, have a lane of their own that nothing else can fill.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from everwake.model import Failure, LogLine, Transition
from everwake.ports import Notice, Standing

__all__ = ["MOST_LOOKS", "Batch", "FailedLook", "Lanes", "Move", "Stream"]

MOST_LOOKS = 50_000
MOST_FAILURES = 5_000
MOST_PHASES = 2_000
MOST_LINES = 10_000
MOST_MOVES = 60_000
# Of one transaction. What people wait for (moves) is kept small, what comes in floods may be large.
_AT_ONCE = {"moves": 500, "failures": 1_000, "phases": 2_000, "lines": 5_000, "looks": 20_000}


@dataclass(slots=True, eq=False)
class Stream:
    """One way of looking at one service. id: its number on the disk, once that is known.   count: looks so far."""

    service: str
    kind: str
    id: int | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """What is one transaction. move: None when only an incident changed, or something is to be told."""

    move: Transition | None
    standing: Standing
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class FailedLook:
    """A look that failed, ready to be stored: detail and excerpt are masked and bounded."""

    stream: Stream
    ms: int
    value: int
    failure: Failure
    phases: str
    headers: str
    excerpt: str


@dataclass(slots=True)
class Batch:
    """What goes to the disk in one transaction. number: rises by one with each, so that none is written twice."""

    moves: list[Move] = field(default_factory=list)
    failures: list[FailedLook] = field(default_factory=list)
    phases: list[tuple[Stream, int, str]] = field(default_factory=list)
    lines: list[LogLine] = field(default_factory=list)
    looks: list[tuple[Stream, int, int]] = field(default_factory=list)
    number: int = 0

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.moves) + len(self.failures) + len(self.phases) + len(self.lines) + len(self.looks)

    def halves(self) -> Iterator["Batch"]:
        """The same in two, in the same order: how the one row is found that cannot be stored."""
        rows = [(name, row) for name in _AT_ONCE for row in getattr(self, name)]
        for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            half = Batch()
            for name, row in part:
                getattr(half, name).append(row)
            yield half


class Lanes:
    """The buffer between the keeper and the disk."""

    def __init__(self) -> None:
        self.looks: deque[tuple[Stream, int, int]] = deque(maxlen=MOST_LOOKS)
        self.failures: deque[FailedLook] = deque(maxlen=MOST_FAILURES)
        self.phases: deque[tuple[Stream, int, str]] = deque(maxlen=MOST_PHASES)
        self.lines: deque[LogLine] = deque(maxlen=MOST_LINES)
        self.moves: deque[Move] = deque(maxlen=MOST_MOVES)
        self.lost: dict[str, int] = dict.fromkeys(_AT_ONCE, 0)

    def put(self, lane: str, row: Any) -> None:
        """Put a row at the end of a lane, dropping its oldest when it is full."""
        rows: deque[Any] = getattr(self, lane)
        if len(rows) == rows.maxlen:
            self.lost[lane] += 1
        rows.append(row)

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return sum(len(getattr(self, name)) for name in _AT_ONCE)

    def take(self) -> Batch | None:
        """The oldest rows of every lane, at most what one transaction holds; None when nothing waits."""
        batch = Batch()
        for name, most in _AT_ONCE.items():
            rows: deque[Any] = getattr(self, name)
            taken = getattr(batch, name)
            pop = rows.popleft
            for _ in range(min(len(rows), most)):
                try:
                    taken.append(pop())
                except IndexError:  # only this thread takes, so: never
                    break
        return batch if batch.rows else None
