"""The outbox in an SQLite file.

A session is one row that also is its queue: `settled` and `accepted` number its oldest waiting and its newest message, so the
next message is found by its number and nothing is counted or sorted. `due_at` (NULL: nothing waits) has a partial index,
which therefore holds waiting sessions only. Every page a message dirties brings the next checkpoint nearer, and a checkpoint
is a flush of the disk (4 ms when measured): so there is no other index that a message changes, `touched_hour` stands still
for an hour, and `waiting_since` is found in the index of what is due.
"""

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from chatify.backend.outbox import (
    Acceptance,
    Accepted,
    ChatSession,
    Claim,
    ClaimLost,
    IdReused,
    Made,
    Message,
    NoSession,
    OutboxUnavailable,
    TooManyWaiting,
)
from chatify.sqlite import Database, DatabaseUnavailable

__all__ = ["SqliteOutbox"]

_MIGRATIONS = (
    (
        """CREATE TABLE session (
            id TEXT PRIMARY KEY, user_id TEXT NOT NULL, personality_id TEXT NOT NULL, created_at REAL NOT NULL,
            touched_hour INTEGER NOT NULL, made TEXT, settled INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0,
            answered INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0, due_at REAL, waiting_since REAL,
            is_claimed INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX session_due ON session (due_at, waiting_since) WHERE due_at IS NOT NULL",
        "CREATE INDEX session_quiet ON session (touched_hour)",
        """CREATE TABLE message (
            session_id TEXT NOT NULL REFERENCES session ON DELETE CASCADE, number INTEGER NOT NULL, id TEXT NOT NULL,
            text TEXT NOT NULL, created_at REAL NOT NULL, status TEXT NOT NULL DEFAULT 'queued',
            tries INTEGER NOT NULL DEFAULT 0, outcome TEXT, settled_at REAL, PRIMARY KEY (session_id, number)
        ) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX message_id ON message (session_id, id)",
        """CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until REAL NOT NULL) STRICT, WITHOUT ROWID""",
        """CREATE TABLE note (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID""",
    ),
)
_SESSION = "id, user_id, personality_id, created_at, made, settled, accepted, answered"
_MESSAGE = "id, number, text, created_at, status, tries, outcome, settled_at"
_HEAD = f"SELECT {_MESSAGE} FROM message WHERE session_id = ? AND number = ?"  # noqa: S608 - constants
_CLAIMED = f"""UPDATE session SET due_at = ?, is_claimed = 1, attempt = attempt + 1 WHERE id = ?
    RETURNING {_SESSION}, attempt"""  # noqa: S608 - constants


