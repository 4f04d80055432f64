"""In which state every service was, from when: what free hours are counted from where no platform counts them."""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from everwake.history import statements as sql
from everwake.history._courses import courses, runs
from everwake.history._file import reader
from everwake.history.packing import to_time, to_us
from everwake.history.uptime import Course
from everwake.model import State

__all__ = ["moves", "moves_in"]

Moves = dict[str, tuple[tuple[datetime, State], ...]]


def moves(connection: sqlite3.Connection, since: datetime) -> Moves:
    """By name of the service, oldest first, from `since` on; `UNKNOWN` while no keeper was there to look."""
    since_us = to_us(since)
    names, there = dict(connection.execute(sql.SERVICES).fetchall()), runs(connection, since_us)
    return {
        names[number]: tuple((to_time(at_us), state) for at_us, state in _seen(course, there, since_us))
        for number, course in courses(connection, since_us).items()
    }


def moves_in(file: Path, since: datetime) -> Moves:
    """The same of the history in `file`, which a keeper may be writing; nothing where there is none that can be read."""
    if not file.is_file():
        return {}
    try:
        connection = reader(file, sqlite3.connect)
    except (sqlite3.Error, OSError):
        return {}
    try:
        return moves(connection, since)
    except sqlite3.Error:
        return {}
    finally:
        connection.close()


def _seen(course: Course, there: list[tuple[int, int]], since_us: int) -> Iterator[tuple[int, State]]:
    times = [at_us for at_us, _ in course.changes]
    for began_us, seen_us in there:
        began_us = max(began_us, since_us)
        if seen_us <= began_us:
            continue
        known = bisect_right(times, began_us)
        yield began_us, course.changes[known - 1][1] if known else course.first
        for at_us, state in course.changes[known:]:
            if at_us >= seen_us:
                break
            yield at_us, state
        yield seen_us, State.UNKNOWN
