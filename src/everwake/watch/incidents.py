"""From transitions to incidents: what opens one, what folds into another, what counts as flapping, and what is told. Pure.

- An incident opens when a service goes `down` or `degraded`, dated from when it left `up`.
- It closes when the service has been up for `settle_s`, dated from when it came back. Whoever falls again before that is
  flapping: the same incident goes on, and each time it has to stay up for longer.
- A service whose dependency is down too folds into the dependency's incident: one message, not two. So a message about a
  service that depends on others waits `grace_s`, in case the one it depends on is found down a moment later.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from everwake.model import Incident, Observation, State, Transition
from everwake.ports import Standing

__all__ = ["Book", "Told", "follow", "incident_id", "pass_time", "resume"]

_BAD = (State.DOWN, State.DEGRADED)
SETTLE_S = 60.0
LONGEST_SETTLE_S = 900.0
GRACE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An opening that is to be told, or a closing to be stored. is_news: somebody is to be told; an end is only news where
    its beginning was told."""

    incident: Incident
    opened: bool
    is_news: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One open incident. left_at: when the service left `up`.   back_at: since when it is up again, while that settles.

    tell_at: when its opening is to be told; None: told already, or never to be told because it folded.
    """

    incident: Incident
    back_at: datetime | None = None
    tell_at: datetime | None = None
    was_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All open incidents by service; left_at: services that are no longer up, since when, without an incident so far."""

    open: Mapping[str, Entry] = field(default_factory=dict)
    left_at: Mapping[str, datetime] = field(default_factory=dict)


def incident_id(service: str, opened_at: datetime) -> str:
    """The same incident gets the same id, also when it is written a second time after a crash."""
    return f"inc-{opened_at:%Y%m%d%H%M%S}{opened_at.microsecond // 1000:03d}-{service}"


def settle_s(flaps: int) -> float:
    """How long a service has to stay up before its incident closes: longer for each time it fell again."""
    return min(SETTLE_S * 2.0 ** min(flaps, 10), LONGEST_SETTLE_S)


def follow(
    book: Book, move: Transition, seen: Observation | None, depends_on: Mapping[str, tuple[str, ...]]
) -> tuple[Book, tuple[Incident, ...]]:
    """Enter one transition. The answer's incidents are those that changed, to be stored."""
    name, entry = move.service, book.open.get(move.service)
    left = dict(book.left_at)
    if move.new is State.UP:
        left.pop(name, None)
        if entry is None:
            return replace(book, left_at=left), ()
        return _with(replace(book, left_at=left), replace(entry, back_at=move.at)), ()
    left.setdefault(name, move.at)
    book = replace(book, left_at=left)
    if move.new not in _BAD:
        # Paused, asleep on purpose, waking or not known: nothing opens; what is open stays open, and is not settling.
        return (_with(book, replace(entry, back_at=None)), ()) if entry else (book, ())
    if entry is not None:
        flaps = entry.incident.flaps + (1 if entry.back_at is not None else 0)
        incident = replace(entry.incident, flaps=flaps, cause=move.cause or entry.incident.cause)
        return _with(book, replace(entry, incident=incident, back_at=None)), (incident,)
    opened_at = left[name]
    parent = _open_parent(book, name, depends_on)
    incident = Incident(
        id=incident_id(name, opened_at), service=name, opened_at=opened_at, cause=move.cause, parent=parent, first=seen
    )
    waits = any(True for _ in depends_on.get(name, ()))
    tell_at = None if parent else move.at + timedelta(seconds=GRACE_S if waits else 0.0)
    book = _with(book, Entry(incident=incident, tell_at=tell_at))
    return _fold_children(book, incident, depends_on)


def pass_time(book: Book, now: datetime) -> tuple[Book, tuple[Told, ...]]:
    """What is due by now: openings whose grace is over, and incidents that have settled. Closed ones leave the book."""
    told: list[Told] = []
    for name, entry in list(book.open.items()):
        if entry.back_at is not None and (now - entry.back_at).total_seconds() >= settle_s(entry.incident.flaps):
            closed = replace(entry.incident, closed_at=entry.back_at)
            book = replace(book, open={k: v for k, v in book.open.items() if k != name})
            told.append(Told(incident=closed, opened=False, is_news=entry.was_told))
            book = _unfold(book, closed.id, now)
        elif entry.tell_at is not None and entry.tell_at <= now and entry.back_at is None:
            told.append(Told(incident=entry.incident, opened=True))
            book = _with(book, replace(entry, tell_at=None, was_told=True))
    return book, tuple(told)


def resume(book: Book, standing: Standing, still_open: Collection[str], now: datetime) -> Book:
    """Enter what stood before a restart. still_open: ids of all open incidents: who folded into one that has ended meanwhile is
    told after the grace, and so is whoever was to be told when the keeper died."""
    name, incident = standing.service, standing.incident
    if standing.state is not State.UP:
        book = replace(book, left_at={**book.left_at, name: incident.opened_at if incident else standing.since})
    if incident is None or incident.closed_at is not None:
        return book
    waits = not standing.told and incident.parent not in still_open
    return _with(
        book,
        Entry(
            incident=incident,
            back_at=standing.since if standing.state is State.UP else None,
            tell_at=now + timedelta(seconds=GRACE_S) if waits else None,
            was_told=standing.told,
        ),
    )


def _with(book: Book, entry: Entry) -> Book:
    return replace(book, open={**book.open, entry.incident.service: entry})


def _ancestors(name: str, depends_on: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Everything `name` depends on, nearest first; a loop in the file ends where it began."""
    seen: list[str] = []
    todo = list(depends_on.get(name, ()))
    while todo:
        parent = todo.pop(0)
        if parent != name and parent not in seen:
            seen.append(parent)
            todo += depends_on.get(parent, ())
    return seen


def _open_parent(book: Book, name: str, depends_on: Mapping[str, tuple[str, ...]]) -> str | None:
    for parent in reversed(_ancestors(name, depends_on)):
        entry = book.open.get(parent)
        if entry is not None and entry.back_at is None:
            return entry.incident.id
    return None


def _fold_children(
    book: Book, parent: Incident, depends_on: Mapping[str, tuple[str, ...]]
) -> tuple[Book, tuple[Incident, ...]]:
    """A child that was found down a moment earlier folds into its parent, unless it was told already."""
    changed = [parent]
    for name, entry in list(book.open.items()):
        if not entry.was_told and entry.incident.parent is None and parent.service in _ancestors(name, depends_on):
            child = replace(entry.incident, parent=parent.id)
            book = _with(book, replace(entry, incident=child, tell_at=None))
            changed.append(child)
    return book, tuple(changed)


def _unfold(book: Book, parent_id: str, now: datetime) -> Book:
    """The parent is well again and a child is not: then it was not only the parent, and is told after the grace."""
    for entry in list(book.open.values()):
        if entry.incident.parent == parent_id and entry.back_at is None and not entry.was_told:
            book = _with(book, replace(entry, tell_at=now + timedelta(seconds=GRACE_S)))
    return book
