"""What the page and the API ask, one function each, over a connection; the answers are frozen values.

    await history.read(queries.uptimes, now)

A cursor is what an answer's `next` said; anything else raises ValueError.
"""

import sqlite3
import sys
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import merge
from operator import itemgetter

from everwake.history import statements as sql
from everwake.history._courses import courses, runs
from everwake.history._upkeep import cell_of, day_key, day_us, hour_us, merged
from everwake.history._writes import ROLLED
from everwake.history.packing import (
    EPOCH,
    HOUR_MS,
    NONE,
    SLOTS,
    Cell,
    cells,
    day_of,
    figures,
    hour_of,
    key_of,
    look_ms,
    observation_of,
    read_actions,
    read_diagnosis,
    read_doubts,
    read_failure,
    read_headers,
    read_observation,
    read_phases,
    read_proof,
    time_of_key,
    to_time,
    to_us,
    unpack_value,
)
from everwake.history.rollup import Sketch
from everwake.history.uptime import shares
from everwake.history.values import SPANS, DayGrid, Glimpse, Page, Resolution, Rollup, Story
from everwake.model import Failure, FailureKind, Incident, Level, LogLine, Observation, Phase, State, Transition
from everwake.ports import Standing

__all__ = [
    "days", "incident", "incidents", "log", "observations", "open_incidents", "rollups", "standings", "strips", "uptimes",
]  # fmt: skip

PRIMARY = "http"
LONGEST_LIST = 1_000
LAST_LOOK_HOURS = 25
_NEWEST_US = 1 << 62
_HOURS = tuple(timedelta(hours=hour) for hour in range(SLOTS))

# --- how everything stands --------------------------------------------------------------------------------------------


def standings(connection: sqlite3.Connection, now: datetime) -> list[Standing]:
    """How every service stood when last seen, by name, with its open incident and the last look at it."""
    opened = {row[1]: (_incident(row), bool(row[9])) for row in connection.execute(sql.OPEN_INCIDENTS).fetchall()}
    newest = _newest_looks(connection, now)
    answer = []
    for _, name, state, since_us, cause, streak, last, doubts in connection.execute(sql.STANDINGS):
        incident_, told = opened.get(name, (None, False))
        stored = None if last is None else read_observation(last)
        seen = newest.get(name)
        if stored is not None and (seen is None or look_ms(stored.at) >= look_ms(seen.at)):
            seen = stored
        answer.append(
            Standing(
                service=name, state=State(state), since=to_time(since_us), cause=cause, streak=streak,
                incident=incident_, told=told, last=seen, doubts=read_doubts(doubts),
            )
        )  # fmt: skip
    return answer


def _newest_looks(connection: sqlite3.Connection, now: datetime) -> dict[str, Observation]:
    """The last look of every service within a day, as far as two integers tell it."""
    names = dict(connection.execute(sql.STREAMS_OF_KIND, (PRIMARY,)).fetchall())
    missing, found = set(names), {}
    hour = look_ms(now) // HOUR_MS
    for back in range(LAST_LOOK_HOURS):
        if not missing:
            break
        for stream in tuple(missing):
            span = key_of(hour - back, stream), key_of(hour - back, stream + 1)
            row = connection.execute(sql.NEWEST_LOOKS, (*span, 1)).fetchone()
            if row is not None:
                missing.discard(stream)
                found[names[stream]] = _with_failure(connection, names[stream], PRIMARY, *row)
    return found


def _with_failure(connection: sqlite3.Connection, service: str, check: str, key: int, value: int) -> Observation:
    failures = {row[0]: row for row in connection.execute(sql.FAILURES, (key, key + 1, 1))}
    return _observation(service, check, key, value, failures.get(key), None)


