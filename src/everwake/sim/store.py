"""Everything of the platform that lasts, in one SQLite file: records as they stand, and the latest log lines.

Each write is one transaction in WAL mode, so whoever kills the simulator, and whenever, leaves the state before it or after it. A
power cut may lose the last moments (synchronous=NORMAL), never more. The file holds variables and keys: its owner alone reads it.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from everwake.errors import Misused
from everwake.sim._codec import dumped, loaded
from everwake.sim.life import Ledger
from everwake.sim.records import Broken, Deploy, EnvGroup, Event, LogEntry, Owner, Service, Standing
from everwake.sim.verbs import LogQuery

__all__ = ["Record", "Store", "identity", "microseconds"]

VERSION = 1
KEPT_LINES = 20_000  # of one service
TRIM_EVERY = 2_000

Record = Owner | Service | EnvGroup | Deploy | Event | Standing | Broken | Ledger
R = TypeVar("R", bound=Record)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records(kind TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY(kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lines(at INTEGER PRIMARY KEY, service TEXT NOT NULL, type TEXT NOT NULL, level TEXT NOT NULL,
    instance TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS lines_of ON lines(service, at);
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def identity(record: Record) -> str:
    """What makes it the same record when it is written again."""
    if isinstance(record, Standing | Broken):
        return record.service_id
    return record.owner_id if isinstance(record, Ledger) else record.id


def microseconds(at: datetime) -> int:
    """Since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


class Store:
    """The file. One process at a time has it (the data folder's claim sees to that); not for use by several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written = 0

    def __enter__(self) -> Self:
        """Open it, and make it when it is not there.

        Raises:
            Misused: it cannot be opened, or a newer version wrote it.
        """
        try:
            self._file.touch(mode=0o600)
            self._file.chmod(0o600)
            self._db = sqlite3.connect(self._file, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                self._db.close()
                raise Misused(f"{self._file} was written by a newer everwake", hint="name another folder with --data")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
        except (OSError, sqlite3.Error) as error:
            hint = "name another folder with --data, or remove the file to begin anew"
            raise Misused(f"cannot use {self._file}: {error}", hint=hint) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()

    def write(
        self, records: Iterable[Record], gone: Iterable[Record] = (), facts: Mapping[str, str] | None = None
    ) -> None:
        """All of it or nothing: write these, forget those, set facts."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)",
                [(type(each).__name__, identity(each), _order(each), dumped(each)) for each in records],
            )
            self._db.executemany(
                "DELETE FROM records WHERE kind = ? AND id = ?",
                [(type(each).__name__, identity(each)) for each in gone],
            )
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list((facts or {}).items()))

    def read(self, kind: type[R]) -> list[R]:
        """Every record of a kind, oldest first."""
        rows = self._db.execute("SELECT body FROM records WHERE kind = ? ORDER BY at, id", (kind.__name__,))
        return [loaded(kind, body) for (body,) in rows]

    def fact(self, name: str) -> str | None:
        """A fact that was set."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def add_lines(self, entries: Sequence[LogEntry]) -> None:
        """Append lines; each has a moment of its own. Of every service the latest 20,000 are kept, or a few more."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO lines VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (microseconds(each.at), each.service_id, each.type, each.level, each.instance, each.text)
                    for each in entries
                ],
            )
            self._written += len(entries)
            if self._written >= TRIM_EVERY:
                self._written = 0
                for (service,) in self._db.execute("SELECT DISTINCT service FROM lines").fetchall():
                    self._db.execute(
                        "DELETE FROM lines WHERE service = ? AND at <= (SELECT at FROM lines WHERE service = ?"
                        " ORDER BY at DESC LIMIT 1 OFFSET ?)",
                        (service, service, KEPT_LINES),
                    )

    def latest_line_at(self) -> datetime:
        """When the latest line was said."""
        return _EPOCH + (self._db.execute("SELECT max(at) FROM lines").fetchone()[0] or 0) * _MICROSECOND

    def lines(self, query: LogQuery, most: int) -> list[LogEntry]:
        """Lines that match, in the order of the query, at most so many."""
        where, values = [f"service IN ({','.join('?' * len(query.services))})"], list[Any](query.services)
        for column, wanted in (("type", query.types), ("instance", query.instances), ("level", query.levels)):
            if wanted:
                where.append(f"{column} IN ({','.join('?' * len(wanted))})")
                values += wanted
        if query.texts:
            where.append("(" + " OR ".join(["text LIKE ? ESCAPE '\\'"] * len(query.texts)) + ")")
            values += map(_pattern, query.texts)
        if query.since is not None:
            where.append("at >= ?")
            values.append(microseconds(query.since))
        if query.until is not None:
            where.append("at <= ?")
            values.append(microseconds(query.until))
        order = "DESC" if query.newest_first else "ASC"
        rows = self._db.execute(
            "SELECT at, service, type, level, instance, text FROM lines"  # noqa: S608 - column names are ours
            f" WHERE {' AND '.join(where)} ORDER BY at {order} LIMIT ?",
            (*values, most),
        )
        return [
            LogEntry(
                id=f"log-{at}", service_id=service, at=_EPOCH + at * _MICROSECOND, type=type_, level=level,
                instance=instance, text=text,
            )
            for at, service, type_, level, instance, text in rows
        ]  # fmt: skip


def _order(record: Record) -> int:
    at = getattr(record, "created_at", None) or getattr(record, "at", None)
    return microseconds(at) if at is not None else 0


def _pattern(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped.replace('*', '%')}%"
