"""Sessions in a SQLite file: the default, for one machine with any number of processes.

A turn is one row (docs/adr/0003): its question when it is begun, its reply when it is finished. `n` numbers the finished
turns of a session 1, 2, 3, ..., so `responses_used` is the last of them, and `n IS NULL` are those in the making, failed or
abandoned. Times are whole microseconds since 1970; `leased_us` is negative once a turn was given back, so that only a living
lease is ever greater than now.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal, TypeVar

from chatify.chatbot.sessions import (
    HISTORY_TURNS,
    KEPT_S,
    Beginning,
    Begun,
    Failed,
    Finished,
    Message,
    Reply,
    Session,
    SessionStore,
    StoreUnavailable,
    Ticket,
)  # fmt: skip
from chatify.chatbot.stores import _decide
from chatify.chatbot.stores._values import at_us, digest_of, messages_of, turns_of, us_of
from chatify.sqlite import Database, DatabaseUnavailable

__all__ = ["SqliteStore"]

T = TypeVar("T")

_KEPT_DEAD, _DEAD_LIMIT = 100, 200  # turns never finished: trimmed to the first number when the second is reached
_PURGE = 200  # sessions in one transaction, so that nobody waits long behind a big purge

_MIGRATIONS = (
    (
        """
        CREATE TABLE sessions (
            row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, personality_id TEXT NOT NULL,
            response_limit INTEGER NOT NULL, responses_used INTEGER NOT NULL, created_us INTEGER NOT NULL,
            expires_us INTEGER NOT NULL
        )
        """,
        "CREATE INDEX sessions_by_expiry ON sessions (expires_us)",
        """
        CREATE TABLE turns (
            row INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions (row) ON DELETE CASCADE,
            key TEXT, message_id TEXT NOT NULL, digest TEXT NOT NULL, attempt INTEGER NOT NULL, n INTEGER,
            leased_us INTEGER NOT NULL, asked_us INTEGER NOT NULL, replied_us INTEGER, provider TEXT, model TEXT,
            tokens_in INTEGER, tokens_out INTEGER, status INTEGER, code TEXT, detail TEXT, retry_after_s INTEGER,
            question TEXT, reply TEXT
        )
        """,
        "CREATE UNIQUE INDEX turns_by_key ON turns (session, key)",
        "CREATE INDEX turns_by_number ON turns (session, n, leased_us)",
    ),
)

_SESSION = "s.id, s.user_id, s.personality_id, s.response_limit, s.responses_used, s.created_us, s.expires_us"
_LOOK = f"""
    SELECT s.row, {_SESSION},
        t.message_id, t.digest, t.attempt, t.leased_us, t.n, t.reply, t.provider, t.model, t.tokens_in, t.tokens_out,
        t.status, t.code, t.detail, t.retry_after_s,
        (SELECT count(*) FROM turns o WHERE o.session = s.row AND o.n IS NULL AND o.leased_us > :now),
        (SELECT count(*) FROM turns o WHERE o.session = s.row AND o.n IS NULL)
    FROM sessions s LEFT JOIN turns t ON t.session = s.row AND t.key = :key WHERE s.id = :id
"""  # noqa: S608 - constants only
_START = """
    INSERT INTO turns (session, key, message_id, digest, attempt, leased_us, asked_us, question)
    VALUES (:row, :key, :message_id, :digest, :attempt, :leased, :now, :text)
    ON CONFLICT (session, key) DO UPDATE SET attempt = :attempt, leased_us = :leased, asked_us = :now, question = :text
"""
_FINISH = """
    UPDATE turns SET n = ?, replied_us = ?, reply = ?, provider = ?, model = ?, tokens_in = ?, tokens_out = ?
    WHERE session = ? AND key = ?
"""
_HISTORY = """
    SELECT message_id, question, asked_us, reply, replied_us, provider FROM turns
    WHERE session = ? AND n > ? ORDER BY n LIMIT ?
"""
_GIVE_BACK = """
    UPDATE turns SET leased_us = -leased_us, status = ?, code = ?, detail = ?, retry_after_s = ?, question = NULL
    WHERE session = (SELECT row FROM sessions WHERE id = ?) AND key = ? AND message_id = ? AND attempt = ?
        AND n IS NULL AND leased_us > 0
"""
_TRIM = """
    DELETE FROM turns WHERE row IN (
        SELECT row FROM turns WHERE session = ? AND n IS NULL AND leased_us <= ?
        ORDER BY abs(leased_us) DESC LIMIT -1 OFFSET ?
    )
