"""The one thread that writes: takes what waits, commits it in groups, mends what goes wrong, and keeps the file tidy.

A group is what came within `GROUP_S`; a transition is committed at once, and flushed to the disk so that a power cut does not
undo it. Everything else survives the death of the process; a power cut may take its last seconds, never the file's soundness
(https://www.sqlite.org/pragma.html#pragma_synchronous, read 2026-11).
"""

import contextlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from everwake.errors import EverwakeError, OutOfReach
from everwake.history import _file
from everwake.history import statements as sql
from everwake.history._lanes import Batch, Lanes, Move, Stream
from everwake.history._upkeep import Upkeep
from everwake.history._writes import Names, write
from everwake.history.packing import HOUR_MS, look_ms, to_time, to_us
from everwake.model import Level, LogLine
from everwake.ports import Clock, Standing

__all__ = ["Writer"]

log = logging.getLogger(__name__)

T = TypeVar("T")

GROUP_S = 0.5
BREATH_S = 2.0
PRESENCE_S = 10.0
UPKEEP_S = 60.0
SLOW_S = 2.0
LONGEST_PAUSE_S = 2.0
LAST_PAUSE_S = 0.25
RESTART_S = 60  # a keeper that was away for less was only restarted
# Rows that no retry will make storable: a mistake of ours, or a value that cannot be.
_UNSTORABLE = (
    sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError, ValueError, TypeError,
    OverflowError,
)  # fmt: skip
_LOCKED, _FULL = (5, 6), 13
_WORDS = {
    5: "its file is locked by another program",
    6: "its file is locked by another program",
    8: "its file may only be read",
    10: "the disk reports errors",
    11: "its file is damaged",
    13: "the disk is full",
    14: "its file cannot be opened",
    26: "its file is damaged",
}


@dataclass(slots=True, eq=False)
class _Errand:
    """Somebody's function in a transaction of its own; run: None asks only that everything put in so far is committed."""

    run: Callable[[sqlite3.Connection], Any] | None
    told: "Future[Any]"


