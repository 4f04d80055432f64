"""What one transaction does with one batch. Functions over a connection that is inside a transaction; none commits."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

from everwake.history import statements as sql
from everwake.history._lanes import Batch, Move, Stream
from everwake.history.packing import (
    MOST_STREAMS,
    clean,
    hour_of,
    incident_actions,
    pack_key,
    pack_looks,
    to_us,
    write_diagnosis,
    write_doubts,
    write_failure,
    write_observation,
    write_proof,
)
from everwake.model import LogLine, Observation

__all__ = ["ROLLED", "Names", "write"]

LONGEST_LINE = 1_000
ROLLED = "rolled"  # in `progress`: hours before it are rolled up


class Names:
    """The numbers that services and streams have in this file. New ones of a transaction that failed are forgotten again."""

    def __init__(self) -> None:
        self._services: dict[str, int] = {}

    def forget(self) -> None:
        """After a rollback."""
        self._services.clear()

    def service(self, connection: sqlite3.Connection, name: str) -> int:
        """The number of a service."""
        number = self._services.get(name)
        if number is None:
            connection.execute(sql.ADD_SERVICE, (name,))
            (number,) = connection.execute(sql.SERVICE_ID, (name,)).fetchone()
            self._services[name] = number
        return number

    def stream(self, connection: sqlite3.Connection, stream: Stream) -> int:
        """The number of a stream."""
        service = self.service(connection, stream.service)
        connection.execute(sql.ADD_STREAM, (service, stream.kind))
        (number,) = connection.execute(sql.STREAM_ID, (service, stream.kind)).fetchone()
        return int(number)


def write(connection: sqlite3.Connection, names: Names, batch: Batch, *, hour: int) -> dict[Stream, int]:
    """Write everything in `batch`; the numbers of its streams. hour: the one that goes on now."""
    for move in batch.moves:
        _move(connection, names, move)
    ids = {row[0]: 0 for row in batch.looks} | {row.stream: 0 for row in batch.failures}
    ids |= {row[0]: 0 for row in batch.phases}
    for stream in ids:
        ids[stream] = names.stream(connection, stream) if stream.id is None else stream.id
        if ids[stream] >= MOST_STREAMS:
            raise OverflowError(f"more than {MOST_STREAMS} checks in one history")
    _looks(connection, pack_looks(batch.looks, ids), hour)
    connection.executemany(sql.ADD_PHASES, [(pack_key(ids[stream], ms), text) for stream, ms, text in batch.phases])
    connection.executemany(
        sql.ADD_FAILURE,
        [
            (
                pack_key(ids[row.stream], row.ms), row.value, row.failure.kind.value, row.failure.phase.value,
                row.failure.detail, row.phases, row.headers, row.excerpt,
            )
            for row in batch.failures
        ],
    )  # fmt: skip
    _lines(connection, names, batch.lines)
    return ids


def _looks(connection: sqlite3.Connection, rows: list[tuple[int, int]], hour: int) -> None:
    if not rows:
        return
    _together(connection, sql.ADD_LOOKS, sql.ADD_LOOK, rows)
    earliest = hour_of(rows[0][0])
    if earliest < hour:
        # Late, or the clock went back: that hour is rolled up once more.
        connection.execute(sql.HOLD_BACK, (ROLLED, earliest))


def _lines(connection: sqlite3.Connection, names: Names, lines: Sequence[LogLine]) -> None:
    rows = []
    for line in lines:
        service = names.service(connection, clean(line.service)) if line.service else None
        rows.append((to_us(line.at), line.level.value, service, clean(line.text[:LONGEST_LINE])))
    _together(connection, sql.ADD_LINES, sql.ADD_LINE, rows)


def _together(connection: sqlite3.Connection, many: str, one: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows with the statement for `TOGETHER` of them as far as they go, and what is left one by one."""
    whole = len(rows) - len(rows) % sql.TOGETHER
    for start in range(0, whole, sql.TOGETHER):
        connection.execute(many, [*chain.from_iterable(rows[start : start + sql.TOGETHER])])
    connection.executemany(one, rows[whole:])


def _move(connection: sqlite3.Connection, names: Names, what: Move) -> None:
    move, standing = what.move, what.standing
    service = names.service(connection, clean(standing.service))
    row = connection.execute(sql.STATE, (service,)).fetchone()
    was = row[0] if row else None
    values = {
        "service": service,
        "state": standing.state.value,
        "since_us": to_us(standing.since),
        "cause": standing.cause,
        "streak": standing.streak,
        "last": _observation(standing.last),
        "doubts": write_doubts(standing.doubts),
        "was": was,
    }
    swapped = connection.execute(sql.ADD_STANDING if was is None else sql.SWAP_STANDING, values).rowcount
    if swapped != 1:
        raise sqlite3.OperationalError("the state changed while it was written")
    if was != standing.state and (move is not None or was is not None):
        # From what is stored, so that the chain has no gap; nothing when it is stored already.
        old = was or (move.old.value if move else standing.state.value)
        at, cause = (move.at, move.cause) if move else (standing.since, standing.cause)
        failure = write_failure(move.failure) if move else None
        connection.execute(sql.ADD_TRANSITION, (service, old, standing.state.value, to_us(at), cause, failure))
    _incident(connection, service, what)
    connection.executemany(
        sql.ADD_NOTICE,
        [
            (n.key, n.service, n.incident, n.opened, clean(n.title), clean(n.body), to_us(n.at), to_us(n.at))
            for n in what.notices
        ],
    )


def _incident(connection: sqlite3.Connection, service: int, what: Move) -> None:
    incident = what.standing.incident
    if incident is None:
        return
    told = what.standing.told or any(notice.opened and notice.incident == incident.id for notice in what.notices)
    opened_us = to_us(incident.opened_at)
    if incident.closed_at is None:
        connection.execute(sql.CLOSE_OTHERS, {"at_us": opened_us, "service": service, "id": incident.id})
    connection.execute(
        sql.PUT_INCIDENT,
        {
            "id": incident.id,
            "service": service,
            "opened_us": opened_us,
            "closed_us": None if incident.closed_at is None else to_us(incident.closed_at),
            "cause": incident.cause,
            "parent": incident.parent,
            "flaps": incident.flaps,
            "fell_us": None if incident.fell_at is None else to_us(incident.fell_at),
            "told": told,
            "first": _observation(incident.first),
            "actions": incident_actions(incident),
            "diagnosis": write_diagnosis(incident.diagnosis),
            "proof": write_proof(incident.proof),
        },
    )


def _observation(seen: Observation | None) -> str | None:
    return None if seen is None else write_observation(seen)
