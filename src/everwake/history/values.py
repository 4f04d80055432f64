"""What the history answers with: frozen, in the units people read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from everwake.model import Incident, Transition

__all__ = ["SPANS", "DayGrid", "Glimpse", "Page", "Resolution", "Rollup", "Story", "fitting"]

T = TypeVar("T")

SPANS: Mapping[str, timedelta] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}


class Resolution(StrEnum):
    """How fine the past is told."""

    RAW = "raw"
    HOUR = "hour"
    DAY = "day"


def fitting(since: datetime, until: datetime) -> Resolution:
    """The finest that is still a picture: single looks for a quarter of a day, hours for two weeks, then days."""
    span = until - since
    if span <= timedelta(hours=6):
        return Resolution.RAW
    return Resolution.HOUR if span <= timedelta(days=14) else Resolution.DAY


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list. next: hand it back as `cursor` for what follows; None at the end."""

    items: tuple[T, ...]
    next: str | None = None


class Rollup(NamedTuple):
    """One hour or day of one service. at: its beginning.   uptime: 0.0-1.0.   Times are of looks that were good, within 1.6 %
    (max_ms exact). None where nothing is known. A tuple, since 90 days of hours are 2,160 of them."""

    at: datetime
    looks: int
    failed: int
    uptime: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


class Glimpse(NamedTuple):
    """One look in a strip. ms: None when there was no answer."""

    at: datetime
    good: bool
    status: int | None
    ms: float


@dataclass(frozen=True, slots=True)
class DayGrid:
    """The days of every service. first: the day of the first value.   uptimes: by service, oldest first, 0.0-1.0 or None."""

    first: date
    uptimes: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True, slots=True)
class Story:
    """One incident and what happened in it. told: somebody was told of its beginning."""

    incident: Incident
    told: bool
    transitions: tuple[Transition, ...]
