"""What the web asks of a running keeper: one Protocol that the composition root implements, so that the web knows no history.

Everything without `async` answers from memory, at once, in the keeper's own loop.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from everwake.budget.hours import Hours
from everwake.errors import OutOfReach
from everwake.model import Incident, LogLine, Observation, RemedyRun
from everwake.ports import Switch
from everwake.remedy.standing import Planned, Standing
from everwake.watch.view import ServiceView

__all__ = [
    "SPANS", "HistoryUnavailable", "HoursKnown", "KeeperDoor", "Listener", "Numbers", "Page", "Resolution", "Rollup", "Uptime",
]  # fmt: skip

T = TypeVar("T")

SPANS = ("24h", "7d", "30d", "90d")

Uptime = Mapping[str, float | None]
"""The share of time a service was up, 0.0-1.0, for each of SPANS; None while nothing is known of that span."""


class HistoryUnavailable(OutOfReach):
    """The history cannot be read now: locked, full or broken. What the keeper knows by heart is still answered."""


class Resolution(StrEnum):
    """How fine the past is told."""

    RAW = "raw"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list. next: hand it back as `cursor` for what follows; None at the end."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """One hour or day of one service. at: its beginning. Shares are 0.0-1.0, None where nothing is known; times in ms."""

    at: datetime
    looks: int
    failed: int
    uptime: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The keeper's own: what `/metrics` tells beside the services. Totals count since the keeper started.

    looks, failed: by service.   running: looks under way.   history_buffered: rows that wait for the disk.   history_lost: rows
    dropped because the buffer was full.
    """

    looks: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    running: int = 0
    history_buffered: int = 0
    history_lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursKnown:
    """The free hours as they were counted last, by platform. missing: why another could not be asked."""

    counted_at: datetime | None = None
    hours: Mapping[str, Hours] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


class Listener(Protocol):
    """Who wants to hear of changes. Each call returns at once and never raises."""

    def changed(self, service: str) -> None:
        """The view of that service changed."""

    def said(self, line: LogLine) -> None:
        """A line of the activity log."""

    def told(self, incident: Incident) -> None:
        """An incident opened, changed or closed."""

    def reloaded(self) -> None:
        """The fleet file was taken anew: services may have come or gone."""


class KeeperDoor(Protocol):
    """A running keeper, as the web sees it."""

    # --- now ----------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Of the fleet."""

    @property
    def monitoring(self) -> bool:
        """Whether the fleet is being watched at all."""

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong with the keeper itself, in words."""

    @property
    def names(self) -> Sequence[str]:
        """The services, in the order of the file."""

    def service(self, name: str) -> ServiceView:
        """One service. Raises KeyError."""

    def open_incidents(self) -> tuple[Incident, ...]:
        """All that are open now."""

    def numbers(self) -> Numbers:
        """The keeper's own numbers."""

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear of changes from now on; the answer ends it."""

    def free_hours(self) -> HoursKnown:
        """The free hours."""

    def named_by(self, url: str) -> str | None:
        """The service that answers at that address; None when it is none of the fleet."""

    # --- control ------------------------------------------------------------------------------------------------------

    def start_monitoring(self) -> bool:
        """Begin again after a stop; False when it was running."""

    def stop_monitoring(self) -> bool:
        """Send nothing to anybody any more; False when it was stopped."""

    def check_now(self, name: str) -> int:
        """Look at one service now, with every check it has; how many looks that is. Raises KeyError."""

    def check_all(self) -> int:
        """Look at everything now; how many looks that is."""

    async def look(self, name: str) -> Observation:
        """Look at one service now and wait for what is seen. Raises KeyError."""

    def wake(self, name: str, hold_s: float) -> Sequence[str]:
        """Somebody is about to use it: the names of those that are woken, what is needed first. Raises KeyError."""

    # --- repairs ------------------------------------------------------------------------------------------------------

    @property
    def switch(self) -> Switch:
        """Whether all repairs are stopped."""

    async def set_switch(self, is_stopped: bool, by: str) -> bool:
        """Stop all repairs, or allow them again; False when that changed nothing. Raises OutOfReach."""

    def repair(self, name: str) -> Standing:
        """How repairs stand for one service. Raises KeyError."""

    async def plan(self, name: str) -> Planned:
        """What would be done about it if somebody said yes. Raises KeyError, OutOfReach."""

    async def begin(self, name: str, by: str) -> RemedyRun:
        """Somebody said yes. Raises KeyError, OutOfReach, and Finding: in words why nothing is begun."""

    # --- the past; each raises HistoryUnavailable ---------------------------------------------------------------------

    async def uptimes(self) -> Mapping[str, Uptime]:
        """Of every service."""

    async def observations(
        self, service: str, *, since: datetime, until: datetime, limit: int, cursor: str | None
    ) -> Page[Observation]:
        """Looks at one service, since <= at < until, oldest first. Raises ValueError for a cursor that is none."""

    async def rollups(
        self, service: str, resolution: Resolution, *, since: datetime, until: datetime
    ) -> tuple[Rollup, ...]:
        """Hours or days that overlap since..until, oldest first. resolution: HOUR or DAY."""

    async def incidents(self, *, service: str | None, limit: int, cursor: str | None) -> Page[Incident]:
        """Open and closed, newest first. Raises ValueError for a cursor that is none."""

    async def incident(self, incident_id: str) -> Incident | None:
        """The one of that id."""

    async def log(self, *, service: str | None, limit: int, cursor: str | None) -> Page[LogLine]:
        """The activity log, newest first. Raises ValueError for a cursor that is none."""
        ...