def _hour(at: float) -> int:
    return int(at // 3600)


def _session(row: Sequence[Any]) -> ChatSession:
    identity, user_id, personality_id, created_at, made, settled, accepted, answered = row[:8]
    return ChatSession(
        id=identity, user_id=user_id, personality_id=personality_id, created_at=created_at,
        made=None if made is None else Made(**json.loads(made)), settled=settled, accepted=accepted,
        answered=answered,
    )  # fmt: skip


def _message(row: Sequence[Any]) -> Message:
    identity, number, text, created_at, status, tries, outcome, settled_at = row
    return Message(
        id=identity, number=number, text=text, created_at=created_at, status=status, tries=tries,
        outcome=None if outcome is None else json.loads(outcome), settled_at=settled_at,
    )  # fmt: skip


def _claim(db: sqlite3.Connection, session_id: str, due_at: float) -> Claim:
    row = db.execute(_CLAIMED, (due_at, session_id)).fetchone()
    session = _session(row)
    head = db.execute(_HEAD, (session_id, session.settled + 1)).fetchone()
    return Claim(session=session, attempt=row[8], message=_message(head))


@asynccontextmanager
async def _ours() -> AsyncIterator[None]:
    """The only place where the library's exception becomes the port's."""
    try:
        yield
    except DatabaseUnavailable as failure:
        raise OutboxUnavailable("sqlite", failure.reason) from failure


class SqliteOutbox:
    """`Outbox` on one file; several processes may share it."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self._db = Database(path, migrations=_MIGRATIONS)

    async def open(self) -> None:
        async with _ours():
            await self._db.open()

    async def close(self) -> None:
        await self._db.close()

    async def ping(self) -> None:
        async with _ours():
            await self._db.read(lambda db: db.execute("SELECT 1").fetchone())

    async def add(self, session: ChatSession) -> None:
        made = None if session.made is None else _json(session.made)
        row = (session.id, session.user_id, session.personality_id, session.created_at, _hour(session.created_at), made)

        def run(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO session (id, user_id, personality_id, created_at, touched_hour, made) VALUES (?,?,?,?,?,?)",
                row,
            )

        async with _ours():
            await self._db.write(run)

    async def session(self, session_id: str) -> ChatSession | None:
        def run(db: sqlite3.Connection) -> ChatSession | None:
            row = db.execute(f"SELECT {_SESSION} FROM session WHERE id = ?", (session_id,)).fetchone()  # noqa: S608
            return None if row is None else _session(row)

        async with _ours():
            return await self._db.read(run)

    async def accept(
        self, session_id: str, message_id: str, text: str, *, now: float, lease_s: float | None, waiting_limit: int
    ) -> Acceptance:
        def run(db: sqlite3.Connection) -> Acceptance:
            row = db.execute(
                f"SELECT {_SESSION}, attempt, touched_hour FROM session WHERE id = ?", (session_id,)  # noqa: S608
            ).fetchone()  # fmt: skip
            if row is None:
                return NoSession()
            session = _session(row)
            before = db.execute(
                f"SELECT {_MESSAGE} FROM message WHERE session_id = ? AND id = ?", (session_id, message_id)  # noqa: S608
            ).fetchone()  # fmt: skip
            if before is not None:
                message = _message(before)
                return Accepted(message=message, is_new=False) if message.text == text else IdReused()
            waiting = session.accepted - session.settled
            if waiting >= waiting_limit:
                return TooManyWaiting()
            number = session.accepted + 1
            message = Message(id=message_id, number=number, text=text, created_at=now)
            db.execute(
                "INSERT INTO message (session_id, number, id, text, created_at) VALUES (?,?,?,?,?)",
                (session_id, number, message_id, text, now),
            )
            if row[9] != _hour(now):
                db.execute("UPDATE session SET touched_hour = ? WHERE id = ?", (_hour(now), session_id))
            if waiting:  # it is due, or held, already
                db.execute("UPDATE session SET accepted = ? WHERE id = ?", (number, session_id))
                return Accepted(message=message, is_new=True)
            is_claimed = lease_s is not None
            due_at, attempt = now + (lease_s or 0.0), row[8] + is_claimed
            db.execute(
                """UPDATE session SET accepted = ?, waiting_since = ?, due_at = ?, is_claimed = ?, attempt = ?
                   WHERE id = ?""",
                (number, now, due_at, is_claimed, attempt, session_id),
            )
            claim = Claim(session=session, attempt=attempt, message=message) if is_claimed else None
            return Accepted(message=message, is_new=True, claim=claim)

        async with _ours():
            return await self._db.write(run)

    async def message(self, session_id: str, message_id: str) -> Message | None:
        def run(db: sqlite3.Connection) -> Message | None:
            row = db.execute(
                f"SELECT {_MESSAGE} FROM message WHERE session_id = ? AND id = ?", (session_id, message_id)  # noqa: S608
            ).fetchone()  # fmt: skip
            return None if row is None else _message(row)

        async with _ours():
            return await self._db.read(run)

    async def messages(self, session_id: str, *, after: int = 0, limit: int) -> tuple[Message, ...]:
        def run(db: sqlite3.Connection) -> tuple[Message, ...]:
            rows = db.execute(
                f"SELECT {_MESSAGE} FROM message WHERE session_id = ? AND number > ? ORDER BY number LIMIT ?",  # noqa: S608
                (session_id, after, limit),
            )
            return tuple(_message(row) for row in rows)

        async with _ours():
            return await self._db.read(run)

    async def claim(
        self, *, now: float, lease_s: float, limit: int, accepted_before: float | None = None
    ) -> list[Claim]:
        def run(db: sqlite3.Connection) -> list[Claim]:
            if accepted_before is None:
                due = "SELECT id FROM session WHERE due_at <= ? ORDER BY due_at LIMIT ?"
                rows = db.execute(due, (now, limit)).fetchall()
            else:
                old = """SELECT id FROM session INDEXED BY session_due WHERE due_at IS NOT NULL AND waiting_since < ?
                    ORDER BY waiting_since LIMIT ?"""
                rows = db.execute(old, (accepted_before, limit)).fetchall()
            return [_claim(db, session_id, now + lease_s) for (session_id,) in rows]

        async with _ours():
            return await self._db.write(run)

    async def renew(self, claims: Sequence[Claim], *, now: float, lease_s: float) -> list[Claim]:
        def run(db: sqlite3.Connection) -> list[Claim]:
            hold = "UPDATE session SET due_at = ? WHERE id = ? AND attempt = ? AND is_claimed = 1"
            return [c for c in claims if db.execute(hold, (now + lease_s, c.session.id, c.attempt)).rowcount == 0]

        async with _ours():
            return await self._db.write(run)

    async def bind(self, claim: Claim, made: Made) -> ClaimLost | None:
        text = _json(made)

        def run(db: sqlite3.Connection) -> ClaimLost | None:
            done = db.execute(
                "UPDATE session SET made = ? WHERE id = ? AND attempt = ? AND is_claimed = 1",
                (text, claim.session.id, claim.attempt),
            )
            return None if done.rowcount else ClaimLost()

        async with _ours():
            return await self._db.write(run)

    async def settle(
        self,
        claim: Claim,
        status: Literal["answered", "failed"],
        outcome: dict[str, Any],
        *,
        now: float,
        lease_s: float,
    ) -> Message | ClaimLost | None:
        text, number, session_id = json.dumps(outcome), claim.message.number, claim.session.id

        def run(db: sqlite3.Connection) -> Message | ClaimLost | None:
            row = db.execute(
                """UPDATE session SET settled = ?1, due_at = CASE WHEN accepted > ?1 THEN ?2 END,
                   is_claimed = (accepted > ?1), waiting_since = NULL, answered = answered + ?5
                   WHERE id = ?3 AND attempt = ?4 AND is_claimed = 1 AND settled = ?1 - 1 RETURNING accepted""",
                (number, now + lease_s, session_id, claim.attempt, int(status == "answered")),
            ).fetchone()
            if row is None:
                return ClaimLost()
            db.execute(
                """UPDATE message SET status = ?, outcome = ?, settled_at = ?
                   WHERE session_id = ? AND number = ? AND status = 'queued'""",
                (status, text, now, session_id, number),
            )
            if row[0] == number:
                return None
            head = _message(db.execute(_HEAD, (session_id, number + 1)).fetchone())
            db.execute("UPDATE session SET waiting_since = ? WHERE id = ?", (head.created_at, session_id))
            return head

        async with _ours():
            return await self._db.write(run)

    async def release(self, claim: Claim, *, due_at: float, tries: int) -> ClaimLost | None:
        def run(db: sqlite3.Connection) -> ClaimLost | None:
            done = db.execute(
                "UPDATE session SET due_at = ?, is_claimed = 0 WHERE id = ? AND attempt = ? AND is_claimed = 1",
                (due_at, claim.session.id, claim.attempt),
            )
            if not done.rowcount:
                return ClaimLost()
            db.execute(
                "UPDATE message SET tries = ? WHERE session_id = ? AND number = ?",
                (tries, claim.session.id, claim.message.number),
            )
            return None

        async with _ours():
            return await self._db.write(run)

    async def next_due(self) -> float | None:
        def run(db: sqlite3.Connection) -> float | None:
            row = db.execute("SELECT due_at FROM session WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1").fetchone()
            return None if row is None else float(row[0])

        async with _ours():
            return await self._db.read(run)

    async def take_lease(self, name: str, holder: str, *, now: float, lease_s: float) -> bool:
        def run(db: sqlite3.Connection) -> bool:
            done = db.execute(
                """INSERT INTO lease (name, holder, until) VALUES (?1, ?2, ?3) ON CONFLICT (name)
                   DO UPDATE SET holder = ?2, until = ?3 WHERE holder = ?2 OR until <= ?4""",
                (name, holder, now + lease_s, now),
            )
            return done.rowcount > 0

        async with _ours():
            return await self._db.write(run)

    async def drop_lease(self, name: str, holder: str) -> None:
        async with _ours():
            await self._db.write(
                lambda db: db.execute("DELETE FROM lease WHERE name = ? AND holder = ?", (name, holder)).rowcount
            )

    async def remember(self, key: str, value: str) -> None:
        async with _ours():
            await self._db.write(
                lambda db: db.execute("INSERT OR REPLACE INTO note (key, value) VALUES (?, ?)", (key, value)).rowcount
            )

    async def recall(self, key: str) -> str | None:
        def run(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])

        async with _ours():
            return await self._db.read(run)

    async def purge(self, *, quiet_since: float, limit: int) -> int:
        def run(db: sqlite3.Connection) -> int:
            return db.execute(
                """DELETE FROM session WHERE id IN
                   (SELECT id FROM session WHERE due_at IS NULL AND touched_hour < ? ORDER BY touched_hour LIMIT ?)""",
                (_hour(quiet_since), limit),
            ).rowcount

        async with _ours():
            return await self._db.write(run)


def _json(made: Made) -> str:
    return json.dumps(
        {"session_id": made.session_id, "response_limit": made.response_limit, "opening": made.opening,
         "expires_at": made.expires_at}
    )  # fmt: skip
