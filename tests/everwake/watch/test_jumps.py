"""The wall clock is put forward or back by an hour, or the machine sleeps: nobody is down for it, and times stay sane."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from everwake.model import Failure, FailureKind, Phase, State
from everwake.watch.vantage import Probe
from tests.everwake.watch.test_keeper import REFUSED, fleet, running
from tests.support.fake_clock import settle

NO_ROUTE = Failure(kind=FailureKind.NO_ROUTE, phase=Phase.CONNECT)
HOUR = timedelta(hours=1)
either_way = pytest.mark.parametrize("jump_s", [3600.0, -3600.0])


@either_way
async def test_no_look_is_missed_or_doubled(jump_s: float) -> None:
    async with running(fleet("a", "b", every_s=60.0)) as scene:
        await scene.passes(65)
        for _ in range(3):
            scene.clock.jump(jump_s)
            await scene.passes(130)
        for looks in scene.eyes.looks.values():
            assert {round(later - earlier, 1) for earlier, later in pairwise(looks[1:])} == {60.0}
        assert set(scene.states.values()) == {State.UP}
        assert scene.keeper.open_incidents == ()
        next_at = scene.keeper.snapshot().next_check_at
        assert next_at is not None
        assert timedelta(0) <= next_at - scene.clock.now() <= timedelta(seconds=60)


@either_way
async def test_what_was_being_confirmed_begins_anew_and_is_dated_in_the_new_time(jump_s: float) -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = REFUSED
        scene.keeper.check_now("a")
        await scene.passes(1.5)
        scene.clock.jump(jump_s)
        jumped_at = scene.clock.now()
        await scene.passes(15)
        (incident,) = scene.keeper.open_incidents
        assert jumped_at <= incident.opened_at <= scene.clock.now()
        assert scene.states["a"] is State.DOWN


@either_way
async def test_a_look_during_which_the_clock_jumped_counts_as_one_of_today(jump_s: float) -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"], scene.eyes.takes_s = REFUSED, 20.0
        began_at = scene.clock.now()
        scene.eyes.ends_at = began_at + timedelta(seconds=20)  # in the time of before
        scene.eyes.gate = asyncio.Event()
        scene.keeper.check_now("a")
        await scene.passes(20)
        scene.clock.jump(jump_s)
        scene.eyes.gate.set()
        await settle()
        scene.eyes.ends_at, scene.eyes.takes_s = None, 0.3
        await scene.passes(30)
        (incident,) = scene.keeper.open_incidents
        assert abs(incident.opened_at - (scene.clock.now() - timedelta(seconds=50))) < timedelta(seconds=30)


@either_way
async def test_patience_with_a_service_that_wakes_is_not_shortened_or_prolonged(jump_s: float) -> None:
    async with running(fleet("a", every_s=180.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT)
        scene.eyes.headers = {"x-render-routing": "hibernate-pending-wake"}
        scene.keeper.check_now("a")
        await scene.passes(60)
        scene.clock.jump(jump_s)
        await scene.passes(60)
        assert scene.states["a"] is State.WAKING
        await scene.passes(100)
        assert scene.states["a"] is State.DOWN


@either_way
async def test_a_message_waits_for_its_grace_and_no_longer(jump_s: float) -> None:
    async with running(fleet("a", every_s=3600.0, depends_on=("b",))) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = REFUSED
        scene.keeper.check_now("a")
        await scene.passes(5)
        scene.clock.jump(jump_s)
        await scene.passes(5)
        assert scene.memory.notices == []
        await scene.passes(10)
        assert [notice.title for notice in scene.memory.notices] == ["A is down"]


@either_way
async def test_an_incident_closes_after_it_settled_and_never_before_it_opened(jump_s: float) -> None:
    async with running(fleet("a", every_s=10.0)) as scene:
        await scene.passes(20)
        scene.eyes.failures["a"] = REFUSED
        await scene.passes(30)
        scene.clock.jump(jump_s)
        scene.eyes.failures["a"] = None
        await scene.passes(12)
        assert scene.states["a"] is State.UP
        scene.clock.jump(jump_s)
        await scene.passes(30)
        assert len(scene.keeper.open_incidents) == 1, "it has not been up for a minute"
        await scene.passes(40)
        closed = scene.memory.standings["a"].incident
        assert closed is not None
        assert closed.closed_at is not None
        assert closed.closed_at >= closed.opened_at
        assert [notice.opened for notice in scene.memory.notices] == [True, False]


@pytest.mark.parametrize("probe", [Probe(clock_jump_s=3600.0), Probe(clock_jump_s=-3600.0), Probe(slept_s=7200.0)])
async def test_who_fails_right_after_a_jump_or_a_sleep_is_not_known_and_nobody_is_told(probe: Probe) -> None:
    """What a laptop sees when it wakes: its wall clock is ahead, and its network is not there yet."""
    async with running(fleet("a", "b", every_s=60.0)) as scene:
        await scene.passes(5)
        scene.clock.jump(probe.clock_jump_s + probe.slept_s)
        scene.eyes.failures = dict.fromkeys("ab", NO_ROUTE)
        scene.eyes.own_line = probe
        await scene.passes(90)
        assert set(scene.states.values()) == {State.UNKNOWN}
        assert {scene.keeper.service_view(name).cause for name in "ab"} == {"our own line"}
        scene.eyes.failures, scene.eyes.own_line = {}, Probe(resolves=True, has_route=True)
        await scene.passes(31)
        assert set(scene.states.values()) == {State.UP}, "looked at every half minute while it is not known"
        assert (scene.memory.notices, scene.keeper.open_incidents) == ([], ())
        assert State.DOWN not in {move.new for move in scene.memory.moves}


async def test_who_still_fails_when_the_line_is_sound_again_is_down_from_then_on() -> None:
    async with running(fleet("a", "b", every_s=60.0)) as scene:
        await scene.passes(5)
        scene.eyes.failures, scene.eyes.own_line = dict.fromkeys("ab", NO_ROUTE), Probe(slept_s=7200.0)
        await scene.passes(90)
        assert set(scene.states.values()) == {State.UNKNOWN}
        scene.eyes.failures, scene.eyes.own_line = {"a": REFUSED}, Probe(resolves=True, has_route=True)
        sound_at = scene.clock.now()
        await scene.passes(60)
        assert scene.states == {"a": State.DOWN, "b": State.UP}
        (incident,) = scene.keeper.open_incidents
        assert incident.opened_at >= sound_at
