"""How what is kept of a service is shown: its card, its strip, its line; and the page's head over all of them. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from everwake.model import Beat, BeatKind, Incident, Observation, State
from everwake.watch import view
from everwake.watch._kept import HEART, PRIMARY, Kept

__all__ = ["beaten", "fleet_view", "looks_at", "shown", "view_of"]


def fleet_view(
    name: str, services: Sequence[view.ServiceView], *, is_monitoring: bool, trouble: tuple[str, ...]
) -> view.FleetView:
    """The page's head: the worst state, how many there are of each, and when something is looked at next."""
    worst, counts = view.overall([service.state for service in services])
    due = [service.next_check_at for service in services if service.next_check_at]
    return view.FleetView(
        name=name,
        state=worst,
        monitoring=is_monitoring,
        counts=counts,
        next_check_at=min(due, default=None),
        trouble=trouble,
        services=tuple(services),
    )


def view_of(
    kept: Kept, *, incident: str | None, next_check_at: datetime | None, rests: bool, turns_at: datetime | None
) -> view.ServiceView:
    """The card of one service. The rest is what `kept` itself does not know."""
    service, watch, last = kept.service, kept.watch, kept.last
    return view.ServiceView(
        name=service.name,
        title=service.title,
        url=service.url,
        group=service.group,
        state=watch.state,
        since=watch.since,
        cause=watch.cause,
        failure=watch.failure,
        latency_ms=None if last is None or last.status is None else round(last.took_s * 1000, 1),
        status=None if last is None else last.status,
        checked_at=None if last is None else last.at,
        next_check_at=next_check_at,
        checking=PRIMARY in kept.looking,
        heartbeat=kept.heart,
        incident=incident,
        strip=kept.strip.looks(),
        awake=service.awake,
        rests=rests,
        turns_at=turns_at,
    )


def looks_at(kept: Kept, incident: Incident | None) -> tuple[Observation, ...]:
    """The last look at a service, what its other checks see fail now, and the look that began its open incident, the newest of
    the primary check first. Not what began it where that was another check which is well again, or all is well: it says what was.
    """
    failing = [doubt.first for doubt in kept.watch.failing if doubt.check != HEART]
    first = incident.first if incident else None
    is_over = kept.watch.state is State.UP or (kept.last is not None and kept.last.failure is None)
    if first is not None and (is_over or first in (kept.last, *failing) or first.check not in (PRIMARY, HEART)):
        first = None
    return tuple(look for look in (kept.last, *failing, first) if look is not None)


def shown(seen: Observation, now: State) -> State:
    """How one look is drawn in the strip: what it saw, or what it was taken for while that is worse than a plain failure."""
    if seen.failure is None:
        return State.UP
    return now if now in (State.WAKING, State.ASLEEP, State.UNKNOWN, State.DEGRADED, State.PAUSED) else State.DOWN


def beaten(heart: view.Heart, beat: Beat) -> view.Heart:
    """The persistent line after something happened on it."""
    match beat.kind:
        case BeatKind.CONNECTED:
            return replace(heart, connected=True, connected_at=beat.at, missed=0)
        case BeatKind.BEAT | BeatKind.LATE:
            return replace(heart, connected=True, last_beat_at=beat.at, missed=0)
        case BeatKind.MISSED:
            return replace(heart, missed=heart.missed + 1)
        case BeatKind.CLOSED | BeatKind.FAILED:
            return replace(heart, connected=False)
        case BeatKind.RECONNECTING:
            return heart
