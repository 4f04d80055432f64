"""The free hours of one workspace put together: what is used, how long they last as it is planned, the ways out. Pure.

All times are the platform's own: a simulated one has a calendar that runs `speed` times as fast as ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from everwake.budget.forecast import Forecast, forecast
from everwake.budget.ledger import ALLOWANCE_H, Usage, month_of
from everwake.budget.plan import Way, ways_out
from everwake.fleet.windows import ALWAYS

__all__ = ["Hours", "put_together", "scaled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """now: the platform's time of it.   usages: of each free service.   awake: of those that may run, when they are meant to.

    ways: when they do not last.   around_the_clock: how it would go if all of them were always awake; None where they are, and
    where the hours are used up.
    speed: of the platform's time.
    """

    now: datetime
    usages: tuple[Usage, ...]
    awake: Mapping[str, str]
    forecast: Forecast
    ways: tuple[Way, ...] = ()
    around_the_clock: Forecast | None = None
    speed: float = 1.0

    @property
    def month_ends(self) -> datetime:
        """First moment of the next month, when the hours begin anew."""
        return month_of(self.now)[1]


def put_together(
    usages: Sequence[Usage], awake: Mapping[str, str], now: datetime, *, allowance_h: float = ALLOWANCE_H,
    zone: str = "UTC", needed_by: Mapping[str, int] | None = None, speed: float = 1.0, suspended: Sequence[str] = (),
    ended_at: datetime | None = None,
) -> Hours:  # fmt: skip
    """All of it. awake: of every free service that its owner did not stop; those on paid plans are not counted and not in it.

    suspended, ended_at: as `forecast` has them.
    """
    fore = forecast(usages, awake, now, allowance_h=allowance_h, suspended=suspended, ended_at=ended_at)
    around = None
    if fore.ended is None and any(plan != ALWAYS for plan in awake.values()):
        around = forecast(usages, dict.fromkeys(awake, ALWAYS), now, allowance_h=allowance_h)
    return Hours(
        now=now,
        usages=tuple(usages),
        awake=dict(awake),
        forecast=fore,
        ways=ways_out(usages, awake, now, zone=zone, allowance_h=allowance_h, needed_by=needed_by, suspended=suspended),
        around_the_clock=around,
        speed=speed,
    )


def scaled(usages: Sequence[Usage], total_h: float) -> tuple[Usage, ...]:
    """The same shares of a total that is known: in equal parts where no share is."""
    known_h = sum(one.used_h for one in usages)

    def of(one: Usage) -> float:
        return total_h * one.used_h / known_h if known_h > 0 else total_h / len(usages)

    return tuple(replace(one, used_h=of(one), low_h=of(one), high_h=of(one)) for one in usages)
