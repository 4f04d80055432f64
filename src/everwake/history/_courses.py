"""What every service went through since a moment, read from the transitions: what uptimes are computed from."""

import sqlite3

from everwake.history import statements as sql
from everwake.history.uptime import Course
from everwake.model import State

__all__ = ["courses", "runs"]


def courses(connection: sqlite3.Connection, since_us: int, service: int | None = None) -> dict[int, Course]:
    """By number of the service, all of them or one. The chain has no gap, so the first transition tells how it began."""
    states = {state.value: state for state in State}
    changes: dict[int, list[tuple[int, State]]] = {}
    first: dict[int, State] = {}
    if service is None:
        rows = connection.execute(sql.COURSES, (since_us,))
        standing = connection.execute(sql.STATES).fetchall()
    else:
        rows = connection.execute(sql.COURSE, (service, since_us))
        standing = connection.execute(sql.STATE_OF, (service,)).fetchall()
    for number, old, new, at_us in rows:
        if number not in first:
            first[number], changes[number] = states[old], []
        changes[number].append((at_us, states[new]))
    return {number: Course(first.get(number, states[state]), changes.get(number, ())) for number, state in standing}


def runs(connection: sqlite3.Connection, since_us: int) -> list[tuple[int, int]]:
    """When a keeper was there to look."""
    return [(began_us, seen_us) for began_us, seen_us in connection.execute(sql.RUNS, (since_us,))]
