"""Remedies and their steps in the history's file (`ports.Steps`): each change a transaction, made only by who holds the lease."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from everwake.fleet.redact import redact
from everwake.history import statements as sql
from everwake.history.packing import clean, dump, read_proof, to_time, to_us, write_proof
from everwake.history.sqlite import History
from everwake.model import Proof, RemedyRun, RemedyStep, RunState, State, StepState
from everwake.ports import Notice, Switch

__all__ = ["StepStore"]

LONGEST_TEXT = 500
KEPT = timedelta(days=400)
# Nobody holds a lease for so long: what seems to be was written before the clock was put back.
FAR = timedelta(minutes=20)
MOST_RUNS = 2_000

_COLUMNS = (
    "id, service, incident, playbook, about, cause, why, costs, proved_by, by_whom, state, target, before, back_to, deploys, "
    "asked_us, began_us, ended_us, outcome, proof, holder, held_until_us, soak"
)
_ADD = f"INSERT OR IGNORE INTO remedies ({_COLUMNS}) VALUES ({', '.join('?' * 23)})"  # noqa: S608 - our own words
_ADD_STEP = (
    "INSERT INTO steps (remedy, n, what, says, args, state, at_us, ended_us, said) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_RUN = f"SELECT {_COLUMNS} FROM remedies WHERE id = ?"  # noqa: S608
_OPEN = f"SELECT {_COLUMNS} FROM remedies WHERE ended_us IS NULL ORDER BY asked_us, id"  # noqa: S608
_SINCE = f"""SELECT {_COLUMNS} FROM remedies WHERE asked_us >= :since AND (:service IS NULL OR service = :service)
    ORDER BY asked_us DESC, id LIMIT {MOST_RUNS}"""  # noqa: S608
_STEPS = "SELECT what, says, args, state, at_us, ended_us, said FROM steps WHERE remedy = ? ORDER BY n"
_BEGIN = "UPDATE remedies SET state = 'running', by_whom = ?, began_us = ? WHERE id = ? AND state = 'asked'"
_CLAIM = """UPDATE remedies SET holder = :holder, held_until_us = :until, began_us = coalesce(began_us, :now)
    WHERE id = :id AND state IN ('running', 'proving')
    AND (holder IN ('', :holder) OR held_until_us <= :now OR held_until_us > :far)"""
_RELEASE = "UPDATE remedies SET holder = '', held_until_us = NULL WHERE id = ? AND holder = ?"
_HELD = "SELECT 1 FROM remedies WHERE id = ? AND holder = ? AND held_until_us > ? AND ended_us IS NULL"
_INTEND = "UPDATE steps SET state = 'intended', at_us = ? WHERE remedy = ? AND n = ? AND state = 'planned'"
_IS_INTENDED = "SELECT 1 FROM steps WHERE remedy = ? AND n = ? AND state = 'intended'"
_MARK = "UPDATE steps SET state = ?, said = ?, ended_us = ? WHERE remedy = ? AND n = ? AND state = 'intended'"
_ADVANCE = """UPDATE remedies SET state = :state, outcome = :outcome, proof = coalesce(:proof, proof), ended_us = :ended,
    holder = CASE WHEN :ended IS NULL THEN holder ELSE '' END
    WHERE id = :id AND ended_us IS NULL AND ((holder = :holder AND held_until_us > :now) OR (state = 'asked' AND :drops))"""
_SOAKED = "UPDATE remedies SET soak = ? WHERE id = ? AND state = 'proved' AND soak IS NULL"
_PRUNE = "DELETE FROM remedies WHERE ended_us < ?"
_SWITCH = "SELECT is_stopped, by_whom, at_us FROM switches WHERE name = 'repairs'"
_SET_SWITCH = """INSERT INTO switches (name, is_stopped, by_whom, at_us) VALUES ('repairs', ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET is_stopped = excluded.is_stopped, by_whom = excluded.by_whom, at_us = excluded.at_us"""


class StepStore:
    """`ports.Steps` on a history that is open. mask: hides secrets in what platforms and services said."""

    def __init__(self, history: History, *, mask: Callable[[str], str] = redact) -> None:
        self._history, self._mask = history, mask

    async def propose(self, run: RemedyRun, notices: Iterable[Notice] = ()) -> bool:
        """`Steps.propose`."""
        told = tuple(notices)

        def write(connection: sqlite3.Connection) -> bool:
            connection.execute(_PRUNE, (to_us(run.asked_at - KEPT),))
            if connection.execute(_ADD, self._row(run)).rowcount != 1:
                return False
            connection.executemany(_ADD_STEP, [self._step_row(run.id, n, one) for n, one in enumerate(run.steps)])
            self._notices(connection, told)
            return True

        return await self._history.write(write)

    async def begin(self, id: str, by: str, now: datetime) -> bool:
        """`Steps.begin`."""
        return await self._history.write(
            lambda connection: connection.execute(_BEGIN, (self._text(by), to_us(now), id)).rowcount == 1
        )

    async def claim(self, id: str, holder: str, now: datetime, lease_s: float) -> RemedyRun | None:
        """`Steps.claim`."""

        def write(connection: sqlite3.Connection) -> RemedyRun | None:
            values = {
                "id": id, "holder": holder, "now": to_us(now), "far": to_us(now + FAR),
                "until": to_us(now + timedelta(seconds=lease_s)),
            }  # fmt: skip
            taken = connection.execute(_CLAIM, values).rowcount == 1
            return _run(connection, connection.execute(_RUN, (id,)).fetchone()) if taken else None

        return await self._history.write(write)

    async def intend(self, id: str, n: int, holder: str, now: datetime) -> bool:
        """`Steps.intend`."""

        def write(connection: sqlite3.Connection) -> bool:
            if connection.execute(_HELD, (id, holder, to_us(now))).fetchone() is None:
                return False
            if connection.execute(_INTEND, (to_us(now), id, n)).rowcount == 1:
                return True
            return connection.execute(_IS_INTENDED, (id, n)).fetchone() is not None

        return await self._history.write(write)

    async def mark(self, id: str, n: int, holder: str, state: StepState, said: str, now: datetime) -> bool:
        """`Steps.mark`."""

        def write(connection: sqlite3.Connection) -> bool:
            if connection.execute(_HELD, (id, holder, to_us(now))).fetchone() is None:
                return False
            return connection.execute(_MARK, (state.value, self._text(said), to_us(now), id, n)).rowcount == 1

        return await self._history.write(write)

    async def advance(
        self, id: str, holder: str, state: RunState, now: datetime, outcome: str = "", proof: Proof | None = None,
        notices: Iterable[Notice] = (),
    ) -> bool:  # fmt: skip
        """`Steps.advance`."""
        told = tuple(notices)

        def write(connection: sqlite3.Connection) -> bool:
            values = {
                "id": id, "holder": holder, "state": state.value, "now": to_us(now), "outcome": self._text(outcome),
                "proof": write_proof(proof), "ended": None if state.is_open else to_us(now),
                "drops": state is RunState.DROPPED,
            }  # fmt: skip
            if connection.execute(_ADVANCE, values).rowcount != 1:
                return False
            self._notices(connection, told)
            return True

        return await self._history.write(write)

    async def soaked(self, id: str, soak: Proof, notices: Iterable[Notice] = ()) -> bool:
        """`Steps.soaked`."""
        told = tuple(notices)

        def write(connection: sqlite3.Connection) -> bool:
            if connection.execute(_SOAKED, (write_proof(soak), id)).rowcount != 1:
                return False
            self._notices(connection, told)
            return True

        return await self._history.write(write)

    async def release(self, id: str, holder: str) -> None:
        """`Steps.release`."""
        await self._history.write(lambda connection: connection.execute(_RELEASE, (id, holder)))

    async def run(self, id: str) -> RemedyRun | None:
        """`Steps.run`."""

        def read(connection: sqlite3.Connection) -> RemedyRun | None:
            row = connection.execute(_RUN, (id,)).fetchone()
            return None if row is None else _run(connection, row)

        return await self._history.read(read)

    async def open(self) -> Sequence[RemedyRun]:
        """`Steps.open`."""
        return await self._history.read(
            lambda connection: [_run(connection, row) for row in connection.execute(_OPEN).fetchall()]
        )

    async def since(self, at: datetime, service: str | None = None) -> Sequence[RemedyRun]:
        """`Steps.since`; the newest `MOST_RUNS` of them."""

        def read(connection: sqlite3.Connection) -> list[RemedyRun]:
            rows = connection.execute(_SINCE, {"since": to_us(at), "service": service}).fetchall()
            return [_run(connection, row) for row in reversed(rows)]

        return await self._history.read(read)

    async def told(self, notices: Iterable[Notice]) -> None:
        """`Steps.told`."""
        told = tuple(notices)
        await self._history.write(lambda connection: self._notices(connection, told))

    async def switch(self) -> Switch:
        """`Steps.switch`."""
        row = await self._history.read(lambda connection: connection.execute(_SWITCH).fetchone())
        if row is None:
            return Switch()
        return Switch(is_stopped=bool(row[0]), by=row[1], at=None if row[2] is None else to_time(row[2]))

    async def set_switch(self, switch: Switch) -> bool:
        """`Steps.set_switch`."""

        def write(connection: sqlite3.Connection) -> bool:
            row = connection.execute(_SWITCH).fetchone()
            if bool(row and row[0]) == switch.is_stopped:
                return False
            at_us = None if switch.at is None else to_us(switch.at)
            connection.execute(_SET_SWITCH, (switch.is_stopped, self._text(switch.by), at_us))
            return True

        return await self._history.write(write)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _text(self, text: str) -> str:
        return clean(self._mask(text)[:LONGEST_TEXT])

    def _row(self, run: RemedyRun) -> tuple[Any, ...]:
        return (
            run.id, clean(run.service), run.incident, run.playbook, self._text(run.about), run.cause, self._text(run.why),
            self._text(run.costs), self._text(run.proved_by), self._text(run.by), run.state.value, run.target,
            run.before.value, run.back_to, run.deploys, to_us(run.asked_at), _us(run.began_at), _us(run.ended_at),
            self._text(run.outcome), write_proof(run.proof), run.holder, _us(run.held_until),
            write_proof(run.soak),
        )  # fmt: skip

    def _step_row(self, id: str, n: int, step: RemedyStep) -> tuple[Any, ...]:
        args = dump({name: clean(value) for name, value in step.args.items()})
        return (
            id, n, step.do, self._text(step.says), args, step.state.value, _us(step.at), _us(step.ended_at),
            self._text(step.said),
        )  # fmt: skip

    def _notices(self, connection: sqlite3.Connection, notices: Iterable[Notice]) -> None:
        connection.executemany(
            sql.ADD_NOTICE,
            [
                (n.key, n.service, n.incident, n.opened, clean(n.title), clean(n.body), to_us(n.at), to_us(n.at))
                for n in notices
            ],
        )


def _us(at: datetime | None) -> int | None:
    return None if at is None else to_us(at)


def _at(us: int | None) -> datetime | None:
    return None if us is None else to_time(us)


def _run(connection: sqlite3.Connection, row: tuple[Any, ...]) -> RemedyRun:
    steps = tuple(
        RemedyStep(
            do=what,
            says=says,
            args=json.loads(args),
            state=StepState(state),
            at=_at(at),
            ended_at=_at(ended),
            said=said,
        )
        for what, says, args, state, at, ended, said in connection.execute(_STEPS, (row[0],)).fetchall()
    )
    return RemedyRun(
        id=row[0], service=row[1], incident=row[2], playbook=row[3], about=row[4], cause=row[5], why=row[6], costs=row[7],
        proved_by=row[8], by=row[9], state=RunState(row[10]), target=row[11], before=State(row[12]), back_to=row[13],
        deploys=row[14], asked_at=to_time(row[15]), began_at=_at(row[16]), ended_at=_at(row[17]), outcome=row[18],
        proof=read_proof(row[19]), holder=row[20], held_until=_at(row[21]), steps=steps,
        soak=read_proof(row[22]),
    )  # fmt: skip
