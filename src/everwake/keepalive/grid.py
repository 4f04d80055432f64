"""A wheel of beats, pure: which lines are due now, and when is the next. All times are monotonic seconds.

The period is cut into slots of about 100 ms. A line keeps its slot for life, so its beats lie on a fixed grid however
late one of them was sent. A line that comes alone beats one period after it came. When many come at once (a server has
just restarted) they are spread: no slot takes more than its share, and who finds his full takes an earlier one,
so that a client never waits longer than one period.
"""

import math
from typing import Generic, TypeVar

__all__ = ["Wheel"]

T = TypeVar("T")

# Beats sent together cost less CPU than beats that each wake the process (9,000 lines, a beat every 10 s: 69 us a beat in
# slots of 5 ms, 61 in 20 ms, 52 in 100 ms, 36 to 40 for the bare handler of bench/keepalive.py in the same minutes),
# and the last of a hundred is some 5 ms late.
_SLOT_S = 0.100
_SLOTS = range(10, 6001)
# A timer may fire a little early: uvloop counts in whole milliseconds.
_EARLY_S = 0.001


class Wheel(Generic[T]):
    """Who is due when. Each `join` is ended by one `leave` with the slot it answered.

    start_s: the time of slot 0.
    """

    __slots__ = ("_backlog", "_free", "_lines", "_served", "_share", "_slot_s", "_taken", "count", "start_s")

    def __init__(self, every_s: float, start_s: float) -> None:
        slots = min(max(_SLOTS[0], round(every_s / _SLOT_S)), _SLOTS[-1])
        self._slot_s = every_s / slots
        self._lines: list[list[T]] = [[] for _ in range(slots)]
        self._taken = bytearray(slots)  # 1 where a slot has a line; two bytearrays, for their searches run in C
        self._free = bytearray(b"\1" * slots)  # 1 where a slot has fewer lines than its share
        self._share = 1
        self._served = 0  # turns are counted for ever: turn n is slot n % slots, at start_s + n * slot_s
        self._backlog: list[T] = []  # was due when somebody joined, not yet told
        self.count = 0
        self.start_s = start_s

    def join(self, line: T, now: float) -> int:
        """Seat a line and answer its slot; its first beat is yet to come, and at most one period away."""
        slots = len(self._lines)
        self._backlog = self.due(now)
        wish = self._served % slots
        slot = self._free.rfind(1, 0, wish + 1)
        if slot < 0:
            slot = self._free.rfind(1)
        if slot < 0:
            self._share += 1
            self._free = bytearray(b"\1" * slots)
            slot = wish
        seated = self._lines[slot]
        seated.append(line)
        self._taken[slot] = 1
        if len(seated) >= self._share:
            self._free[slot] = 0
        self.count += 1
        return slot

    def leave(self, line: T, slot: int) -> None:
        """Give the place in `slot` back; the line is in no later beat."""
        seated = self._lines[slot]
        seated.remove(line)
        if line in self._backlog:
            self._backlog.remove(line)
        self._taken[slot] = bool(seated)
        self._free[slot] = len(seated) < self._share
        self.count -= 1

    def due(self, now: float) -> list[T]:
        """Everyone whose beat has come since the last call, once each even if that was several periods ago."""
        slots = len(self._lines)
        until = self._turn(now)
        first = max(self._served, until - slots) + 1
        self._served = max(self._served, until)
        due = [line for turn in range(first, until + 1) for line in self._lines[turn % slots]]
        if self._backlog:
            due, self._backlog = list(dict.fromkeys(self._backlog + due)), []
        return due

    @property
    def next_at(self) -> float | None:
        """When somebody is due next; None when nobody is there."""
        if self._backlog:
            return self.start_s + self._served * self._slot_s
        slots = len(self._lines)
        here = self._served % slots
        slot = self._taken.find(1, here + 1)
        if slot < 0:
            slot = self._taken.find(1)
            if slot < 0:
                return None
            slot += slots
        return self.start_s + (self._served + slot - here) * self._slot_s

    def _turn(self, now: float) -> int:
        return math.floor((now - self.start_s + _EARLY_S) / self._slot_s)
