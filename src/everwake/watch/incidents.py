"""From transitions to incidents: what opens one, what folds into another, what counts as flapping, and what is told. Pure.

- An incident opens when a service goes `down` or `degraded`, dated from its first failed look: where it was waking before, from
  the look that found it asleep. Time in which nobody could know (paused, our own line down) is not counted in.
- It closes when the service has been up for `settle_s`, dated from when it came back. Whoever falls again before that is
  flapping: the same incident goes on, and each time it has to stay up for longer.
- A service whose dependency is down too folds into the dependency's incident: one message, not two. So a message about a
  service that depends on others waits `GRACE_S`, in case the one it depends on is found down a moment later; and longer, within
  `wait_s`, while it is not known how that one stands: a look at what hangs takes its time.

What is recorded is wall time; what is waited for is counted in monotonic seconds (`now_s`), since the wall clock may jump.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from everwake.model import Incident, Observation, State, Transition
from everwake.ports import Standing

__all__ = ["Book", "Told", "amend", "ancestors", "drop", "follow", "incident_id", "pass_time", "resume"]

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
    """One open incident. back_at, back_s: since when the service is up again, while that settles; else None.

    is_down: down, not merely degraded, when last seen not well.
    tell_s: when its opening is to be told; None: told already, or never to be told because it folded.
    open_until_s: until when what it depends on may fall and be the reason of it.
    """

    incident: Incident
    back_at: datetime | None = None
    back_s: float = 0.0
    is_down: bool = True
    tell_s: float | None = None
    open_until_s: float = float("-inf")
    was_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All open incidents by service, in the order in which they opened; waking: services that wake, since when."""

    open: Mapping[str, Entry] = field(default_factory=dict)
    waking: Mapping[str, datetime] = field(default_factory=dict)


def incident_id(service: str, opened_at: datetime) -> str:
    """The same incident gets the same id, also when it is written a second time after a crash."""
    return f"inc-{opened_at:%Y%m%d%H%M%S}{opened_at.microsecond // 1000:03d}-{service}"


def settle_s(flaps: int) -> float:
    """How long a service has to stay up before its incident closes: longer for each time it fell again."""
    return min(SETTLE_S * 2.0 ** min(flaps, 10), LONGEST_SETTLE_S)


def follow(
    book: Book,
    move: Transition,
    seen: Observation | None,
    depends_on: Mapping[str, tuple[str, ...]],
    now_s: float,
    wait_s: float = GRACE_S,
) -> tuple[Book, tuple[Incident, ...]]:
    """Enter one transition. seen: the first failed look.   wait_s: within how long it shows whether what the service depends on
    fell too.   The answer's incidents are those that changed, to be stored."""
    name, entry = move.service, book.open.get(move.service)
    began_at = book.waking.get(name, move.at) if move.new is State.DOWN else move.at
    waking = {other: at for other, at in book.waking.items() if other != name}
    if move.new is State.WAKING:
        waking[name] = move.at
    if waking != book.waking:
        book = replace(book, waking=waking)
    if move.new is State.UP:
        return (book, ()) if entry is None else (_with(book, replace(entry, back_at=move.at, back_s=now_s)), ())
    if move.new not in _BAD:
        # Paused, asleep on purpose, waking or not known: nothing opens; what is open stays open, and is not settling. Whoever was
        # well when it was put to sleep was not cut short by a failure, and settles all the same.
        if move.new is State.ASLEEP and entry is not None and entry.back_at is not None:
            return book, ()
        if entry is None or entry.back_at is None:
            return book, ()
        incident = replace(entry.incident, fell_at=max(move.at, entry.incident.opened_at))
        return _with(book, replace(entry, incident=incident, back_at=None)), (incident,)
    is_down = move.new is State.DOWN
    if entry is not None:
        flaps = entry.incident.flaps + (1 if entry.back_at is not None else 0)
        # What somebody found out by looking into it is worth more than what one look says.
        cause = entry.incident.cause if entry.incident.diagnosis else move.cause or entry.incident.cause
        has_fallen = entry.back_at is not None or (is_down and not entry.is_down)
        # While it was paused, asleep on purpose or not known, nobody could have waited for it.
        falls = has_fallen or move.old in (State.PAUSED, State.ASLEEP, State.UNKNOWN)
        fell_at = max(move.at, entry.incident.opened_at) if falls else entry.incident.fell_at
        incident, tell_s = replace(entry.incident, flaps=flaps, cause=cause, fell_at=fell_at), entry.tell_s
        if entry.back_at is not None and tell_s is None and not entry.was_told:
            # It was folded, and falls again: perhaps alone this time.
            incident = replace(incident, parent=_open_parent(book, name, depends_on))
            tell_s = None if incident.parent else now_s + GRACE_S
        until_s = now_s + wait_s if has_fallen else entry.open_until_s
        again = replace(entry, incident=incident, back_at=None, is_down=is_down, tell_s=tell_s, open_until_s=until_s)
        book = _with(book, again)
        return _fold_children(book, incident, depends_on, now_s) if is_down and has_fallen else (book, (incident,))
    parent = _open_parent(book, name, depends_on)
    incident = Incident(
        id=incident_id(name, began_at), service=name, opened_at=began_at, cause=move.cause, parent=parent, first=seen
    )
    tell_s = None if parent else now_s + (GRACE_S if depends_on.get(name) else 0.0)
    book = _with(book, Entry(incident=incident, tell_s=tell_s, is_down=is_down, open_until_s=now_s + wait_s))
    return _fold_children(book, incident, depends_on, now_s) if is_down else (book, (incident,))


