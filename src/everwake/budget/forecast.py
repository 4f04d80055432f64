"""The day on which the free hours run out, with its range, from what is used and what is planned. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from everwake.budget.ledger import ALLOWANCE_H, Usage, month_of
from everwake.fleet import windows

__all__ = ["TAIL", "Ended", "Forecast", "forecast", "planned_h"]

# The platform puts a service to sleep so long after the last request (render.com/docs/free, read 2026-11): each window costs
# that much more than it is long.
TAIL = timedelta(minutes=15)
DEMAND_H_PER_DAY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The hours are used up. since: when the platform suspended for it, None where it does not say.

    suspended: names of those that it suspended; empty where only our count says so.   again_at: when the hours begin anew.
    """

    since: datetime | None
    suspended: tuple[str, ...]
    again_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How the month will go, in hours. ends_at: when they run out, None when they last; earliest and latest: its range.

    planned_h: by service, from now to the month's end.   spare_h: left over at its end, negative when they do not last.
    ended: where they are used up already; then nothing is planned, `ends_at` is when they were, None where that is not known.
    """

    allowance_h: float
    used_h: float
    planned_h: Mapping[str, float]
    spare_h: float
    ends_at: datetime | None
    earliest: datetime | None
    latest: datetime | None
    ended: Ended | None = None

    @property
    def lasts(self) -> bool:
        """Whether the month ends before the hours do."""
        return self.ended is None and self.ends_at is None


def forecast(
    usages: Sequence[Usage], awake: Mapping[str, str], now: datetime, *, allowance_h: float = ALLOWANCE_H,
    suspended: Sequence[str] = (), ended_at: datetime | None = None,
) -> Forecast:  # fmt: skip
    """What will be. awake: of every free service, when it is meant to be awake.

    suspended: those that the platform suspended for its hours (or its bill); when all are, the hours are used up, whatever was
    counted.   ended_at: when it did.
    """
    _, end = month_of(now)
    used = sum(usage.used_h for usage in usages)
    low, high = sum(usage.low_h for usage in usages), sum(usage.high_h for usage in usages)
    if used >= allowance_h or (awake and set(awake) <= set(suspended)):
        return Forecast(
            allowance_h=allowance_h, used_h=used, planned_h=dict.fromkeys(awake, 0.0),
            spare_h=min(0.0, allowance_h - used), ends_at=ended_at, earliest=None, latest=None,
            ended=Ended(since=ended_at, suspended=tuple(suspended), again_at=end),
        )  # fmt: skip

    def planned_by(until: datetime) -> float:
        return sum(planned_h(spec, now, until) for spec in awake.values())

    planned = {name: planned_h(spec, now, end) for name, spec in awake.items()}
    return Forecast(
        allowance_h=allowance_h,
        used_h=used,
        planned_h=planned,
        spare_h=allowance_h - used - sum(planned.values()),
        ends_at=_runs_out(allowance_h - used, planned_by, now, end),
        earliest=_runs_out(allowance_h - high, planned_by, now, end),
        latest=_runs_out(allowance_h - low, planned_by, now, end),
    )


def planned_h(spec: str, since: datetime, until: datetime) -> float:
    """Hours that a service will use: awake as meant, and `TAIL` after each window. On demand: taken as an hour a day."""
    if spec == windows.ON_DEMAND:
        return (until - since).total_seconds() / 86_400 * DEMAND_H_PER_DAY
    total, ended = timedelta(), since
    for begin, end in windows.spans(spec, since - TAIL, until):
        begin, end = max(begin, ended), min(end + TAIL, until)
        if begin < end:
            total += end - begin
            ended = end
    return total.total_seconds() / 3600


def _runs_out(left_h: float, planned_by: Callable[[datetime], float], now: datetime, end: datetime) -> datetime | None:
    """When `planned_by`, which never falls, reaches `left_h`; to the minute."""
    if planned_by(end) <= left_h:
        return None
    first, last = now, end
    while (last - first) > timedelta(minutes=1):
        middle = first + (last - first) / 2
        if planned_by(middle) > left_h:
            last = middle
        else:
            first = middle
    return last
