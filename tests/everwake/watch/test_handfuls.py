"""How looks are begun: in handfuls, ended with the keeper, and never a reason to go on after a mistake of our own."""

import asyncio

import pytest

from everwake.watch.keeper import BEGUN_TOGETHER, Keeper
from tests.everwake.watch.test_keeper import Eyes, Memory, fleet, running
from tests.support.fake_clock import FakeClock, settle


async def test_more_than_a_handful_at_once_are_all_begun_before_time_goes_on() -> None:
    names = [f"s{n}" for n in range(15 * BEGUN_TOGETHER)]
    async with running(fleet(*names, every_s=3_600.0)) as scene:
        await scene.passes(2.0)
        assert sum(map(len, scene.eyes.looks.values())) == len(names)
        assert max(one.late_s for one in scene.memory.seen) == 0.0


async def test_looks_under_way_end_with_the_keeper() -> None:
    clock = FakeClock()
    eyes = Eyes(clock)
    eyes.gate = asyncio.Event()
    keeper = Keeper(fleet("a", "b"), eyes, Memory(), clock)
    running_keeper = asyncio.create_task(keeper.run())
    await clock.advance(2.0)
    assert keeper.running_looks == 2
    keeper.stop()
    await settle()
    await running_keeper
    await settle()
    assert all(task.cancelled() for task in eyes.under_way)


async def test_a_mistake_of_ours_in_what_follows_a_look_ends_the_keeper_with_it() -> None:
    class Broken(Memory):
        def looked(self, seen: object) -> None:
            raise ZeroDivisionError

    clock = FakeClock()
    keeper = Keeper(fleet("a"), Eyes(clock), Broken(), clock)
    running_keeper = asyncio.create_task(keeper.run())
    await clock.advance(2.0)
    with pytest.raises(ExceptionGroup) as caught:
        await running_keeper
    assert caught.group_contains(ZeroDivisionError)
