"""How many free instance hours are used, from what the platform counts or from what was seen. Pure.

Render gives 750 h a calendar month (UTC) to a workspace, for all of its free web services together; an hour asleep costs nothing
(render.com/docs/free, read 2026-11).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from everwake.model import State

__all__ = ["ALLOWANCE_H", "Source", "Usage", "month_of", "of_counts", "of_states"]

ALLOWANCE_H = 750.0
# States in which an instance may be running: one that crashes again and again is counted while it runs, too.
_RUNS = frozenset({State.UP, State.DEGRADED})
_MAY_RUN = frozenset({*_RUNS, State.DOWN, State.WAKING, State.UNKNOWN, State.PAUSED})


class Source(StrEnum):
    """Where a figure comes from."""

    PLATFORM = "platform"  # its own count of instances
    SEEN = "seen"  # our looks
    ASSUMED = "assumed"  # neither: taken as awake all the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one service used of a month. low_h <= used_h <= high_h: what is certain, most likely, possible."""

    service: str
    used_h: float
    low_h: float
    high_h: float
    source: Source


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """First moment of the calendar month (UTC) of `now`, and of the next one."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, (first + timedelta(days=32)).replace(day=1)


def of_counts(service: str, samples: Sequence[tuple[datetime, float]], since: datetime, until: datetime) -> Usage:
    """From the platform's own samples (when, how many instances ran), oldest first: each counts until the next one.

    What lies before the first sample was not counted, so it is possible and no more than that.
    """
    inside = [(max(at, since), count) for at, count in samples if at < until]
    used_s = 0.0
    for n, (at, count) in enumerate(inside):
        ends = inside[n + 1][0] if n + 1 < len(inside) else until
        used_s += max(0.0, (ends - at).total_seconds()) * count
    before_s = (inside[0][0] - since).total_seconds() if inside else (until - since).total_seconds()
    used_h = used_s / 3600
    return Usage(
        service=service, used_h=used_h, low_h=used_h, high_h=used_h + max(0.0, before_s) / 3600, source=Source.PLATFORM
    )


def of_states(service: str, moves: Iterable[tuple[datetime, State]], since: datetime, until: datetime) -> Usage:
    """From the states it was seen in (when it entered each), oldest first. What is before the first one is not known."""
    low_s = high_s = 0.0
    at, now = since, State.UNKNOWN
    for when, state in [*moves, (until, State.UNKNOWN)]:
        when = min(max(when, at), until)
        passed_s = (when - at).total_seconds()
        low_s += passed_s if now in _RUNS else 0.0
        high_s += passed_s if now in _MAY_RUN else 0.0
        at, now = when, state
    return Usage(
        service=service, used_h=(low_s + high_s) / 7200, low_h=low_s / 3600, high_h=high_s / 3600, source=Source.SEEN
    )