def pass_time(
    book: Book, now_s: float, is_unsure: Callable[[str], bool] = lambda name: False
) -> tuple[Book, tuple[Told, ...]]:
    """What is due by now: openings whose grace is over, and incidents that have settled. Closed ones leave the book.

    is_unsure: whether it has yet to show how that stands on which this service depends.
    """
    told: list[Told] = []
    for name, entry in list(book.open.items()):
        entry = book.open.get(name, entry)
        if entry.back_at is not None and now_s - entry.back_s >= settle_s(entry.incident.flaps):
            book, closed = drop(book, name, entry.back_at, now_s)
            told += closed
        elif entry.tell_s is not None and entry.tell_s <= now_s and entry.back_at is None:
            if now_s < entry.open_until_s and is_unsure(name):
                continue
            told.append(Told(incident=entry.incident, opened=True))
            book = _with(book, replace(entry, tell_s=None, was_told=True))
    return book, tuple(told)


def drop(book: Book, name: str, at: datetime, now_s: float) -> tuple[Book, tuple[Told, ...]]:
    """Close what is open of one service. at: when it ended, though never before it began: the clock may have been put back."""
    entry = book.open.get(name)
    waking = {other: since for other, since in book.waking.items() if other != name}
    book = replace(book, open={k: v for k, v in book.open.items() if k != name}, waking=waking)
    if entry is None:
        return book, ()
    closed = replace(entry.incident, closed_at=max(at, entry.incident.opened_at))
    return _unfold(book, closed.id, now_s), (Told(incident=closed, opened=False, is_news=entry.was_told),)


def amend(book: Book, name: str, change: Callable[[Incident], Incident]) -> tuple[Book, Incident | None]:
    """Put what was found out or done into the open incident of a service; None where there is none."""
    entry = book.open.get(name)
    if entry is None:
        return book, None
    incident = change(entry.incident)
    return _with(book, replace(entry, incident=incident)), incident


def resume(
    book: Book,
    standing: Standing,
    still_open: Collection[str],
    now: datetime,
    now_s: float,
    wait_s: float = GRACE_S,
) -> Book:
    """Enter what stood before a restart. still_open: ids of all open incidents: who folded into one that has ended meanwhile is
    told after the grace, and so is whoever was to be told when the keeper died."""
    name, incident = standing.service, standing.incident
    if standing.state is State.WAKING:
        book = replace(book, waking={**book.waking, name: standing.since})
    if incident is None or incident.closed_at is not None:
        return book
    waits = not standing.told and incident.parent not in still_open
    is_back = standing.state is State.UP
    back_for_s = max(0.0, (now - standing.since).total_seconds())
    return _with(
        book,
        Entry(
            incident=incident,
            back_at=standing.since if is_back else None,
            back_s=now_s - back_for_s if is_back else 0.0,
            is_down=standing.state is not State.DEGRADED,
            tell_s=now_s + GRACE_S if waits else None,
            open_until_s=now_s + wait_s if waits else float("-inf"),
            was_told=standing.told,
        ),
    )


def _with(book: Book, entry: Entry) -> Book:
    return replace(book, open={**book.open, entry.incident.service: entry})


def ancestors(name: str, depends_on: Mapping[str, tuple[str, ...]]) -> list[str]:
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
    for parent in reversed(ancestors(name, depends_on)):
        entry = book.open.get(parent)
        if entry is not None and entry.back_at is None and entry.is_down:
            return entry.incident.id
    return None


def _fold_children(
    book: Book, parent: Incident, depends_on: Mapping[str, tuple[str, ...]], now_s: float
) -> tuple[Book, tuple[Incident, ...]]:
    """A child that was found down a moment earlier folds into its parent. Where it was told already its end is told too, but it
    is known what it was part of."""
    changed = [parent]
    for name, entry in list(book.open.items()):
        if entry.was_told and entry.incident.parent is None and now_s <= entry.open_until_s:
            if parent.service in ancestors(name, depends_on):
                child = replace(entry.incident, parent=parent.id)
                book = _with(book, replace(entry, incident=child))
                changed.append(child)
            continue
        is_free = entry.incident.parent is None or entry.tell_s is not None
        if not entry.was_told and is_free and parent.service in ancestors(name, depends_on):
            child = replace(entry.incident, parent=parent.id)
            book = _with(book, replace(entry, incident=child, tell_s=None))
            changed.append(child)
    return book, tuple(changed)


def _unfold(book: Book, parent_id: str, now_s: float) -> Book:
    """The parent is well again and a child is not: then it was not only the parent, and is told after the grace."""
    for entry in list(book.open.values()):
        if entry.incident.parent == parent_id and entry.back_at is None and not entry.was_told:
            book = _with(book, replace(entry, tell_s=now_s + GRACE_S))
    return book
