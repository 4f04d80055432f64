"""What people are shown of a fleet: frozen, made on demand, in the words of the API. Pure."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from everwake.model import Failure, State

__all__ = ["FleetView", "Heart", "Seen", "ServiceView", "Strip", "overall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heart:
    """The persistent line. missed: beats in a row without an answer."""

    connected: bool = False
    connected_at: datetime | None = None
    last_beat_at: datetime | None = None
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One look in the strip: when, how the service stood then, how long it took in ms (None: no answer)."""

    at: datetime
    state: State
    ms: float | None


_STATES = tuple(State)
_NO_ANSWER = -1.0


class Strip:
    """The last looks of one service in 13 bytes each: as objects they were most of a keeper of 10,000 services."""

    __slots__ = ("_at", "_ms", "_next", "_states")
    LONGEST = 60

    def __init__(self) -> None:
        self._at, self._ms, self._states = array("d"), array("f"), bytearray()
        self._next = 0

    def add(self, at: datetime, state: State, ms: float | None) -> None:
        """Remember one look; the oldest goes when there are `LONGEST`."""
        look = at.timestamp(), _NO_ANSWER if ms is None else ms, _STATES.index(state)
        if len(self._at) < self.LONGEST:
            self._at.append(look[0])
            self._ms.append(look[1])
            self._states.append(look[2])
            return
        self._at[self._next], self._ms[self._next], self._states[self._next] = look
        self._next = (self._next + 1) % self.LONGEST

    def looks(self) -> tuple[Seen, ...]:
        """What is remembered, oldest first."""
        order = [*range(self._next, len(self._at)), *range(self._next)]
        return tuple(
            Seen(
                datetime.fromtimestamp(self._at[n], UTC),
                _STATES[self._states[n]],
                None if self._ms[n] < 0 else round(self._ms[n], 1),
            )
            for n in order
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """One card. strip: the last looks, oldest first.   awake: as the fleet file has it.

    rests: nothing is sent to it now.   turns_at: when its window changes that; None where no window does.
    """

    name: str
    title: str
    url: str
    group: str | None
    state: State
    since: datetime | None
    cause: str | None
    failure: Failure | None
    latency_ms: float | None
    status: int | None
    checked_at: datetime | None
    next_check_at: datetime | None
    checking: bool
    heartbeat: Heart | None
    incident: str | None
    strip: tuple[Seen, ...]
    awake: str = "always"
    rests: bool = False
    turns_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """The whole page's head. trouble: what is wrong with the keeper itself, in words."""

    name: str
    state: State
    monitoring: bool
    counts: dict[str, int]
    next_check_at: datetime | None
    trouble: tuple[str, ...]
    services: tuple[ServiceView, ...]


# Worst first: what a person has to know about before anything else.
_WORST = (State.DOWN, State.UNKNOWN, State.WAKING, State.DEGRADED, State.UP, State.ASLEEP, State.PAUSED)


def overall(states: Sequence[State]) -> tuple[State, dict[str, int]]:
    """The state that stands for all of them, and how many there are of each."""
    counts = Counter(state.value for state in states)
    worst = next((state for state in _WORST if counts[state.value]), State.UNKNOWN)
    return worst, dict(counts)
