"""One SQLite file, shared by the tasks of a process and by several processes, without ever blocking the event loop.

Writes go to one thread, which commits in groups: what is queued while a commit runs is the next transaction, each piece
in a savepoint of its own, so a failing piece takes nobody along. A caller is answered after the commit. Reads go to
another thread with a connection of its own; in WAL mode neither waits for the other.

What survives what: with `synchronous="NORMAL"` (the default) whatever was answered survives the death of the process
(SIGKILL included); the last commits before a power cut or a crash of the operating system may be gone, and the file stays
sound. `"FULL"` survives these too, at the price of a disk flush for each group
(https://www.sqlite.org/pragma.html#pragma_synchronous, read 2026-11).
"""

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

__all__ = ["Database", "DatabaseUnavailable", "Reason"]

T = TypeVar("T")
Reason = Literal[
    "locked", "full", "read_only", "corrupt", "disk_error", "cannot_open", "too_new", "overloaded", "timeout", "closed"
]

_log = logging.getLogger(__name__)

_GROUP = 128  # pieces in one transaction: bounds how long another process waits for the lock
# Primary result codes that say the file cannot be used now; others are mistakes in our SQL and stay as they are
# (https://www.sqlite.org/rescode.html, read 2026-11).
_REASONS: dict[int, Reason] = {
    3: "cannot_open", 5: "locked", 6: "locked", 7: "overloaded", 8: "read_only", 9: "timeout", 10: "disk_error",
    11: "corrupt", 13: "full", 14: "cannot_open", 15: "locked", 22: "disk_error", 26: "corrupt",
}  # fmt: skip


class DatabaseUnavailable(Exception):  # noqa: N818
    """The file cannot be used now. reason: for programs. Nothing was written, except perhaps after `timeout`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class _Piece:
    """Somebody's function on its way through a thread and back."""

    __slots__ = ("error", "run", "told", "value")

    def __init__(self, run: Callable[[sqlite3.Connection], Any], told: "asyncio.Future[Any]") -> None:
        self.run, self.told = run, told
        self.value: Any = None
        self.error: Exception | None = None


def _unavailable(error: Exception) -> DatabaseUnavailable | None:
    """The error as ours, or None when it is a mistake of the caller."""
    if isinstance(error, DatabaseUnavailable):
        return error
    if isinstance(error, OSError):
        return DatabaseUnavailable("cannot_open", error.strerror or type(error).__name__)
    reason = _REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return None if reason is None else DatabaseUnavailable(reason, str(error))


class Database:
    """The file at `path`; made, with its folder, by `open`.

    migrations: version by version, the statements that lead to it; `PRAGMA user_version` counts those applied.
    deadline_s: the longest any call waits.   waiting_limit: calls under way at once; one more is `overloaded`.
    Belongs to the event loop that opened it.
    """

    def __init__(
        self,
        path: Path,
        *,
        migrations: Sequence[Sequence[str]] = (),
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        deadline_s: float = 5.0,
        waiting_limit: int = 10_000,
    ) -> None:
        self.path = path
        self._migrations = migrations
        self._synchronous = synchronous
        self._deadline_s = deadline_s
        self._waiting_limit = waiting_limit
        self._waiting = 0
        self._has_told = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writes: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._threads: list[tuple[threading.Thread, asyncio.Future[None]]] = []

    async def open(self) -> None:
        """Create, migrate and start; does nothing when open, may be called again after a failure.

        Raises:
            DatabaseUnavailable: and nothing is left running.
        """
        if self._loop is not None:
            return
        self._loop = loop = asyncio.get_running_loop()
        self._writes, self._reads = queue.SimpleQueue(), queue.SimpleQueue()
        try:
            # One after the other: the writer makes the file that the reader opens.
            for name, line in (("sqlite-writer", self._writes), ("sqlite-reader", self._reads)):
                ended: asyncio.Future[None] = loop.create_future()
                work = (self, loop, line, line is self._writes, ended)
                thread = threading.Thread(target=_work, args=work, name=name, daemon=True)
                thread.start()
                self._threads.append((thread, ended))
                await self._hand(line, _nothing)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is queued, then let go of the file. Safe to call twice."""
        if self._loop is None:
            return
        self._loop = None
        self._writes.put(None)
        self._reads.put(None)
        threads, self._threads = self._threads, []
        # What is queued may take as long as its callers may wait; a thread stuck in a dead disk is left (a daemon).
        if threads:
            await asyncio.wait([ended for _, ended in threads], timeout=2 * self._deadline_s)
        for thread, ended in threads:
            if ended.done():
                thread.join()

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """`run(connection)` in a transaction; its value after the commit. It must not commit, and runs at most once.

        Whatever `run` raises undoes what it wrote and reaches the caller.

        Raises:
            DatabaseUnavailable: with reason `timeout` the outcome is unknown, else nothing was written.
        """
        return cast(T, await self._hand(self._writes, run))

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """`run(connection)` on one snapshot that holds every write answered so far.

        Raises:
            DatabaseUnavailable
        """
        return cast(T, await self._hand(self._reads, run))

    async def _hand(self, line: "queue.SimpleQueue[_Piece | None]", run: Callable[[sqlite3.Connection], Any]) -> Any:
        loop = self._loop
        if loop is None:
            raise DatabaseUnavailable("closed", f"{self.path.name} is not open")
        if self._waiting >= self._waiting_limit:
            raise DatabaseUnavailable("overloaded", f"{self._waiting} calls are waiting")
        told: asyncio.Future[Any] = loop.create_future()
        late = loop.call_later(self._deadline_s, _too_late, told)
        self._waiting += 1
        line.put(_Piece(run, told))
        try:
            return await told
        finally:
            self._waiting -= 1
            late.cancel()

    def _connect(self, *, writes: bool) -> sqlite3.Connection:
        """A connection that is ready for use; called on the thread that owns it."""
        if writes:
            self._make()
        connection = sqlite3.connect(
            self.path, timeout=self._deadline_s, isolation_level=None, cached_statements=256, check_same_thread=False
        )
        try:
            self._prepare(connection, writes=writes)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Conversations are nobody else's business: made before SQLite makes it with the umask's rights.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as failure:
            if not self._has_told:  # once: whoever uses this tries again and again
                self._has_told = True
                _log.warning("DATA_DIR: %s cannot be made: %s", self.path, failure.strerror or type(failure).__name__)
            raise

    def _prepare(self, connection: sqlite3.Connection, *, writes: bool) -> None:
        if writes:
            _switch_to_wal(connection, time.monotonic() + self._deadline_s)
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        # A checkpoint holds up the commit that meets it: seldom and larger keeps the slow ones out of the 99th percentile.
        connection.execute("PRAGMA wal_autocheckpoint = 8000")
        if writes:
            self._migrate(connection)
        else:
            connection.execute("PRAGMA query_only = ON")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == len(self._migrations):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)  # again: another process may have been quicker
            if version > len(self._migrations):
                raise DatabaseUnavailable(
                    "too_new", f"{self.path.name} is of version {version}, this program knows {len(self._migrations)}"
                )
            for statements in self._migrations[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
            connection.execute("COMMIT")
        except BaseException:
            _undo(connection)
            raise


def _nothing(_: sqlite3.Connection) -> None:
    """What `open` asks of each thread: to have connected."""


def _too_late(told: "asyncio.Future[Any]") -> None:
    if not told.done():
        told.set_exception(DatabaseUnavailable("timeout", "no answer in time"))


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _switch_to_wal(connection: sqlite3.Connection, until: float) -> None:
    """WAL is a property of the file; the switch does not wait for a lock by itself, so two first starts collide."""
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                return
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            locked = _unavailable(error)
            if locked is None or locked.reason != "locked" or time.monotonic() >= until:
                raise
            time.sleep(0.01)
        else:
            return


def _work(
    database: Database,
    loop: asyncio.AbstractEventLoop,
    line: "queue.SimpleQueue[_Piece | None]",
    writes: bool,
    ended: "asyncio.Future[None]",
) -> None:
    """A thread's whole life: wait for pieces, run what is there as one group, tell every caller at once."""
    connection: sqlite3.Connection | None = None
    last = False
    while not last:
        piece = line.get()
        group: list[_Piece] = []
        while True:
            if piece is None:
                last = True
                break
            # The caller may have left, or was told it is too late: then nothing must happen any more.
            if not piece.told.done():
                group.append(piece)
            if len(group) >= _GROUP:
                break
            try:
                piece = line.get_nowait()
            except queue.Empty:
                break
        if not group:
            continue
        connection = _run_group(database, connection, group, writes=writes)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_tell, group)
    if connection is not None:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_end, ended)


