"""The verbs at the edge: what the capabilities ask of clock, history and channels, as small Protocols."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from everwake.model import Beat, Incident, LogLine, Observation, State, Transition

__all__ = ["Clock", "Notice", "Recorder", "Standing"]


class Clock(Protocol):
    """Time. `everwake.clock` is the only module that reads it; tests have a fake that is advanced by hand."""

    def now(self) -> datetime:
        """Wall time, UTC-aware. May jump."""

    def monotonic(self) -> float:
        """Seconds that never go back; keeps counting while the machine is suspended where the system can."""

    def call_at(self, when_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call at that monotonic time; the answer cancels it."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait that long."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the history remembers of a service, enough to go on after a restart without a false step.

    since: when the state began.   streak: looks in a row that were good (> 0) or bad (< 0).   incident: the open one.
    told: somebody was told, or is about to be, that the incident began.
    """

    service: str
    state: State
    since: datetime
    cause: str | None = None
    streak: int = 0
    incident: Incident | None = None
    told: bool = False
    last: Observation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell somebody, once: a row of the outbox. key: what makes it the same notice when it is written again."""

    key: str
    service: str
    incident: str | None
    opened: bool
    title: str
    body: str
    at: datetime


class Recorder(Protocol):
    """The keeper's side of the history. No call waits for a disk: each puts into a bounded buffer and returns.

    What must be durable together is one call: a transition with its incident and its notices is one transaction.
    """

    def looked(self, seen: Sequence[Observation]) -> None:
        """Observations of one tick."""

    def moved(self, move: Transition, standing: Standing, notices: Iterable[Notice] = ()) -> None:
        """A transition, what stands after it, and what is to be told; one transaction, in order."""

    def beat(self, beat: Beat) -> None:
        """An event of a heartbeat."""

    def said(self, line: LogLine) -> None:
        """A line of the activity log."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with the history now, in words, or None. Told on the page; never a state of a service."""
        ...
