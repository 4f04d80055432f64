"""When each look is due: a wheel of 100 ms slots. Pure; the loop asks it and sleeps.

Looks due in the same slot start together, for a wake-up of the process costs more than an HTTP look. Every service has a phase
of its own within its interval, taken from its name, so that a fleet never looks at everything at the full minute and a
restart of the keeper does not move anybody's look.
"""

import heapq
import math
import zlib
from functools import lru_cache
from itertools import islice

__all__ = ["GRID_S", "Schedule", "next_on_grid"]

GRID_S = 0.1
MOST_AT_ONCE = 1_000_000


def next_on_grid(name: str, every_s: float, now_s: float) -> float:
    """The first time after `now_s` at which `name` is due when it is due every `every_s`, in seconds of the same clock."""
    phase_s = _share(name) * every_s
    turn = math.floor((now_s - phase_s) / every_s) + 1
    at_s = phase_s + turn * every_s
    # Rounding may land on `now_s` itself, which would make the same look due twice.
    return at_s if at_s > now_s else at_s + every_s


@lru_cache(maxsize=32_768)
def _share(name: str) -> float:
    return zlib.crc32(name.encode()) / 2**32


class Schedule:
    """What is due when. A key is planned once: planning it again moves it. All times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._slots: dict[int, dict[str, None]] = {}
        self._order: list[int] = []
        self._where: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._where)

    def plan(self, key: str, at_s: float) -> float:
        """Make `key` due at `at_s`, rounded up to the grid: when that is."""
        if key in self._where:
            self.cancel(key)
        slot = math.ceil(at_s / GRID_S - 1e-9)
        waiting = self._slots.get(slot)
        if waiting is None:
            waiting = self._slots[slot] = {}
            heapq.heappush(self._order, slot)
        waiting[key] = None
        self._where[key] = slot
        return slot * GRID_S

    def cancel(self, key: str) -> None:
        """Forget `key`; fine when it is not planned."""
        slot = self._where.pop(key, None)
        if slot is not None:
            del self._slots[slot][key]

    def at(self, key: str) -> float | None:
        """When `key` is due, None when it is not planned."""
        slot = self._where.get(key)
        return None if slot is None else slot * GRID_S

    @property
    def next_s(self) -> float | None:
        """When something is due next, None when nothing is planned."""
        while self._order and not self._slots[self._order[0]]:
            del self._slots[heapq.heappop(self._order)]
        return self._order[0] * GRID_S if self._order else None

    def due(self, now_s: float, most: int = MOST_AT_ONCE) -> list[tuple[str, float]]:
        """Take out what is due by now, at most `most` keys: (key, when it was due), the longest due first."""
        taken: list[tuple[str, float]] = []
        while len(taken) < most and (next_s := self.next_s) is not None and next_s <= now_s + 1e-9:
            slot = self._order[0]
            waiting = self._slots[slot]
            # What is left stays in its slot, and is known to be late by as much as it is.
            for key in list(islice(waiting, most - len(taken))):
                del waiting[key], self._where[key]
                taken.append((key, slot * GRID_S))
        return taken