def _run_group(
    database: Database, connection: sqlite3.Connection | None, group: list[_Piece], *, writes: bool
) -> sqlite3.Connection | None:
    """Run `group` in one transaction; the connection to go on with, None when the next group needs a new one."""
    try:
        if connection is None:
            connection = database._connect(writes=writes)
        if writes:
            _write(connection, group)
        else:
            _read(connection, group)
    except (sqlite3.Error, OSError, DatabaseUnavailable) as error:
        failure = _unavailable(error)
        for piece in group:  # one of its own for each caller: a raised exception carries its traceback
            piece.error = DatabaseUnavailable(failure.reason, failure.detail) if failure else error
        if connection is not None:
            _undo(connection)
            if failure is None or failure.reason not in ("locked", "full"):
                _log.warning("sqlite.reopened file=%s reason=%s", database.path.name, failure or error)
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
                connection = None
    return connection


def _write(connection: sqlite3.Connection, group: list[_Piece]) -> None:
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    alone = len(group) == 1
    for piece in group:
        if piece.told.done():  # given up while we waited for the lock
            continue
        if not alone:
            execute("SAVEPOINT piece")
        try:
            piece.value = piece.run(connection)
        except Exception as error:  # the caller's own: it is told, the group goes on
            broken = _unavailable(error) if isinstance(error, sqlite3.Error) else None
            if broken is not None or not connection.in_transaction:
                # A full disk or an I/O error may have undone the whole transaction behind our back.
                raise broken or DatabaseUnavailable("disk_error", str(error)) from error
            piece.error = error
            if alone:
                execute("ROLLBACK")
                return
            execute("ROLLBACK TO piece")
        if not alone:
            execute("RELEASE piece")
    execute("COMMIT")


def _read(connection: sqlite3.Connection, group: list[_Piece]) -> None:
    for piece in group:
        connection.execute("BEGIN")
        try:
            piece.value = piece.run(connection)
        except sqlite3.Error as error:
            if _unavailable(error) is not None:
                raise
            piece.error = error
        except Exception as error:  # the caller's own
            piece.error = error
        finally:
            _undo(connection)


def _undo(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def _end(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)


def _tell(group: list[_Piece]) -> None:
    for piece in group:
        if piece.told.done():
            continue
        if piece.error is None:
            piece.told.set_result(piece.value)
        elif isinstance(piece.error, StopIteration):  # a future cannot carry it
            piece.told.set_exception(RuntimeError("the function raised StopIteration"))
        else:
            piece.told.set_exception(piece.error)