"""


def _session(row: Sequence[Any]) -> Session:
    return Session(
        id=row[0], user_id=row[1], personality_id=row[2], response_limit=row[3], responses_used=row[4],
        created_at=at_us(row[5]), expires_at=at_us(row[6]),
    )  # fmt: skip


class _Look:
    """What `_LOOK` found: the session, the turn of the key, and how many others are in the making."""

    __slots__ = ("dead", "others", "row", "session", "turn")

    def __init__(self, found: Sequence[Any], now_us: int) -> None:
        self.row: int = found[0]
        self.session = _session(found[1:8])
        self.turn: _decide.Turn | None = None
        living, unfinished = found[22], found[23]
        self.dead: int = unfinished - living
        self.others: int = living
        message_id, digest, attempt, leased_us, n = found[8:13]
        if message_id is None:
            return
        outcome: Reply | Failed | None = None
        if n is not None:
            outcome = Reply(
                text=found[13], provider=found[14], model=found[15], tokens_in=found[16], tokens_out=found[17]
            )
        elif leased_us < 0:
            outcome = Failed(status=found[18], code=found[19], detail=found[20], retry_after_s=found[21])
        elif leased_us > now_us:
            self.others -= 1
        self.turn = _decide.Turn(
            message_id=message_id, digest=digest, attempt=attempt,
            leased_until=at_us(abs(leased_us)), outcome=outcome, responses_used=n or 0,
        )  # fmt: skip


def _look(connection: Connection, session_id: str, key: str, now_us: int) -> _Look | None:
    found = connection.execute(_LOOK, {"id": session_id, "key": key, "now": now_us}).fetchone()
    return None if found is None else _Look(found, now_us)


class SqliteStore:
    """The port over `chatify.sqlite.Database`."""

    name = "sqlite"

    def __init__(
        self, path: Path, *, synchronous: Literal["NORMAL", "FULL"] = "NORMAL", deadline_s: float = 5.0
    ) -> None:
        self._database = Database(path, migrations=_MIGRATIONS, synchronous=synchronous, deadline_s=deadline_s)

    async def open(self) -> None:
        try:
            await self._database.open()
        except DatabaseUnavailable as failure:
            raise StoreUnavailable(self.name, failure.reason, failure.detail) from failure

    async def close(self) -> None:
        await self._database.close()

    async def ping(self) -> float:
        started = time.perf_counter()
        await self._read(lambda connection: connection.execute("SELECT 1").fetchone())
        return time.perf_counter() - started

    async def create(self, session: Session, history: Sequence[Message] = ()) -> None:
        turns = turns_of(history)

        def run(connection: Connection) -> None:
            made = connection.execute(
                "INSERT INTO sessions (id, user_id, personality_id, response_limit, responses_used, created_us, expires_us)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                (session.id, session.user_id, session.personality_id, session.response_limit, len(turns),
                 us_of(session.created_at), us_of(session.expires_at)),
            )  # fmt: skip
            if made.rowcount == 1 and turns:
                # No key: what was answered elsewhere is not replayed. NULLs do not collide in a UNIQUE index.
                connection.executemany(
                    "INSERT INTO turns (session, message_id, digest, attempt, leased_us, n, asked_us, replied_us, provider,"
                    " question, reply) VALUES (?, ?, '', 1, 0, ?, ?, ?, ?, ?, ?)",
                    [(made.lastrowid, a.id, n, us_of(q.at), us_of(a.at), a.provider or "unknown", q.text, a.text)
                     for n, (q, a) in enumerate(turns, 1)],
                )  # fmt: skip

        await self._write(run)

    async def get(self, session_id: str) -> Session | None:
        def run(connection: Connection) -> Session | None:
            row = connection.execute(f"SELECT {_SESSION} FROM sessions s WHERE id = ?", (session_id,)).fetchone()  # noqa: S608
            return None if row is None else _session(row)

        return await self._read(run)

    async def delete(self, session_id: str) -> bool:
        return await self._write(
            lambda connection: connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,)).rowcount == 1
        )

    async def messages(self, session_id: str, *, after: str | None = None, limit: int = 100) -> tuple[Message, ...]:
        def run(connection: Connection) -> tuple[Message, ...]:
            found = connection.execute("SELECT row FROM sessions WHERE id = ?", (session_id,)).fetchone()
            if found is None:
                return ()
            skipped, half = 0, 0  # whole turns before the page, and whether it begins with a reply
            if after is not None:
                reply_id = after.removesuffix("-q")
                place = connection.execute(
                    "SELECT n, message_id = ? FROM turns WHERE session = ? AND n > 0 AND message_id IN (?, ?)",
                    (after, found[0], after, reply_id),
                ).fetchone()
                if place is not None:
                    skipped, half = (place[0], 0) if place[1] else (place[0] - 1, 1)
            rows = connection.execute(_HISTORY, (found[0], skipped, (limit + half + 1) // 2)).fetchall()
            return messages_of(rows)[half : half + limit]

        return await self._read(run)

    async def begin(
        self, session_id: str, *, message_id: str, key: str, text: str, now: datetime, lease_s: float,
        waited_for: int | None = None,
    ) -> Beginning:  # fmt: skip
        digest, now_us = digest_of(text), us_of(now)
        leased_us = now_us + round(lease_s * 1e6)

        def run(connection: Connection) -> Beginning:
            look = _look(connection, session_id, key, now_us)
            decision = _decide.begin(
                look.session if look else None, look.turn if look else None, others=look.others if look else 0,
                message_id=message_id, digest=digest, now=now, waited_for=waited_for,
            )  # fmt: skip
            if not isinstance(decision, _decide.Start):
                return decision
            assert look is not None
            if look.dead >= _DEAD_LIMIT:
                connection.execute(_TRIM, (look.row, now_us, _KEPT_DEAD))
            connection.execute(
                _START,
                {"row": look.row, "key": key, "message_id": decision.message_id, "digest": digest,
                 "attempt": decision.attempt, "leased": leased_us, "now": now_us, "text": text},
            )  # fmt: skip
            used = look.session.responses_used
            rows = (
                connection.execute(_HISTORY, (look.row, used - HISTORY_TURNS, HISTORY_TURNS)).fetchall() if used else []
            )
            ticket = Ticket(session_id=session_id, message_id=decision.message_id, key=key, attempt=decision.attempt)
            return Begun(ticket=ticket, session=look.session, history=messages_of(rows))

        return await self._write(run)

    async def renew(self, ticket: Ticket, *, now: datetime, lease_s: float) -> bool:
        now_us = us_of(now)

        def run(connection: Connection) -> bool:
            look = _look(connection, ticket.session_id, ticket.key, now_us)
            if look is None or self._may_go_on(look, ticket, now) != "yes":
                return False
            leased_us = now_us + round(lease_s * 1e6)
            connection.execute(
                "UPDATE turns SET leased_us = ? WHERE session = ? AND key = ?", (leased_us, look.row, ticket.key)
            )
            return True

        return await self._write(run)

    async def finish(self, ticket: Ticket, reply: Reply, *, now: datetime) -> Finished | None:
        now_us = us_of(now)

        def run(connection: Connection) -> Finished | None:
            look = _look(connection, ticket.session_id, ticket.key, now_us)
            answer = "no" if look is None else self._may_go_on(look, ticket, now)
            if look is None or answer == "no":
                return None
            if answer == "done":
                assert look.turn is not None
                return Finished(session=look.session, responses_used=look.turn.responses_used)
            n = look.session.responses_used + 1
            connection.execute(
                _FINISH,
                (
                    n,
                    now_us,
                    reply.text,
                    reply.provider,
                    reply.model,
                    reply.tokens_in,
                    reply.tokens_out,
                    look.row,
                    ticket.key,
                ),
            )
            connection.execute("UPDATE sessions SET responses_used = ? WHERE row = ?", (n, look.row))
            return Finished(session=replace(look.session, responses_used=n), responses_used=n)

        return await self._write(run)

    async def give_back(
        self, ticket: Ticket, *, status: int, code: str, detail: str, retry_after_s: int | None = None
    ) -> None:
        told = (status, code, detail, retry_after_s)
        which = (ticket.session_id, ticket.key, ticket.message_id, ticket.attempt)
        await self._write(lambda connection: connection.execute(_GIVE_BACK, (*told, *which)).rowcount)

    async def purge(self, now: datetime) -> int:
        before = us_of(now) - KEPT_S * 1_000_000
        dropped = 0
        while True:
            found = await self._write(
                lambda connection: (
                    connection.execute(
                        "DELETE FROM sessions WHERE row IN (SELECT row FROM sessions WHERE expires_us < ? LIMIT ?)",
                        (before, _PURGE),
                    ).rowcount
                )
            )
            dropped += found
            if found < _PURGE:
                return dropped

    @staticmethod
    def _may_go_on(look: _Look, ticket: Ticket, now: datetime) -> Literal["yes", "done", "no"]:
        return _decide.may_go_on(
            look.session, look.turn, others=look.others, message_id=ticket.message_id, attempt=ticket.attempt, now=now
        )

    async def _write(self, run: Callable[[Connection], T]) -> T:
        try:
            return await self._database.write(run)
        except DatabaseUnavailable as failure:
            raise StoreUnavailable(self.name, failure.reason, failure.detail) from failure

    async def _read(self, run: Callable[[Connection], T]) -> T:
        try:
            return await self._database.read(run)
        except DatabaseUnavailable as failure:
            raise StoreUnavailable(self.name, failure.reason, failure.detail) from failure


_: type[SessionStore] = SqliteStore  # the port is kept: mypy holds it
