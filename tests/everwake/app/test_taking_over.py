"""Who comes after a keeper that was killed: at once where it is surely gone, else when its lease is over, and to the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from everwake.app.holder import has_ended, new_holder
from everwake.model import RemedyRun, RunState
from tests.everwake.app.test_repairing import KEY, Stage
from tests.support.fake_clock import settle


@asynccontextmanager
async def killed(until: Callable[[RemedyRun], bool], has_ended: Callable[[str], bool]) -> AsyncIterator[Stage]:
    """A stage whose repairer died in the middle of its remedy, and another that has begun in its place."""
    one = Stage("auto")
    keeping, repairing = asyncio.create_task(one.keeper.run()), asyncio.create_task(one.repairer.run())
    await settle()
    await one.pass_s(70)
    one.fall()
    for _ in range(200):
        await one.pass_s(1)
        if one.steps.runs and until(next(iter(one.steps.runs.values()))):
            break
    repairing.cancel()
    await asyncio.gather(repairing, return_exceptions=True)
    [run] = one.steps.runs.values()
    assert (run.holder, run.state.is_open) == ("one", True)
    one.repairer = one.a_repairer("two", has_ended=has_ended)
    for incident in one.keeper.open_incidents:
        one.repairer.incident(incident)
    repairing = asyncio.create_task(one.repairer.run())
    await one.pass_s(2)
    try:
        yield one
    finally:
        one.keeper.stop()
        repairing.cancel()
        await asyncio.gather(repairing, keeping, return_exceptions=True)


@pytest.mark.parametrize("is_gone", [True, False])
async def test_who_is_surely_gone_is_followed_at_once_and_who_may_live_when_the_lease_is_over(is_gone: bool) -> None:
    async with killed(lambda run: run.next_step == 2, lambda holder: is_gone and holder == "one") as one:
        [run] = one.steps.runs.values()
        assert run.holder == ("two" if is_gone else "one")
        await one.pass_s(300)
        assert one.runs == [("fix-variables", RunState.PROVED)]
        assert one.platform.calls == [f"write {KEY}", "deploy"]


async def test_a_remedy_ends_also_when_its_incident_was_over_before_its_lease() -> None:
    async with killed(lambda run: run.state is RunState.PROVING, lambda holder: False) as one:
        [incident] = one.keeper.open_incidents
        one.repairer.incident(replace(incident, closed_at=one.clock.now()))
        await one.pass_s(300)
        assert one.runs == [("fix-variables", RunState.PROVED)], "else no other remedy could ever begin"


def test_a_holder_of_this_machine_is_known_to_have_ended_and_nobody_else() -> None:
    mine = new_holder("keeper")
    assert has_ended(mine)
    assert has_ended(new_holder("fix"))
    assert new_holder("keeper") != mine
    what, _, where = mine.partition("@")
    machine, pid, dice = where.rsplit("-", 2)
    for other in (
        "",
        "keeper-123-abcdef",
        "one",
        f"{what}@-{pid}-{dice}",
        f"{what}@x{machine}-{pid}-{dice}",
        f"{what}@{machine}",
    ):
        assert not has_ended(other), other
