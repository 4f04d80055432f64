"""The day on which the free hours run out, with its range, from what is used and what is planned. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from everwake.budget.ledger import ALLOWANCE_H, Usage, month_of
from everwake.fleet import windows

__all__ = ["Forecast", "forecast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How the month will go, in hours. ends_at: when they run out, None when they last; earliest and latest: its range.

    planned_h: by service, from now to the month's end.   spare_h: left over at its end, negative when they do not last.
    """

    allowance_h: float
    used_h: float
    planned_h: Mapping[str, float]
    spare_h: float
    ends_at: datetime | None
    earliest: datetime | None
    latest: datetime | None

    @property
    def lasts(self) -> bool:
        """Whether the month ends before the hours do."""
        return self.ends_at is None


def forecast(
    usages: Sequence[Usage], awake: Mapping[str, str], now: datetime, *, allowance_h: float = ALLOWANCE_H,
    demand_h_per_day: float = 1.0,
) -> Forecast:  # fmt: skip
    """What will be. awake: of every free service, when it is meant to be awake; demand_h_per_day: taken for those on demand."""
    _, end = month_of(now)

    def planned_h(spec: str, until: datetime) -> float:
        if spec == windows.ON_DEMAND:
            return (until - now).total_seconds() / 86_400 * demand_h_per_day
        return windows.hours_awake(spec, now, until)

    def planned_by(until: datetime) -> float:
        return sum(planned_h(spec, until) for spec in awake.values())

    planned = {name: planned_h(spec, end) for name, spec in awake.items()}
    used = sum(usage.used_h for usage in usages)
    low, high = sum(usage.low_h for usage in usages), sum(usage.high_h for usage in usages)
    return Forecast(
        allowance_h=allowance_h,
        used_h=used,
        planned_h=planned,
        spare_h=allowance_h - used - sum(planned.values()),
        ends_at=_runs_out(allowance_h - used, planned_by, now, end),
        earliest=_runs_out(allowance_h - high, planned_by, now, end),
        latest=_runs_out(allowance_h - low, planned_by, now, end),
    )


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
