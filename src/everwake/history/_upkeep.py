"""Rolling up what is over and cutting off what is old, in slices that take milliseconds. Runs on the writer's thread when
nothing else is to be written.

A roll-up is made from the raw looks of its hour and replaces what was there, so making it twice changes nothing.
"""

import sqlite3
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from everwake.history import statements as sql
from everwake.history._courses import courses, runs
from everwake.history._writes import ROLLED
from everwake.history.packing import (
    DAY_S,
    EPOCH_S,
    HOUR_MS,
    MOST_STREAMS,
    NONE,
    SLOTS,
    Cell,
    cell_bytes,
    cells,
    hour_of,
    key_of,
    look_ms,
    read_slots,
    stream_of,
    to_us,
    unpack_value,
    write_slots,
)
from everwake.history.rollup import Sketch
from everwake.history.uptime import shares

__all__ = ["KEEP_FAILURES", "KEEP_LOOKS", "KEEP_SEALED", "MOST_LINES", "Upkeep", "cell_of", "day_key", "merged"]

KEEP_LOOKS = timedelta(days=7)
KEEP_SEALED = timedelta(days=7)
KEEP_FAILURES = timedelta(days=90)
KEEP_TRANSITIONS = timedelta(days=400)
MOST_LINES = 100_000
LAG_S = 300.0  # a look is recorded when it ends; the most patient one takes 180 s
STREAMS_AT_ONCE = 500
ROWS_AT_ONCE = 5_000
PAGES_AT_ONCE = 200
SPARE_PAGES = 2_000  # free pages that are kept to be used again
_DAYS = "days"


def day_key(stream: int, day: int) -> int:
    """Where the figures of that day are."""
    return stream << 16 | day


def _part(up: float | None) -> int:
    return NONE if up is None else round(up * 1e9)


def cell_of(values: list[int], uptime: float | None) -> tuple[Cell, Sketch]:
    """Figures and sketch of packed looks. Failures of our own say nothing of the service and are left out."""
    looked = [unpack_value(value) for value in values]
    good = [tenths for tenths, _, failed, _ in looked if not failed]
    failed = sum(1 for _, _, failed, ours in looked if failed and not ours)
    sketch = Sketch.of(good)
    return _cell(len(good) + failed, failed, _part(uptime), sketch, max(good, default=NONE)), sketch


def merged(parts: list[Cell], sketches: list[Sketch], uptime: float | None) -> tuple[Cell, Sketch]:
    """Several hours as one."""
    sketch = Sketch.merged(sketches)
    most = max((part.most for part in parts if part.most != NONE), default=NONE)
    looks, failed = sum(part.looks for part in parts), sum(part.failed for part in parts)
    return _cell(looks, failed, _part(uptime), sketch, most), sketch


def _cell(looks: int, failed: int, up: int, sketch: Sketch, most: int) -> Cell:
    quantiles = (sketch.quantile(share) for share in (0.50, 0.95, 0.99))
    p50, p95, p99 = (NONE if value is None else min(round(value), most) for value in quantiles)
    return Cell(looks, failed, up, p50, p95, p99, most)


def hour_us(hour: int) -> int:
    """Its beginning."""
    return (EPOCH_S + hour * 3600) * 1_000_000


