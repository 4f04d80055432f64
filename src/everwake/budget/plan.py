"""Ways to make the hours last, or to go on without them: each one change, with what it leaves over. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate, combinations

from everwake.budget.forecast import forecast, planned_h
from everwake.budget.ledger import ALLOWANCE_H, Usage, month_of
from everwake.fleet.windows import ALWAYS, ON_DEMAND

__all__ = ["Way", "listed", "ways_out"]

# The cheapest instance that does not sleep and is not counted (render.com/pricing, read 2026-11).
PAID_A_MONTH = 7
MOST_WAYS = 3
# Left over at the least: nobody's forecast is good to the hour.
MARGIN_H = 1.0
# Rather one service with a day of so many hours than all of them with one that is a little shorter.
GOOD_DAY_H = 6
# All sets of so many services are tried; of more, those that save most are taken.
TRIED_MOST = 12
NAMED_MOST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way out. says: in a sentence.   awake: what would be written for each service that stays in this workspace.

    costs: US dollars a month.   spare_h: left over at the month's end; None where nobody can promise that it lasts.
    asleep_h: hours of the rest of the month in which something sleeps that was not to.
    """

    says: str
    awake: Mapping[str, str]
    costs: int = 0
    spare_h: float | None = None
    asleep_h: float = 0.0

    @property
    def lasts(self) -> bool:
        """Whether the month does."""
        return self.spare_h is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    """What is left of it. needed_by: how many others need a service.   known: hours by plan, counted once."""

    usages: Sequence[Usage]
    awake: Mapping[str, str]
    now: datetime
    zone: str
    allowance_h: float
    needed_by: Mapping[str, int]
    known: dict[str, float] = field(default_factory=dict)

    @property
    def left_h(self) -> float:
        return self.allowance_h - sum(usage.used_h for usage in self.usages)

    def of(self, spec: str) -> float:
        """Hours that a service with this plan will use."""
        if spec not in self.known:
            self.known[spec] = planned_h(spec, self.now, month_of(self.now)[1])
        return self.known[spec]

    def who(self, names: Sequence[str]) -> str:
        """In words."""
        return "all of them" if len(names) == len(self.awake) > 1 else listed(names)

    def too_many_h(self, awake: Mapping[str, str]) -> float:
        """What must be saved of such a plan."""
        return sum(map(self.of, awake.values())) - self.left_h + min(MARGIN_H, self.left_h / 2)

    def fewest(self, after: Mapping[str, str | None], *, most_needed: bool = False) -> tuple[str, ...] | None:
        """The smallest set of services that is enough when each in it is changed as `after` says (None: it leaves).

        Of equally small ones, that which leaves the owner's windows alone, then that of the least needed (or the most).
        """
        gains = {
            name: self.of(self.awake[name]) - (0.0 if plan is None else self.of(plan)) for name, plan in after.items()
        }
        needed = {name: self.needed_by.get(name, 0) * (-1 if most_needed else 1) for name in gains}
        order = sorted((name for name in gains if gains[name] > 0), key=lambda name: (-gains[name], needed[name]))
        wanted = self.too_many_h(self.awake)
        saved = enumerate(accumulate(gains[name] for name in order), 1)
        size = next((count for count, hours in saved if hours >= wanted), None)
        if size is None:
            return None
        if len(order) > TRIED_MOST:
            return self._in_order(order[:size])

        def dislike(names: Sequence[str]) -> tuple[float, ...]:
            windows = 0 if most_needed else sum(self.awake[name] != ALWAYS for name in names)
            return windows, sum(needed[name] for name in names), sum(gains[name] for name in names)

        fit = (names for names in combinations(order, size) if sum(gains[name] for name in names) >= wanted)
        return self._in_order(min(fit, key=dislike))

    def _in_order(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in self.awake if name in set(names))

    def way(self, says: str, after: Mapping[str, str], costs: int = 0) -> Way | None:
        """The way, if it lasts. after: of the services that stay."""
        spare_h = self.left_h - sum(map(self.of, after.values()))
        asleep_h = sum(max(0.0, self.of(self.awake[name]) - self.of(plan)) for name, plan in after.items())
        return (
            Way(says=says, awake=dict(after), costs=costs, spare_h=spare_h, asleep_h=asleep_h) if spare_h > 0 else None
        )


