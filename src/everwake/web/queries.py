"""What a request asks for, read from its query: times, limits, cursors. Pure; every mistake is a problem document."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from everwake.web.door import Resolution
from everwake.web.problems import Problem

__all__ = ["MOST_ITEMS", "Span", "cursor", "limit", "span", "wait_s", "wrong_cursor"]


MOST_ITEMS = 5_000
LONGEST_WAIT_S = 300.0
_CURSOR_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Span:
    """since <= at < until, told as `resolution`."""

    since: datetime
    until: datetime
    resolution: Resolution


def span(query: Mapping[str, str], now: datetime) -> Span:
    """`since`, `until`, `resolution`: by default the last 24 hours, as fine as can be drawn."""
    until = _time(query, "until") or now
    since = _time(query, "since") or _before(until)
    if since >= until:
        raise _invalid("since", "has to be before `until`")
    wanted = query.get("resolution", "auto")
    if wanted == "auto":
        return Span(since, until, _fitting(until - since))
    if wanted not in tuple(Resolution):
        raise _invalid("resolution", "is one of auto, raw, hour, day")
    return Span(since, until, Resolution(wanted))


def _fitting(length: timedelta) -> Resolution:
    if length <= timedelta(days=2):
        return Resolution.RAW
    return Resolution.HOUR if length <= timedelta(days=31) else Resolution.DAY


def _before(until: datetime) -> datetime:
    try:
        return until - timedelta(days=1)
    except OverflowError:
        raise _invalid("until", "is before all time") from None


def _time(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        # In a query `+` is a space, and hardly anybody writes %2B.
        at = datetime.fromisoformat(text.strip().replace(" ", "+"))
        if at.tzinfo is None:
            raise _invalid(name, "needs its offset from UTC, for instance 2026-01-01T00:00:00Z")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _invalid(name, "is not a time such as 2026-01-01T00:00:00Z") from None


def limit(query: Mapping[str, str], default: int = 100) -> int:
    """`limit`: how many items at most, 1 to MOST_ITEMS."""
    text = query.get("limit")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_ITEMS and len(text) <= 9):
        raise _invalid("limit", f"is a whole number from 1 to {MOST_ITEMS}")
    return int(text)


def cursor(query: Mapping[str, str]) -> str | None:
    """`cursor`: the `next` of an earlier answer."""
    text = query.get("cursor")
    if text is not None and not 0 < len(text) <= _CURSOR_LIMIT:
        raise wrong_cursor()
    return text


def wrong_cursor() -> Problem:
    """For a cursor that nobody gave out."""
    return _invalid("cursor", "is not one that an earlier answer gave as `next`")


def wait_s(query: Mapping[str, str]) -> float:
    """`wait`: seconds to wait for what a look sees; 0 without it."""
    text = query.get("wait", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= LONGEST_WAIT_S):
        raise _invalid("wait", f"is a whole number of seconds up to {LONGEST_WAIT_S:g}")
    return float(text)


def _invalid(name: str, said: str) -> Problem:
    return Problem(422, "invalid_request", f"`{name}` {said}.")