def day_us(day: int) -> int:
    """Its beginning."""
    return (EPOCH_S + day * DAY_S) * 1_000_000


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@dataclass(slots=True)
class Upkeep:
    """What is to be done next. Ask `slice` until it answers False."""

    _hour: int | None = None
    _from_stream: int = 0

    def slice(self, connection: sqlite3.Connection, now: datetime) -> bool:
        """Do one small piece in a transaction of its own; False when there is nothing to do."""
        return self._roll_hours(connection, now) or self._roll_day(connection, now) or self._prune(connection, now)

    @property
    def is_rolling(self) -> bool:
        """Whether an hour is rolled up in part."""
        return self._hour is not None

    def again(self, hour: int) -> None:
        """Looks of that hour were written: if it is being rolled up, begin once more."""
        if self._hour is not None and hour <= self._hour:
            self._hour = None

    # --- rolling up ---------------------------------------------------------------------------------------------------

    def _roll_hours(self, connection: sqlite3.Connection, now: datetime) -> bool:
        over = (look_ms(now - timedelta(seconds=LAG_S))) // HOUR_MS
        hour = self._next_hour(connection)
        if hour is None or hour >= over:
            return False
        if self._hour != hour:
            self._hour, self._from_stream = hour, 0
        first = connection.execute(sql.NEXT_LOOK, (key_of(hour, self._from_stream),)).fetchone()
        with _transaction(connection):
            if first is None or hour_of(first[0]) > hour:
                # Nothing more in this hour: on to the next one that has looks.
                after = over if first is None else min(over, hour_of(first[0]))
                connection.execute(sql.GO_ON, (after, ROLLED, hour))
                self._hour = None
            else:
                begin = stream_of(first[0])
                end = min(begin + STREAMS_AT_ONCE, MOST_STREAMS)
                self._roll(connection, hour, begin, end, now)
                self._from_stream = end
        return True

    @staticmethod
    def _next_hour(connection: sqlite3.Connection) -> int | None:
        row = connection.execute(sql.PROGRESS, (ROLLED,)).fetchone()
        if row is None:
            first = connection.execute(sql.NEXT_LOOK, (0,)).fetchone()
            if first is None:
                return None
            with _transaction(connection):
                connection.execute(sql.HOLD_BACK, (ROLLED, hour_of(first[0])))
            return hour_of(first[0])
        return int(row[0])

    @staticmethod
    def _roll(connection: sqlite3.Connection, hour: int, begin: int, end: int, now: datetime) -> None:
        values: dict[int, list[int]] = {}
        # The last stream's successor may lie in the next hour's keys: one hour is cut where the next begins.
        until = key_of(hour + 1) if end >= MOST_STREAMS else key_of(hour, end)
        for key, value in connection.execute(sql.LOOKS, (key_of(hour, begin), until)):
            values.setdefault(stream_of(key), []).append(value)
        service_of = dict(connection.execute(sql.SERVICE_OF_STREAM).fetchall())
        day, slot = divmod(hour, SLOTS)
        day_from = day_us(day)
        span_hour, span_day = (hour_us(hour), hour_us(hour + 1)), (day_from, day_from + DAY_S * 1_000_000)
        paths, there = courses(connection, day_from), runs(connection, day_from)
        is_pruned = look_ms(now - KEEP_LOOKS) // HOUR_MS >= hour
        hours, days = [], []
        for stream, looks in values.items():
            key = day_key(stream, day)
            course = paths.get(service_of[stream])
            up_hour, up_day = shares(course, there, (span_hour, span_day)) if course else (None, None)
            old_cells = connection.execute(sql.GET_ROLLED, (key,)).fetchone()
            old_sketches = connection.execute(sql.GET_SKETCHES, (key,)).fetchone()
            parts = cells(old_cells[0]) if old_cells else [Cell()] * SLOTS
            sketches = read_slots(old_sketches[0] if old_sketches else None)
            if is_pruned and parts[slot].looks > len(looks):
                continue  # a few looks with a clock that was wrong must not replace an hour whose looks are gone
            parts[slot], sketch = cell_of(looks, up_hour)
            sketches[slot] = sketch.encode()
            whole, whole_sketch = merged(parts, [Sketch.decode(data) for data in sketches if data], up_day)
            hours.append((key, b"".join(map(cell_bytes, parts)), cell_bytes(whole)))
            days.append((key, write_slots(sketches), whole_sketch.encode()))
        connection.executemany(sql.PUT_ROLLED, hours)
        connection.executemany(sql.PUT_SKETCHES, days)

    @staticmethod
    def _roll_day(connection: sqlite3.Connection, now: datetime) -> bool:
        today = look_ms(now - timedelta(seconds=LAG_S)) // (DAY_S * 1000)
        row = connection.execute(sql.PROGRESS, (_DAYS,)).fetchone()
        if row is None:
            first = connection.execute(sql.FIRST_TRANSITION).fetchone()
            if first is None:
                return False
            day = max(0, first[0] // 1_000_000 - EPOCH_S) // DAY_S
            with _transaction(connection):
                connection.execute(sql.HOLD_BACK, (_DAYS, min(day, today)))
            return True
        day = row[0]
        if day >= today:
            return False
        since_us = day_us(day)
        with _transaction(connection):
            there, span = runs(connection, since_us), ((since_us, day_us(day + 1)),)
            parts = {number: shares(course, there, span)[0] for number, course in courses(connection, since_us).items()}
            uptimes = array("I", [NONE]) * (max(parts, default=0) + 1)
            for number, part in parts.items():
                uptimes[number] = _part(part)
            connection.execute(sql.PUT_DAY, (day, packed(uptimes)))
            connection.execute(sql.GO_ON, (day + 1, _DAYS, day))
        return True

    # --- cutting off --------------------------------------------------------------------------------------------------

    def _prune(self, connection: sqlite3.Connection, now: datetime) -> bool:
        """One table after the other; True while there was something."""
        looks = key_of(look_ms(now - KEEP_LOOKS) // HOUR_MS)
        failures = key_of(look_ms(now - KEEP_FAILURES) // HOUR_MS)
        told_us, moved_us = to_us(now - KEEP_FAILURES), to_us(now - KEEP_TRANSITIONS)
        for statement, bound in (
            (sql.PRUNE_KEYED.format(table="looks"), looks),
            (sql.PRUNE_KEYED.format(table="phases"), looks),
            (sql.PRUNE_KEYED.format(table="failures"), failures),
            (sql.PRUNE_LOG, MOST_LINES),
            (sql.PRUNE_NOTICES, told_us),
            (sql.PRUNE_SEALED, to_us(now - KEEP_SEALED)),
            (sql.PRUNE_TRANSITIONS, moved_us),
            (sql.PRUNE_RUNS, moved_us),
        ):
            with _transaction(connection):
                if connection.execute(statement, (bound, ROWS_AT_ONCE)).rowcount > 0:
                    return True
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if free > SPARE_PAGES:
            connection.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
            (left,) = connection.execute("PRAGMA freelist_count").fetchone()
            return bool(left < free)
        return False


def packed(uptimes: "array[int]") -> bytes:
    """Little-endian on every machine."""
    if sys.byteorder == "big":
        uptimes = array("I", uptimes)
        uptimes.byteswap()
    return uptimes.tobytes()
