"""Free hours in words and as JSON values: the same sentences for the terminal, the page and a message. Pure."""

from datetime import datetime
from typing import Any

from everwake.budget.forecast import Ended, Forecast
from everwake.budget.hours import Hours
from everwake.budget.ledger import Source
from everwake.budget.plan import listed

__all__ = ["document", "headline", "lines", "lines_of_ways", "of_service", "title_of_ways"]

_SOURCES = {
    Source.PLATFORM: "counted by the platform",
    Source.SEEN: "from our looks",
    Source.ASSUMED: "not counted, assumed",
}


def headline(hours: Hours) -> str:
    """How it goes, in a sentence or two."""
    fore = hours.forecast
    if fore.ended is not None:
        return _ended(fore, fore.ended)
    planned_h = sum(fore.planned_h.values())
    total = f"{fore.used_h + planned_h:.0f} of {fore.allowance_h:.0f} h used or planned"
    if fore.ends_at is None:
        said = f"{total}. They last the month, with {fore.spare_h:.0f} h to spare"
    else:
        said = f"{total}. They end on {_day(fore.ends_at)}{_range(fore)}"
        said += "; then the platform suspends all free services until the month ends"
    around = hours.around_the_clock
    if fore.ends_at is None and around is not None and around.ends_at is not None:
        said += f". Awake around the clock they would end on {_day(around.ends_at)}"
    return f"{said}."


def _ended(fore: Forecast, ended: Ended) -> str:
    again = f"until {_day(ended.again_at)}, when {fore.allowance_h:.0f} h begin anew"
    if not ended.suspended:
        return (
            f"By this count the {fore.allowance_h:.0f} h are used up, yet the platform has suspended nobody. "
            f"When it does, all free services stay suspended {again}."
        )
    said = f"The {fore.allowance_h:.0f} h are used up"
    said += f" since {_day(ended.since)}" if ended.since else " (since when, the platform does not say)"
    if fore.used_h < fore.allowance_h:
        said = f"The platform has suspended all free services, as it does when the {fore.allowance_h:.0f} h are used up"
        said += f" (here {fore.used_h:.0f} were counted)"
    one = len(ended.suspended) == 1
    return f"{said}. {listed(ended.suspended)} {'is' if one else 'are'} suspended {again}."


def _range(fore: Forecast) -> str:
    if fore.earliest is None or fore.earliest.date() == (fore.latest or fore.earliest).date():
        return ""
    latest = "the month's end" if fore.latest is None else f"the {fore.latest:%d}"
    return f" (between the {fore.earliest:%d} and {latest})"


def _day(at: datetime) -> str:
    return f"{at:%A} {at.day} {at:%B}, {at:%H:%M} UTC"


def of_service(hours: Hours, name: str) -> str:
    """What one service used and is planned to use."""
    used = next((one for one in hours.usages if one.service == name), None)
    planned_h = hours.forecast.planned_h.get(name)
    said = "-" if used is None else f"{used.used_h:.1f} h used"
    if used is not None and used.high_h - used.low_h >= 1:
        said += f" ({used.low_h:.0f} to {used.high_h:.0f})"
    ended = hours.forecast.ended
    if planned_h is None or (ended and name in ended.suspended):
        said += ", suspended"
    elif ended is None:
        said += f", {planned_h:.0f} h planned ({hours.awake.get(name, 'always')})"
    return said if used is None else f"{said}, {_SOURCES[used.source]}"


def lines(hours: Hours) -> list[tuple[str, bool]]:
    """For a person: (line, whether it is a warning)."""
    fore = hours.forecast
    found = [(f"{fore.used_h:.0f} of {fore.allowance_h:.0f} h used this month (UTC)", False)]
    found.append((headline(hours), not fore.lasts))
    width = max((len(one.service) for one in hours.usages), default=0)
    found += [(f"  {one.service:<{width}}  {of_service(hours, one.service)}", False) for one in hours.usages]
    if hours.speed != 1:
        found.append(
            (f"a simulated platform: its hours pass {hours.speed:g} times as fast, and so does its calendar", False)
        )
    if hours.ways:
        found.append((f"{title_of_ways(hours)}:", False))
        found += [(f"  {line}", False) for line in lines_of_ways(hours)]
    return found


def title_of_ways(hours: Hours) -> str:
    """What they are: with the hours used up, and late in the month, not all of them make the hours last."""
    return "ways to make them last" if all(way.lasts for way in hours.ways) else "ways out"


def lines_of_ways(hours: Hours) -> list[str]:
    """Each with its number and what it leaves over."""
    spare = ["" if way.spare_h is None else f" ({way.spare_h:.0f} h to spare)" for way in hours.ways]
    return [f"{n}. {way.says}{more}" for n, (way, more) in enumerate(zip(hours.ways, spare, strict=True), 1)]


def _when(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def _document(fore: Forecast) -> dict[str, Any]:
    ended = fore.ended
    return {
        "allowance_h": fore.allowance_h,
        "used_h": round(fore.used_h, 2),
        "planned_h": round(sum(fore.planned_h.values()), 2),
        "spare_h": round(fore.spare_h, 2),
        "lasts": fore.lasts,
        "ends_at": _when(fore.ends_at),
        "earliest": _when(fore.earliest),
        "latest": _when(fore.latest),
        "ended": None if ended is None else {
            "since": _when(ended.since), "suspended": list(ended.suspended), "again_at": _when(ended.again_at),
        },
    }  # fmt: skip


def document(hours: Hours) -> dict[str, Any]:
    """The same as JSON values. Times are the platform's; they are ours but for a simulated one."""
    around = hours.around_the_clock
    return {
        **_document(hours.forecast),
        "at": _when(hours.now),
        "month": f"{hours.now:%Y-%m}",
        "month_ends": _when(hours.month_ends),
        "speed": hours.speed,
        "said": headline(hours),
        "services": [
            {
                "name": one.service, "used_h": round(one.used_h, 2), "low_h": round(one.low_h, 2),
                "high_h": round(one.high_h, 2), "source": one.source.value, "awake": hours.awake.get(one.service),
                "planned_h": round(hours.forecast.planned_h.get(one.service, 0.0), 2),
            }
            for one in hours.usages
        ],
        "around_the_clock": _document(around) if around is not None else None,
        "ways": [
            {
                "says": way.says, "awake": dict(way.awake), "costs": way.costs, "lasts": way.lasts,
                "spare_h": None if way.spare_h is None else round(way.spare_h, 2),
            }
            for way in hours.ways
        ],
    }  # fmt: skip
