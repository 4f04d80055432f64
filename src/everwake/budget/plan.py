"""Ways to make the hours last: each one change, with what it leaves over. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from everwake.budget.forecast import forecast
from everwake.budget.ledger import ALLOWANCE_H, Usage, month_of
from everwake.fleet import windows

__all__ = ["Way", "ways_out"]

# The cheapest instance that does not sleep and is not counted (render.com/pricing, read 2026-11).
PAID_A_MONTH = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way out. says: in a sentence.   awake: what would be written for each service.   costs: US dollars a month.

    spare_h: left over at the month's end.   asleep_h: hours of the rest of the month in which something sleeps that was not to.
    """

    says: str
    awake: Mapping[str, str]
    costs: int
    spare_h: float
    asleep_h: float


def ways_out(
    usages: Sequence[Usage], awake: Mapping[str, str], now: datetime, *, zone: str = "UTC",
    allowance_h: float = ALLOWANCE_H, needed_by: Mapping[str, int] | None = None,
) -> tuple[Way, ...]:  # fmt: skip
    """Up to three ways that last the month, the cheapest first, then the one with the least sleep; empty when it lasts as it is.

    needed_by: how many others need a service; the most needed stays awake longest.
    """
    before = forecast(usages, awake, now, allowance_h=allowance_h)
    if before.lasts:
        return ()
    order = sorted(awake, key=lambda name: -(needed_by or {}).get(name, 0))
    found = [
        way for way in (
            _shorter_days(usages, awake, now, zone, allowance_h),
            _one_always(usages, awake, now, order, allowance_h),
            _pay(usages, awake, now, order, allowance_h),
        ) if way is not None
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda way: (way.costs, way.asleep_h)))


def _planned(awake: Mapping[str, str], now: datetime) -> float:
    return sum(windows.hours_awake(spec, now, month_of(now)[1]) for spec in awake.values())


def _way(
    says: str, after: Mapping[str, str], before: Mapping[str, str], usages: Sequence[Usage], now: datetime,
    allowance_h: float, costs: int = 0,
) -> Way | None:  # fmt: skip
    """The way, if it lasts. after: of the services that stay on the free plan."""
    fore = forecast(usages, after, now, allowance_h=allowance_h)
    if not fore.lasts:
        return None
    kept = {name: spec for name, spec in before.items() if name in after}
    asleep_h = max(0.0, _planned(kept, now) - _planned(after, now))
    return Way(says=says, awake=dict(after), costs=costs, spare_h=fore.spare_h, asleep_h=asleep_h)


def _shorter_days(
    usages: Sequence[Usage], awake: Mapping[str, str], now: datetime, zone: str, allowance_h: float
) -> Way | None:
    """All of them awake in one window of the day, as long as the hours allow."""
    kept = [name for name, spec in awake.items() if spec != windows.ON_DEMAND]
    left_h, days = (
        allowance_h - sum(usage.used_h for usage in usages),
        (month_of(now)[1] - now).total_seconds() / 86_400,
    )
    # No window that is much longer than this can last, so none is tried.
    longest = max(1, min(23, int(left_h / (max(days, 0.1) * len(kept or awake))) + 2))
    for hours in range(longest, 0, -1):
        begins = 8 if hours <= 16 else 24 - hours
        window = f"{begins:02d}:00-{begins + hours:02d}:00 {zone}"
        after = {name: window if name in kept else spec for name, spec in awake.items()}
        says = f'keep all of them awake {hours} h a day: awake = "{window}"'
        way = _way(says, after, awake, usages, now, allowance_h)
        if way is not None:
            return way
    return None


def _one_always(
    usages: Sequence[Usage], awake: Mapping[str, str], now: datetime, order: Sequence[str], allowance_h: float
) -> Way | None:
    """As many as can stay as they are, the most needed first; the others wake when somebody comes."""
    for stay in range(len(order) - 1, -1, -1):
        sleepers = order[stay:]
        after = {name: windows.ON_DEMAND if name in sleepers else spec for name, spec in awake.items()}
        says = f'let {_listed(sleepers)} sleep until somebody comes: awake = "on-demand"'
        way = _way(says, after, awake, usages, now, allowance_h)
        if way is not None:
            return way
    return None


def _pay(
    usages: Sequence[Usage], awake: Mapping[str, str], now: datetime, order: Sequence[str], allowance_h: float
) -> Way | None:
    """Take the fewest off the free plan."""
    for paid in range(1, len(order) + 1):
        leave = order[:paid]
        after = {name: spec for name, spec in awake.items() if name not in leave}
        costs = PAID_A_MONTH * paid
        says = f"move {_listed(leave)} to a paid instance, from {costs} dollars a month: no hours are counted there"
        way = _way(says, after, awake, usages, now, allowance_h, costs)
        if way is not None:
            return way
    return None


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