def ways_out(
    usages: Sequence[Usage], awake: Mapping[str, str], now: datetime, *, zone: str = "UTC",
    allowance_h: float = ALLOWANCE_H, needed_by: Mapping[str, int] | None = None, suspended: Sequence[str] = (),
) -> tuple[Way, ...]:  # fmt: skip
    """Three ways, or what there is of them: the cheapest first, then the one with the least sleep; none when it lasts as it is.

    What an owner has written is made neither longer nor moved. Where no plan of the day lasts any more, another workspace and a
    sleep that nobody can promise to last take its place. suspended: as `forecast` has it; where the hours are used up, the ways
    are those to go on without them.
    """
    before = forecast(usages, awake, now, allowance_h=allowance_h, suspended=suspended)
    if before.lasts or not awake:
        return ()
    month = _Month(usages=usages, awake=awake, now=now, zone=zone, allowance_h=allowance_h, needed_by=needed_by or {})
    if before.ended is not None:
        return _when_ended(month)
    free = sorted(filter(None, (_shorter_days(month), _asleep(month))), key=lambda way: way.asleep_h)
    paid = [way for way in (_paid(month, others_sleep=not free),) if way is not None]
    spare = [way for make in (_elsewhere, _all_asleep) if (way := make(month)) is not None]
    spare = spare[: MOST_WAYS - len(free) - len(paid)]
    return (*free, *(way for way in spare if way.lasts), *paid, *(way for way in spare if not way.lasts))


def _shorter_days(month: _Month) -> Way | None:
    """Some in a window of the day, as long as the hours allow: of those always awake, else of all whose day is longer."""
    found: tuple[tuple[float, ...], dict[str, str], int] | None = None
    for pool in ([name for name, plan in month.awake.items() if plan == ALWAYS], list(month.awake)):
        for hours in range(23, 0, -1):
            cut = {name: plan for name in pool if (plan := _cut(month.awake[name], hours, month.zone)) is not None}
            names = month.fewest(cut)
            if names is None:
                continue
            rank = (0, len(names), -hours) if hours >= GOOD_DAY_H else (1, -hours, len(names))
            if found is None or rank < found[0]:
                found = rank, {name: cut[name] for name in names}, hours
        if found is not None and found[0][0] == 0:
            break
    if found is None:
        return None
    _, changed, hours = found
    plans = list(dict.fromkeys(changed.values()))
    if len(plans) == 1:
        says = f'keep {month.who(list(changed))} awake {hours} h a day: awake = "{plans[0]}"'
    else:
        each = [f'{listed([name for name in changed if changed[name] == plan])} "{plan}"' for plan in plans]
        says = f"keep {month.who(list(changed))} awake {hours} h a day: {listed(each)}"
    return month.way(says, {**month.awake, **changed})


def _cut(spec: str, hours: int, zone: str) -> str | None:
    """A plan of so many hours a day that lies within this one; None where this one is not longer."""
    if spec == ON_DEMAND:
        return None
    if spec == ALWAYS:
        begins = 8 if hours <= 16 else 24 - hours
        return f"{begins:02d}:00-{begins + hours:02d}:00 {zone}"
    times, _, place = spec.partition(" ")
    begins_min, ends_min = (int(at[:2]) * 60 + int(at[3:]) for at in times.split("-"))
    if ends_min <= begins_min:
        ends_min += 24 * 60
    if ends_min - begins_min <= hours * 60:
        return None
    ends_min = begins_min + hours * 60
    ends_min -= 24 * 60 if ends_min > 24 * 60 else 0
    return f"{times[:5]}-{ends_min // 60:02d}:{ends_min % 60:02d}{' ' if place else ''}{place}"


def _asleep(month: _Month) -> Way | None:
    """The fewest sleep until somebody comes, the least needed ones; the others stay as they are."""
    names = month.fewest({name: ON_DEMAND for name, plan in month.awake.items() if plan != ON_DEMAND})
    if names is None:
        return None
    says = f'let {month.who(names)} sleep until somebody comes: awake = "on-demand"'
    return month.way(says, {name: ON_DEMAND if name in names else plan for name, plan in month.awake.items()})


