"""One intention, one deploy: what an intention is called, and which deploy of a list already fulfils it. Pure.

An intention is `<id>@<time>`, e.g. `incident-17.redeploy@2026-01-01T11:30:00.000Z`: the time, by the caller's clock, before the
first thing was done for it (so before its variables were written). Who writes it down before acting can die at any moment, call
again with the same words, and finds the deploy that was made.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from everwake.model import DeployRecord

__all__ = ["TOLERANCE", "Intention", "adoptable", "intend", "read"]

# Two clocks of one machine, or of two that are kept right, differ by less.
TOLERANCE = timedelta(milliseconds=50)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Intention:
    """Whole text, and its time by the caller's clock when it names one."""

    words: str
    made_at: datetime | None


def intend(id: str, at: datetime) -> str:
    """The words of an intention that is made now. id: whatever makes it the caller's own; at: UTC-aware."""
    return f"{id}@{at.astimezone(UTC).isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"


def read(words: str) -> Intention:
    """Without a time it is still kept apart from others, but only while the process lives."""
    _, mark, stamp = words.rpartition("@")
    try:
        at = datetime.fromisoformat(stamp) if mark else None
        return Intention(words, at.astimezone(UTC) if at is not None and at.tzinfo is not None else None)
    except (ValueError, OverflowError):
        return Intention(words, None)


def adoptable(
    deploys: Iterable[DeployRecord],
    *,
    since: datetime,
    triggers: Collection[str],
    not_these: Collection[str] = (),
    is_it: Callable[[DeployRecord], bool] = lambda _: True,
) -> DeployRecord | None:
    """The newest that was created at or after `since` by one of `triggers`; one that was not canceled goes before one that was.

    since: by the platform's clock.   not_these: ids that are known to be somebody else's.
    """
    ours = [
        (each.status != "canceled", each.created_at, each)
        for each in deploys
        if each.created_at is not None
        and _latest(each.created_at) >= since
        and each.trigger in triggers
        and each.id not in not_these
        and is_it(each)
    ]
    return max(ours, key=lambda found: found[:2])[2] if ours else None


def _latest(at: datetime) -> datetime:
    """A time that has no fraction was cut to its second."""
    return at if at.microsecond else at + _SECOND
