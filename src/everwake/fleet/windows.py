"""When a service is meant to be awake: `always`, `on-demand`, or a window such as `08:00-24:00 Europe/Berlin`. Pure.

A window is local time, so a day on which the clocks change has an hour more or less in it.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

__all__ = ["ALWAYS", "ON_DEMAND", "hours_awake", "is_awake", "next_change", "spans"]

ALWAYS, ON_DEMAND = "always", "on-demand"
_WINDOW = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)(?: (\S+))?")


def spans(awake: str, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The pieces of [since, until) in which it is meant to be awake, in order, in UTC, never touching each other.

    Raises:
        ValueError: not one of the three forms (the fleet file's reader has refused it before).
    """
    if awake == ON_DEMAND or since >= until:
        return
    if awake == ALWAYS:
        yield since.astimezone(UTC), until.astimezone(UTC)
        return
    found = _WINDOW.fullmatch(awake)
    if found is None:
        raise ValueError(f"{awake[:60]!r} is not a window")
    begins_min, ends_min = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    zone = ZoneInfo(found[5] or "UTC")
    if ends_min <= begins_min:
        ends_min += 24 * 60
    day, last = since.astimezone(zone).date() - timedelta(days=1), until.astimezone(zone).date()
    begun: datetime | None = None
    ended = since
    while day <= last:
        first, end = max(_at(day, begins_min, zone), since), min(_at(day, ends_min, zone), until)
        if first < end:
            if begun is None or first > ended:
                if begun is not None:
                    yield begun.astimezone(UTC), ended.astimezone(UTC)
                begun = first
            ended = max(end, ended)
        day += timedelta(days=1)
    if begun is not None:
        yield begun.astimezone(UTC), ended.astimezone(UTC)


def _at(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """Wall-clock time of a day, minutes from its midnight, as an instant; one that the clocks skip is read as if they had not."""
    later = day + timedelta(days=minutes // (24 * 60))
    clock = time(minutes // 60 % 24, minutes % 60)
    return datetime.combine(later, clock, tzinfo=zone).astimezone(UTC)


def is_awake(awake: str, at: datetime) -> bool:
    """Whether it is meant to be awake at that moment. On demand: not by plan, only when somebody comes."""
    return any(True for _ in spans(awake, at, at + timedelta(microseconds=1)))


def hours_awake(awake: str, since: datetime, until: datetime) -> float:
    """How many hours of [since, until) it is meant to be awake."""
    return sum((end - begin).total_seconds() for begin, end in spans(awake, since, until)) / 3600


def next_change(awake: str, at: datetime) -> datetime | None:
    """When it is next meant to wake or to go to sleep; None when never."""
    horizon = at + timedelta(days=9)
    for begin, end in spans(awake, at, horizon):
        if begin > at:
            return begin
        if end < horizon:
            return end
    return None