def _paid(month: _Month, *, others_sleep: bool) -> Way | None:
    """Take the fewest off the free plan, the most needed ones. others_sleep: let these, where that is cheaper."""
    names = month.fewest(dict.fromkeys(month.awake), most_needed=True)
    if names is None:
        return None
    after, more = {name: plan for name, plan in month.awake.items() if name not in names}, ""
    if others_sleep:
        asleep = replace(month, awake=dict.fromkeys(month.awake, ON_DEMAND))
        fewer = asleep.fewest(dict.fromkeys(month.awake), most_needed=True)
        if fewer is not None and len(fewer) < len(names):
            names, after = fewer, {name: ON_DEMAND for name in month.awake if name not in fewer}
            more = f', and let {listed(list(after))} sleep until somebody comes: awake = "on-demand"'
    what = "a paid instance" if len(names) == 1 else "paid instances"
    costs = PAID_A_MONTH * len(names)
    return month.way(f"move {month.who(names)} to {what}, from {costs} dollars a month{more}", after, costs)


def _elsewhere(month: _Month) -> Way | None:
    """The fewest made anew in other workspaces, which have hours of their own; as few of these as hold them."""
    names = month.fewest(dict.fromkeys(month.awake))
    if names is None:
        return None
    held: list[float] = []
    for hours in sorted((month.of(month.awake[name]) for name in names), reverse=True):
        room = next((n for n, taken in enumerate(held) if taken + hours + MARGIN_H <= month.allowance_h), None)
        if room is not None:
            held[room] += hours
        elif hours + MARGIN_H <= month.allowance_h:
            held.append(hours)
        else:
            return None
    one = len(held) == 1
    where = f"in {'another workspace' if one else f'{len(held)} other workspaces'}"
    says = f"make {month.who(names)} anew {where}, with {month.allowance_h:.0f} h {'of its own' if one else 'each'}"
    return month.way(says, {name: plan for name, plan in month.awake.items() if name not in names})


def _all_asleep(month: _Month) -> Way | None:
    """All of them sleep until somebody comes, though an hour a day for each would be too much: it may be less."""
    after = dict.fromkeys(month.awake, ON_DEMAND)
    if after == month.awake or month.too_many_h(after) <= 0:
        return None
    end = month_of(month.now)[1]
    a_day_min = int(month.left_h * 60 / max(1.0, (end - month.now).total_seconds() / 86_400))
    together = "" if len(after) == 1 else " together"
    most = f"{a_day_min} min a day" if a_day_min else f"{math.ceil(month.left_h * 60)} min"
    most = f"{a_day_min // 60} h a day" if a_day_min >= 120 else most
    lasts = f"lasts while used less than {most}{together}"
    says = f'let {month.who(list(after))} sleep until somebody comes: awake = "on-demand"; {lasts}'
    return Way(says=says, awake=after)


def _when_ended(month: _Month) -> tuple[Way, ...]:
    """Wait for the new hours, another workspace, or pay. None of them makes this month's last."""
    end = month_of(month.now)[1]
    following = forecast((), month.awake, end, allowance_h=month.allowance_h)
    wait = f"wait until {end.day} {end:%B}"
    if following.ends_at is not None:
        wait += f"; planned as now, the new hours end on {following.ends_at.day} {following.ends_at:%B}"
    what, each = (*month.awake, "") if len(month.awake) == 1 else ("what is needed before that", " each")
    return (
        Way(says=wait, awake=dict(month.awake)),
        Way(says=f"make anew {what}, in another workspace with {month.allowance_h:.0f} h of its own", awake={}),
        Way(
            says=f"move {what} to a paid instance, from {PAID_A_MONTH} dollars a month{each}",
            awake={},
            costs=PAID_A_MONTH,
        ),
    )


def listed(names: Sequence[str]) -> str:
    """`a, b and c`; of many a few, and how many more."""
    if len(names) > NAMED_MOST:
        names = [*names[: NAMED_MOST - 1], f"{len(names) - NAMED_MOST + 1} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
