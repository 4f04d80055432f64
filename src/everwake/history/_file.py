"""The file itself: opened, migrated, and set aside when it is broken. Every call here may wait for the disk."""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from everwake.errors import Misused
from everwake.history.schema import MIGRATIONS

__all__ = [
    "BUSY_S", "Connect", "FromTheFuture", "broken", "connect", "identity", "is_broken", "open_for_writing", "reader",
    "set_aside",
]  # fmt: skip

log = logging.getLogger(__name__)

BUSY_S = 1.0  # how long one try waits for somebody else's lock
SMALL_BYTES = 64 * 1024 * 1024
_CORRUPT, _NOT_A_DATABASE = 11, 26

Connect = Callable[[Path], sqlite3.Connection]


class FromTheFuture(Misused):
    """The file was written by a newer Everwake; it is left as it is."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may be handed to the thread that will own it."""
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, cached_statements=256, check_same_thread=False)


def is_broken(error: BaseException) -> bool:
    """Whether the error says that the file is no sound database (https://www.sqlite.org/rescode.html, read 2026-11)."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (_CORRUPT, _NOT_A_DATABASE)


def open_for_writing(path: Path, make: Connect) -> sqlite3.Connection:
    """The file at `path`, made and migrated. Raises sqlite3.Error, OSError, FromTheFuture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Excerpts of what servers answered are nobody else's business: made before SQLite makes it with the umask's rights.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = make(path)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise FromTheFuture(
            f"{path} was written by a newer Everwake (version {version} of the file, this one knows {len(MIGRATIONS)})",
            hint="update Everwake, or name another folder with --data",
        )
    if path.stat().st_size <= SMALL_BYTES:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise broken(found)
    if version == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only before the first table
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA foreign_keys = ON")
    if version < len(MIGRATIONS):
        _migrate(connection)


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[_version(connection) :]:  # again: another process may have been quicker
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def broken(found: str) -> sqlite3.DatabaseError:
    """The error that SQLite raises when it meets the damage itself."""
    error = sqlite3.DatabaseError(found)
    error.sqlite_errorcode = _CORRUPT
    return error


def reader(path: Path, make: Connect) -> sqlite3.Connection:
    """A connection that cannot write and makes no file. Raises sqlite3.Error, OSError."""
    path.stat()
    connection = make(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def identity(path: Path) -> tuple[int, int] | None:
    """What tells this file from another of the same name; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def set_aside(path: Path, now: datetime) -> Path:
    """Give a broken file another name, with its journal, so that a new one can begin. Nothing is deleted. Raises OSError."""
    aside = path.with_name(f"{path.stem}.broken-{now:%Y%m%dT%H%M%S}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.stem}.broken-{now:%Y%m%dT%H%M%S}-{number}{path.suffix}")
    path.rename(aside)
    for tail in ("-wal", "-shm"):
        beside = path.with_name(path.name + tail)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + tail))
    log.error("history.set_aside", extra={"file": aside.name})
    return aside