class Writer:
    """Owns the writing connection. `start`, then put rows into `lanes` and call `nudge`; `stop` ends it.

    latest: how every service stood at last, for a file that has to begin anew.
    """

    def __init__(self, path: Path, clock: Clock, make: _file.Connect, latest: Callable[[], Iterable[Standing]]) -> None:
        self.lanes = Lanes()
        self.streams: dict[tuple[str, str], Stream] = {}
        self.generation = 0
        self.refused: EverwakeError | None = None
        self.unstorable = 0
        self._path, self._clock, self._make, self._latest = path, clock, make, latest
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._names, self._upkeep = Names(), Upkeep()
        self._pending: deque[Batch] = deque()
        self._errands: deque[_Errand] = deque()
        self._wake, self._urgent, self._tried, self._halt = (threading.Event() for _ in range(4))
        self._last_tries = 0
        self._numbered = 0
        self._run_id: int | None = None
        self._seen_wall, self._seen_s = clock.now(), clock.monotonic()
        # What a rollback brings back.
        self._before: tuple[int | None, datetime, float] = (self._run_id, self._seen_wall, self._seen_s)
        self._upkeep_s = self._looked_at_file_s = clock.monotonic()
        self._synchronous = ""
        self._why: str | None = None
        self._aside: str | None = None
        self._pause_s = 0.0
        self._began_s: float | None = None
        self._took_s = 0.0
        self._lost_said = 0
        self._thread: threading.Thread | None = None

    # --- from other threads -------------------------------------------------------------------------------------------

    def start(self, wait_s: float) -> None:
        """Begin; returns when the file was opened or could not be. Raises FromTheFuture."""
        self._thread = threading.Thread(target=self._live, name="history-writer", daemon=True)
        self._thread.start()
        self._tried.wait(wait_s)
        if self.refused is not None:
            self._thread.join()
            raise self.refused

    def stop(self, wait_s: float) -> None:
        """Commit what waits, for at most `wait_s`, then let go of the file."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._last_tries = max(1, int(wait_s / (_file.BUSY_S + LAST_PAUSE_S)))
        self._halt.set()
        self.nudge(urgent=True)
        thread.join(wait_s + _file.BUSY_S + LONGEST_PAUSE_S)
        if self.waiting:
            log.error("history.closed_unwritten", extra={"rows": self.waiting})

    def nudge(self, *, urgent: bool = False) -> None:
        """Something was put in."""
        if urgent and not self._urgent.is_set():
            self._urgent.set()
        if not self._wake.is_set():
            self._wake.set()

    def settled(self) -> "Future[None]":
        """Done when everything put in so far is committed, however long that takes."""
        return self._hand(None)

    def hand(self, run: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        """`run(connection)` after everything put in so far, in a transaction of its own; raises OutOfReach in the future."""
        return self._hand(run)

    def _hand(self, run: Callable[[sqlite3.Connection], Any] | None) -> "Future[Any]":
        told: Future[Any] = Future()
        if self._thread is None:
            told.set_exception(OutOfReach("the history is not open"))
            return told
        self._errands.append(_Errand(run, told))
        self.nudge(urgent=True)
        return told

    @property
    def waiting(self) -> int:
        """Rows that wait for the disk."""
        return self.lanes.waiting + sum(batch.rows for batch in tuple(self._pending))

    @property
    def lost(self) -> int:
        """Rows that were dropped because too many waited, or because they could not be stored."""
        return sum(self.lanes.lost.values()) + self.unstorable

    @property
    def trouble(self) -> str | None:
        """What is wrong now, in words."""
        if self._why is not None:
            return f"The history is not being written: {self._why}. {self._waits()}"
        began_s = self._began_s
        took_s = self._took_s if began_s is None else max(self._took_s, self._clock.monotonic() - began_s)
        if took_s >= SLOW_S:
            return f"The history's disk is slow: one write takes {took_s:.0f} s. {self._waits()}"
        return self._aside

    def _waits(self) -> str:
        said = f"{self.waiting:,} rows wait in memory."
        lost = self.lost - self._lost_said
        return said if not lost else f"{said} {lost:,} were lost."

    # --- the thread's life --------------------------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            while self._step():
                pass
        except Exception:
            # The outermost frame: without this thread nothing is remembered, so it is said, not only logged.
            log.exception("history.writer_died")
            self._why = "its writer stopped because of a mistake of ours"
        finally:
            self._let_go()
            self._tried.set()
            self._refuse_errands()

    def _step(self) -> bool:
        if self._tried.is_set():
            self._wake.wait(BREATH_S)
            self._urgent.wait(0.0 if self._halt.is_set() else GROUP_S)
        self._wake.clear()
        self._urgent.clear()
        is_last = self._halt.is_set()
        done = self._round()
        self._tried.set()
        if self.refused is not None:
            return False
        if is_last:
            self._last_tries -= 1
            return not done and self._last_tries > 0
        return True

    def _round(self) -> bool:
        """Write everything that waits; False when the file could not be used."""
        errands = [self._errands.popleft() for _ in range(len(self._errands))]
        try:
            connection = self._opened()
            self._look_at_file()
            self._drain(connection)
            self._be_there(connection)
            self._recovered()
            self._drain(connection)
            for errand in errands:
                self._run(connection, errand)
            if not self._halt.is_set():
                self._keep_up(connection)
        except _file.FromTheFuture as error:
            self.refused = error
        except (sqlite3.Error, OSError) as error:
            self._began_s = None
            self._failed(error)
            for errand in errands:
                self._not_now(errand, error)
            return False
        return True

    def _keep_up(self, connection: sqlite3.Connection) -> None:
        if self._clock.monotonic() < self._upkeep_s:
            return
        while self._upkeep.slice(connection, self._clock.now()):
            if self.lanes.waiting or self._errands or self._halt.is_set():
                self._wake.set()
                return
        self._upkeep_s = self._clock.monotonic() + UPKEEP_S

    def tidy(self, connection: sqlite3.Connection) -> None:
        """An errand: all upkeep that is due, to its end."""
        connection.execute("COMMIT")
        while self._upkeep.slice(connection, self._clock.now()):
            pass
        connection.execute("BEGIN IMMEDIATE")

    # --- the file -----------------------------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _file.open_for_writing(self._path, self._make)
            self._identity = _file.identity(self._path)
            self._synchronous = ""
            self._names.forget()
            if self._run_id is None:
                self._begin_run(self._connection)
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _look_at_file(self) -> None:
        """Somebody may have moved or deleted it: what is written then goes nowhere (Windows does not allow it)."""
        now_s = self._clock.monotonic()
        if now_s - self._looked_at_file_s < PRESENCE_S and not self._halt.is_set():
            return
        self._looked_at_file_s = now_s
        if _file.identity(self._path) != self._identity:
            log.error("history.file_gone", extra={"file": self._path.name})
            self._let_go()
            self._begin_anew(f"The history's file {self._path.name} was taken away; a new one was begun.")
            raise sqlite3.OperationalError("the file was taken away")

    def _begin_anew(self, why: str) -> None:
        """The next file knows nothing: it is told how everything stands, and readers turn to it."""
        self.generation += 1
        self._run_id = None
        self._upkeep = Upkeep()
        for stream in list(self.streams.values()):
            stream.id = None
        moves = [Move(None, standing, ()) for standing in self._latest()]
        self._pending.append(Batch(moves=moves))
        self._aside = why
        self.lanes.put("lines", LogLine(at=self._clock.now(), level=Level.ERROR, text=why))

    def _failed(self, error: sqlite3.Error | OSError) -> None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in (*_LOCKED, _FULL):
            self._let_go()
        if _file.is_broken(error):
            self._let_go()
            try:
                aside = _file.set_aside(self._path, self._clock.now())
            except OSError as refusal:
                error = refusal
            else:
                self._begin_anew(f"The history was damaged; it is kept as {aside.name}, and a new one was begun.")
                self._wake.set()
                return
        words = _WORDS.get(code) or (error.strerror if isinstance(error, OSError) else None) or str(error)
        if self._why is None:
            log.warning("history.unwritten", extra={"why": words})
        self._why = words
        self._pause_s = min(max(0.1, self._pause_s * 2), LONGEST_PAUSE_S)
        if self._halt.wait(self._pause_s):
            threading.Event().wait(LAST_PAUSE_S)
        self._wake.set()
        self._urgent.set()

    def _recovered(self) -> None:
        lost, self._pause_s = self.lost - self._lost_said, 0.0
        if self._why is None and not lost:
            return
        self._why, self._lost_said = None, self.lost
        log.info("history.written_again", extra={"lost": lost})
        text = f"The history is written again; {lost:,} rows were lost" if lost else "The history is written again"
        level = Level.WARNING if lost else Level.INFO
        self.lanes.put("lines", LogLine(at=self._clock.now(), level=level, text=text))
        self._wake.set()

    # --- writing ------------------------------------------------------------------------------------------------------

    def _drain(self, connection: sqlite3.Connection) -> None:
        while True:
            if not self._pending:
                batch = self.lanes.take()
                if batch is None:
                    return
                self._pending.append(batch)
            head = self._pending[0]
            try:
                self._commit(connection, head)
            except _UNSTORABLE:
                self._pending.popleft()
                if head.rows > 1:
                    self._pending.extendleft(reversed(list(head.halves())))
                else:
                    self.unstorable += 1
                    log.exception("history.unstorable")
            else:
                self._pending.popleft()

    def _commit(self, connection: sqlite3.Connection, batch: Batch) -> None:
        if batch.number and self._is_applied(connection, batch.number):
            return
        if not batch.number:
            self._numbered += 1
            batch.number = self._numbered
        now, self._began_s = now_and_s = self._clock.now(), self._clock.monotonic()
        hour = look_ms(now) // HOUR_MS
        self._begin(connection, is_durable=bool(batch.moves))
        try:
            ids = write(connection, self._names, batch, hour=hour)
            self._mark_seen(connection, now_and_s, batch.number)
            connection.execute("COMMIT")
        except BaseException:
            self._undo(connection)
            raise
        for stream, number in ids.items():
            stream.id = number
        if batch.looks and self._upkeep.is_rolling:
            self._upkeep.again(min(ms for _, ms, _ in batch.looks) // HOUR_MS)
        self._took_s, self._began_s = self._clock.monotonic() - self._began_s, None

    def _begin(self, connection: sqlite3.Connection, *, is_durable: bool) -> None:
        wanted = "FULL" if is_durable else "NORMAL"
        if wanted != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {wanted}")
            self._synchronous = wanted
        connection.execute("BEGIN IMMEDIATE")
        self._before = (self._run_id, self._seen_wall, self._seen_s)

    def _undo(self, connection: sqlite3.Connection) -> None:
        self._names.forget()
        self._run_id, self._seen_wall, self._seen_s = self._before
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    def _is_applied(self, connection: sqlite3.Connection, number: int) -> bool:
        """A commit that reported an error may have happened all the same."""
        row = connection.execute(sql.APPLIED, (self._run_id,)).fetchone()
        return row is not None and row[0] >= number

    # --- presence -----------------------------------------------------------------------------------------------------

    def _begin_run(self, connection: sqlite3.Connection) -> None:
        now_us = to_us(self._clock.now())
        self._begin(connection, is_durable=False)
        try:
            began_us, row = now_us, connection.execute(sql.LAST_RUN).fetchone()
            if row is not None and 0 <= now_us - row[2] <= RESTART_S * 1_000_000:
                began_us = row[1]
                connection.execute(sql.DROP_RUN, (row[0],))
            self._run_id = connection.execute(sql.ADD_RUN, (began_us, now_us)).lastrowid
            connection.execute("COMMIT")
        except BaseException:
            self._undo(connection)
            raise
        self._seen_wall, self._seen_s = to_time(now_us), self._clock.monotonic()

    def _be_there(self, connection: sqlite3.Connection) -> None:
        if self._clock.monotonic() - self._seen_s < PRESENCE_S and not self._halt.is_set():
            return
        self._begin(connection, is_durable=False)
        try:
            self._mark_seen(connection, (self._clock.now(), self._clock.monotonic()), self._numbered)
            connection.execute("COMMIT")
        except BaseException:
            self._undo(connection)
            raise

    def _mark_seen(self, connection: sqlite3.Connection, now_and_s: tuple[datetime, float], applied: int) -> None:
        """Say that the keeper is there. Wall time that went by without monotonic time was slept through, or never was.

        now_and_s: both clocks, read at one moment, so that a write that takes long is not taken for sleep.
        """
        now, now_s = now_and_s
        slept_s = (now - self._seen_wall).total_seconds() - (now_s - self._seen_s)
        self._seen_wall, self._seen_s = now, now_s
        values = {"now_us": to_us(now), "applied": applied, "id": self._run_id}
        if slept_s > RESTART_S or connection.execute(sql.SEEN, values).rowcount == 0:
            self._run_id = connection.execute(sql.ADD_RUN, (to_us(now), to_us(now))).lastrowid
            connection.execute(sql.SEEN, values | {"id": self._run_id})

    # --- errands ------------------------------------------------------------------------------------------------------

    def _run(self, connection: sqlite3.Connection, errand: _Errand) -> None:
        if not errand.told.set_running_or_notify_cancel():
            return
        if errand.run is None:
            errand.told.set_result(None)
            return
        try:
            self._begin(connection, is_durable=True)
            value = errand.run(connection)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._undo(connection)
            errand.told.set_exception(_out_of_reach(error))
            if _file.is_broken(error):
                raise
        except Exception as error:  # the caller's own: it is told
            self._undo(connection)
            errand.told.set_exception(error)
        else:
            errand.told.set_result(value)

    def _not_now(self, errand: _Errand, error: sqlite3.Error | OSError) -> None:
        if errand.told.done() or errand.told.running():
            return
        if errand.run is None and not self._halt.is_set():
            self._errands.append(errand)  # it waits for as long as its caller does
        elif errand.told.set_running_or_notify_cancel():
            errand.told.set_exception(_out_of_reach(error))

    def _refuse_errands(self) -> None:
        while self._errands:
            errand = self._errands.popleft()
            if errand.told.set_running_or_notify_cancel():
                errand.told.set_exception(OutOfReach("the history is closed"))


def _out_of_reach(error: sqlite3.Error | OSError) -> OutOfReach:
    return OutOfReach(f"the history cannot be used now: {error}")
