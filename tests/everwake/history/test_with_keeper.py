"""A keeper that remembers in a file: it is stopped, started again, and goes on as if nothing had been."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from everwake.history import History, queries
from everwake.model import State
from everwake.watch.keeper import Keeper
from tests.everwake.watch.test_keeper import REFUSED, Eyes, fleet
from tests.support.fake_clock import FakeClock, settle


class Run:
    def __init__(self, history: History, keeper: Keeper, eyes: Eyes) -> None:
        self.history, self.keeper, self.eyes = history, keeper, eyes

    @property
    def state(self) -> State:
        return self.keeper.service_view("a").state


@asynccontextmanager
async def keeping(path: Path, clock: FakeClock, *, is_down: bool, **settings: object) -> AsyncIterator[Run]:
    history = History(path, clock)
    history.open()
    eyes = Eyes(clock)
    eyes.failures = {"a": REFUSED if is_down else None}
    keeper = Keeper(fleet("a", every_s=60.0, **settings), eyes, history, clock, standings=history.standings())
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keeper.run())
            await settle()
            yield Run(history, keeper, eyes)
            keeper.stop()
    finally:
        history.close()


async def alerts(run: Run, clock: FakeClock) -> list[bool]:
    """Which beginnings (True) and ends were written so far, ever."""
    run.history.flush()
    rows = await run.history.read(lambda c: c.execute("SELECT opened FROM notices ORDER BY id").fetchall())
    return [bool(opened) for (opened,) in rows]


async def test_a_restart_of_the_keeper_is_seen_by_nobody(path: Path, clock: FakeClock) -> None:
    async with keeping(path, clock, is_down=False) as run:
        await clock.advance(120)
        run.eyes.failures["a"] = REFUSED
        await clock.advance(120)
        assert (run.state, await alerts(run, clock)) == (State.DOWN, [True])
        (incident,) = run.keeper.open_incidents
    async with keeping(path, clock, is_down=True) as run:
        assert run.state is State.DOWN
        assert run.keeper.open_incidents == (incident,)
        assert run.keeper.service_view("a").checked_at is not None
        await clock.advance(120)
        assert await alerts(run, clock) == [True]
        run.eyes.failures["a"] = None
        await clock.advance(240)
        assert (run.state, run.keeper.open_incidents) == (State.UP, ())
        assert await alerts(run, clock) == [True, False]
        (told,) = (await run.history.read(queries.incidents)).items
        assert (told.id, told.closed_at is not None) == (incident.id, True)


async def test_an_incident_that_was_settling_when_the_keeper_stopped_still_closes(path: Path, clock: FakeClock) -> None:
    async with keeping(path, clock, is_down=True) as run:
        await clock.advance(120)
        run.eyes.failures["a"] = None
        await clock.advance(35)
        assert (run.state, len(run.keeper.open_incidents)) == (State.UP, 1)
    async with keeping(path, clock, is_down=False) as run:
        assert (run.state, len(run.keeper.open_incidents)) == (State.UP, 1)
        await clock.advance(180)
        assert run.keeper.open_incidents == ()
        assert await alerts(run, clock) == [True, False]


async def test_an_alert_that_waited_for_its_grace_when_the_keeper_stopped_is_told_once(
    path: Path, clock: FakeClock
) -> None:
    async with keeping(path, clock, is_down=True, depends_on=("other",)) as run:
        await clock.advance(8)
        assert (run.state, await alerts(run, clock)) == (State.DOWN, [])
    for _ in range(2):
        async with keeping(path, clock, is_down=True, depends_on=("other",)) as run:
            await clock.advance(60)
            assert await alerts(run, clock) == [True]