def strips(
    connection: sqlite3.Connection, now: datetime, count: int = 60, check: str = PRIMARY
) -> dict[str, tuple[Glimpse, ...]]:
    """The last `count` looks at every service within a day, oldest first."""
    names = dict(connection.execute(sql.STREAMS_OF_KIND, (check,)).fetchall())
    rows: dict[int, list[tuple[int, int]]] = {stream: [] for stream in names}
    missing, hour = set(names), look_ms(now) // HOUR_MS
    for back in range(LAST_LOOK_HOURS):
        for stream in tuple(missing):
            known = rows[stream]
            span = key_of(hour - back, stream), key_of(hour - back, stream + 1)
            known += connection.execute(sql.NEWEST_LOOKS, (*span, count - len(known))).fetchall()
            if len(known) >= count:
                missing.discard(stream)
        if not missing:
            break
    return {names[stream]: tuple(_glimpse(*row) for row in reversed(known)) for stream, known in rows.items()}


def _glimpse(key: int, value: int) -> Glimpse:
    tenths, status, failed, _ = unpack_value(value)
    return Glimpse(EPOCH + timedelta(milliseconds=time_of_key(key)), not failed, status, tenths / 10)


# --- single looks -----------------------------------------------------------------------------------------------------


def observations(
    connection: sqlite3.Connection,
    service: str,
    *,
    since: datetime,
    until: datetime,
    limit: int = 500,
    cursor: str | None = None,
    check: str | None = None,
) -> Page[Observation]:
    """Looks at one service, since <= at < until, oldest first; of all its checks, or one. Failures tell everything, good looks
    their status and duration, and some their phases. Looks older than a week are gone, failures than 90 days."""
    limit = max(1, min(limit, LONGEST_LIST))
    streams = {
        stream: kind
        for stream, kind in connection.execute(sql.STREAMS_OF_SERVICE, (service,))
        if check is None or kind == check
    }
    begin_ms, end_ms = look_ms(since), look_ms(until)
    after_ms, after_stream = _look_cursor(cursor)
    first_hour = max(begin_ms, after_ms) // HOUR_MS
    first_hour = max(first_hour, _first_hour(connection, first_hour))
    found: list[tuple[int, int, Observation]] = []
    for hour in range(first_hour, -(-end_ms // HOUR_MS)):
        for at_ms, stream, seen in _hour_of_looks(connection, service, streams, hour):
            if begin_ms <= at_ms < end_ms and (at_ms, stream) > (after_ms, after_stream):
                found.append((at_ms, stream, seen))
        if len(found) > limit:
            break
    items = found[:limit]
    more = f"{items[-1][0]}-{items[-1][1]}" if len(found) > limit else None
    return Page(tuple(item[2] for item in items), more)


def _first_hour(connection: sqlite3.Connection, hour: int) -> int:
    """The first hour from `hour` on in which anything is kept, so that asking for last year does not walk through it."""
    kept = [
        hour_of(row[0])
        for row in (
            connection.execute(sql.NEXT_LOOK, (key_of(hour),)).fetchone(),
            connection.execute(sql.NEXT_FAILURE, (key_of(hour),)).fetchone(),
        )
        if row is not None
    ]
    return min(kept, default=1 << 24)


def _hour_of_looks(
    connection: sqlite3.Connection, service: str, streams: Mapping[int, str], hour: int
) -> Iterable[tuple[int, int, Observation]]:
    """(ms, stream, look) of one hour, in the order of time."""
    lists = []
    for stream, kind in streams.items():
        span = key_of(hour, stream), key_of(hour, stream + 1), 1 << 30
        failures = {row[0]: row for row in connection.execute(sql.FAILURES, span)}
        phases = dict(connection.execute(sql.PHASES, span).fetchall())
        values = dict(connection.execute(sql.STREAM_LOOKS, span).fetchall())
        values = {key: row[1] for key, row in failures.items()} | values
        lists.append(
            [
                (time_of_key(key), stream, _observation(service, kind, key, value, failures.get(key), phases.get(key)))
                for key, value in sorted(values.items())
            ]
        )
    return merge(*lists, key=itemgetter(0, 1))


def _observation(
    service: str,
    check: str,
    key: int,
    value: int,
    failure: tuple[int, int, str, str, str, str, str, str] | None,
    phases: str | None,
) -> Observation:
    seen = observation_of(service, check, key, value, phases=phases)
    if failure is None:
        # A failed look whose failure was dropped because too many waited is still no good one.
        if value < 0:
            kept = Failure(kind=FailureKind.BEAT_MISSED, phase=Phase.BEAT)
            lost = Failure(kind=FailureKind.INTERNAL, phase=Phase.EXPECT, detail="what failed was not kept")
            return replace(seen, failure=kept if check == "heartbeat" else lost)
        return seen
    _, _, kind, phase, detail, spent, headers, excerpt = failure
    return replace(
        seen,
        failure=Failure(kind=FailureKind(kind), phase=Phase(phase), detail=detail),
        phases=read_phases(spent),
        headers=read_headers(headers),
        excerpt=excerpt,
    )


def _look_cursor(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return -1, -1
    ms, _, stream = cursor.partition("-")
    if not (ms.isdecimal() and stream.isdecimal()) or len(cursor) > 40:
        raise ValueError(f"{cursor!r} is no cursor")
    return int(ms), int(stream)


# --- hours and days ---------------------------------------------------------------------------------------------------


def rollups(
    connection: sqlite3.Connection,
    service: str,
    resolution: Resolution,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    check: str = PRIMARY,
) -> tuple[Rollup, ...]:
    """Hours or days of one check of a service that overlap since..until, oldest first, up to this moment. Hours without a look
    are left out."""
    stream = next(
        (number for number, kind in connection.execute(sql.STREAMS_OF_SERVICE, (service,)) if kind == check), None
    )
    if stream is None or resolution is Resolution.RAW or since >= until:
        return ()
    until = min(until, now + timedelta(hours=1))
    first_hour, last_hour = look_ms(since) // HOUR_MS, -(-look_ms(until) // HOUR_MS) - 1
    tail = _tail(connection, service, stream, now)
    if resolution is Resolution.HOUR:
        return _hours(connection, stream, first_hour, last_hour, tail)
    return _days(connection, service, stream, first_hour // SLOTS, last_hour // SLOTS, tail, now)


def _rollup(at: datetime, cell: tuple[int, ...]) -> Rollup:
    looks, failed, up, p50, p95, p99, most = cell
    if up != NONE and p50 != NONE:
        return Rollup(at, looks, failed, up / 1e9, p50 / 10, p95 / 10, p99 / 10, most / 10)
    times = (None if tenths == NONE else tenths / 10 for tenths in (p50, p95, p99, most))
    return Rollup(at, looks, failed, None if up == NONE else up / 1e9, *times)


def _hours(
    connection: sqlite3.Connection, stream: int, first: int, last: int, tail: Mapping[int, tuple[Cell, Sketch]]
) -> tuple[Rollup, ...]:
    hour_, new = timedelta(hours=1), tuple.__new__
    answer: list[Rollup] = []
    span = day_key(stream, first // SLOTS), day_key(stream, last // SLOTS)
    for key, data in connection.execute(sql.ROLLED_HOURS, span):
        begin = (key & 0xFFFF) * SLOTS
        midnight = EPOCH + begin * hour_
        is_whole = (
            first <= begin and begin + SLOTS <= last + 1 and not any(begin <= hour < begin + SLOTS for hour in tail)
        )
        for slot, cell in enumerate(figures(data)):
            looks, failed, up, p50, p95, p99, most = cell
            if not looks or not (is_whole or (first <= begin + slot <= last and begin + slot not in tail)):
                continue
            if up != NONE and p50 != NONE:
                # 2,160 times for 90 days: a tuple made straight away is half the time of a call.
                told = (midnight + _HOURS[slot], looks, failed, up / 1e9, p50 / 10, p95 / 10, p99 / 10, most / 10)
                answer.append(new(Rollup, told))
            else:
                answer.append(_rollup(midnight + _HOURS[slot], cell))
    answer += [
        _rollup(EPOCH + hour * hour_, cell)
        for hour, (cell, _) in sorted(tail.items())
        if first <= hour <= last and cell.looks
    ]
    return tuple(answer)


def _days(
    connection: sqlite3.Connection,
    service: str,
    stream: int,
    first: int,
    last: int,
    tail: Mapping[int, tuple[Cell, Sketch]],
    now: datetime,
) -> tuple[Rollup, ...]:
    span = day_key(stream, first), day_key(stream, last)
    known = {key & 0xFFFF: cells(data)[0] for key, data in connection.execute(sql.ROLLED_DAYS, span)}
    fresh = {hour // SLOTS for hour in tail}
    sketches = {
        day: Sketch.decode(data)
        for key, data in connection.execute(sql.DAY_SKETCHES, span)
        if (day := key & 0xFFFF) in fresh
    }
    for day in fresh:
        if first <= day <= last:
            parts = [part for hour, part in tail.items() if hour // SLOTS == day]
            up = _shares(connection, service, [(day_us(day), min(day_us(day + 1), to_us(now)))])[0]
            whole, _ = merged(
                [known.get(day, Cell()), *(cell for cell, _ in parts)],
                [sketches.get(day, Sketch()), *(sketch for _, sketch in parts)],
                up,
            )
            known[day] = whole
    return tuple(_rollup(EPOCH + timedelta(days=day), cell) for day, cell in sorted(known.items()) if cell.looks)


def _tail(connection: sqlite3.Connection, service: str, stream: int, now: datetime) -> dict[int, tuple[Cell, Sketch]]:
    """Hours that are not rolled up yet: this one, and a few before it when the keeper was away."""
    row = connection.execute(sql.PROGRESS, (ROLLED,)).fetchone()
    this = look_ms(now) // HOUR_MS
    begin = max(int(row[0]), this - 7 * SLOTS) if row else max(0, this - 7 * SLOTS)
    values: dict[int, list[int]] = {}
    for hour in range(begin, this + 1):
        span = key_of(hour, stream), key_of(hour, stream + 1)
        if looks := [value for _, value in connection.execute(sql.LOOKS, span)]:
            values[hour] = looks
    ups = _shares(connection, service, [(hour_us(hour), hour_us(hour + 1)) for hour in values])
    return {hour: cell_of(looks, up) for (hour, looks), up in zip(values.items(), ups, strict=True)}


def _shares(connection: sqlite3.Connection, service: str, spans: list[tuple[int, int]]) -> list[float | None]:
    row = connection.execute(sql.SERVICE_ID, (service,)).fetchone()
    if row is None or not spans:
        return [None] * len(spans)
    since_us = min(begin for begin, _ in spans)
    course = courses(connection, since_us, row[0]).get(row[0])
    return [None] * len(spans) if course is None else shares(course, runs(connection, since_us), spans)


def uptimes(connection: sqlite3.Connection, now: datetime) -> dict[str, dict[str, float | None]]:
    """Of every service, for each of `SPANS` that ends now."""
    now_us = to_us(now)
    spans = [(to_us(now - span), now_us) for span in SPANS.values()]
    since_us = min(begin for begin, _ in spans)
    names, there = dict(connection.execute(sql.SERVICES).fetchall()), runs(connection, since_us)
    return {
        names[number]: dict(zip(SPANS, shares(course, there, spans), strict=True))
        for number, course in courses(connection, since_us).items()
    }


def days(connection: sqlite3.Connection, now: datetime, count: int = 90) -> DayGrid:
    """How much of each of the last `count` days every service was up, today included."""
    today = day_of(now)
    first = today - count + 1
    names = dict(connection.execute(sql.SERVICES).fetchall())
    width = max(names, default=0) + 1
    blank: list[float | None] = [None] * width
    columns = [blank] * count
    rolled = set()
    for day, data in connection.execute(sql.DAYS, (first, today - 1)):
        uptimes_ = array("I", data)
        if sys.byteorder == "big":
            uptimes_.byteswap()
        column = [None if up == NONE else up / 1e9 for up in uptimes_]
        columns[day - first] = column + blank[len(column) :]
        rolled.add(day)
    # Today, and a day that is over but not rolled up yet.
    fresh = [day for day in (today - 1, today) if day not in rolled and day >= first]
    spans = [(day_us(day), day_us(day + 1)) for day in fresh]
    there = runs(connection, spans[0][0])
    for day in fresh:
        columns[day - first] = blank.copy()
    for number, course in courses(connection, spans[0][0]).items():
        for day, up in zip(fresh, shares(course, there, spans), strict=True):
            columns[day - first][number] = up
    rows = list(zip(*columns, strict=True))
    return DayGrid((EPOCH + timedelta(days=first)).date(), {name: rows[number] for number, name in names.items()})


# --- incidents and the log --------------------------------------------------------------------------------------------


_Row = tuple[
    str, str, int, int | None, str | None, str | None, int, str | None, str, int, str | None, str | None, int | None
]


def _incident(row: _Row) -> Incident:
    number, name, opened_us, closed_us, cause, parent, flaps, first, actions, _, diagnosis, proof, fell_us = row
    return Incident(
        id=number,
        service=name,
        opened_at=to_time(opened_us),
        closed_at=None if closed_us is None else to_time(closed_us),
        cause=cause,
        parent=parent,
        flaps=flaps,
        fell_at=None if fell_us is None else to_time(fell_us),
        first=None if first is None else read_observation(first),
        actions=read_actions(actions),
        diagnosis=read_diagnosis(diagnosis),
        proof=read_proof(proof),
    )


def open_incidents(connection: sqlite3.Connection) -> tuple[Incident, ...]:
    """All that are open, in the order in which they opened."""
    return tuple(_incident(row) for row in connection.execute(sql.OPEN_INCIDENTS))


def incidents(
    connection: sqlite3.Connection, *, service: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Incident]:
    """Open and closed, newest first."""
    limit = max(1, min(limit, LONGEST_LIST))
    before = (_NEWEST_US, "")
    if cursor is not None:
        opened_us, _, number = cursor.partition("-")
        if not opened_us.isdecimal() or len(opened_us) > 18 or not number:
            raise ValueError(f"{cursor!r} is no cursor")
        before = int(opened_us), number
    if service is None:
        rows = connection.execute(sql.INCIDENTS, (*before, limit + 1)).fetchall()
    else:
        rows = connection.execute(sql.INCIDENTS_OF_SERVICE, (service, *before, limit + 1)).fetchall()
    more = f"{rows[limit - 1][2]}-{rows[limit - 1][0]}" if len(rows) > limit else None
    return Page(tuple(_incident(row) for row in rows[:limit]), more)


def incident(connection: sqlite3.Connection, incident_id: str) -> Story | None:
    """The one of that id, with what happened in it."""
    row = connection.execute(sql.INCIDENT, (incident_id,)).fetchone()
    if row is None:
        return None
    found = _incident(row)
    until_us = _NEWEST_US if found.closed_at is None else to_us(found.closed_at)
    span = found.service, to_us(found.opened_at), until_us, LONGEST_LIST
    return Story(
        found,
        bool(row[9]),
        tuple(
            Transition(
                service=name, old=State(old), new=State(new), at=to_time(at_us), cause=cause,
                failure=read_failure(failure),
            )
            for name, old, new, at_us, cause, failure in connection.execute(sql.TRANSITIONS_OF_INCIDENT, span)
        ),
    )  # fmt: skip


def log(
    connection: sqlite3.Connection,
    *,
    service: str | None = None,
    level: Level | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[LogLine]:
    """The activity log, newest first."""
    limit = max(1, min(limit, LONGEST_LIST))
    if cursor is not None and (not cursor.isdecimal() or len(cursor) > 18):
        raise ValueError(f"{cursor!r} is no cursor")
    values = {
        "before": _NEWEST_US if cursor is None else int(cursor),
        "level": None if level is None else level.value,
        "limit": limit + 1,
        "service": service,
    }
    rows = connection.execute(sql.LINES if service is None else sql.LINES_OF_SERVICE, values).fetchall()
    items = tuple(
        LogLine(at=to_time(at_us), level=Level(level_), text=text, service=name)
        for _, at_us, level_, name, text in rows[:limit]
    )
    return Page(items, str(rows[limit - 1][0]) if len(rows) > limit else None)
