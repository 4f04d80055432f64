"""From when an incident counts, what a broken line means, and what survives a restart in the middle of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from everwake.fleet.schema import Check, Fleet, Service
from everwake.history.uptime import Course, shares
from everwake.model import (
    Action,
    Beat,
    BeatKind,
    Cause,
    Criterion,
    Diagnosis,
    Failure,
    FailureKind,
    Phase,
    Proof,
    State,
)
from everwake.ports import Standing
from tests.everwake.watch.test_keeper import REFUSED, Scene, fleet, running
from tests.support.fake_clock import settle

CLOSED = Failure(kind=FailureKind.LINE_CLOSED, phase=Phase.BEAT)
ANSWERED_503 = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT)
HELD = Failure(kind=FailureKind.TIMEOUT, phase=Phase.FIRST_BYTE)


async def beat(scene: Scene, kind: BeatKind, failure: Failure | None = None) -> None:
    scene.eyes.beats["a"].put_nowait(Beat(service="a", kind=kind, at=scene.clock.now(), failure=failure))
    await settle()


def remembered(scene: Scene, name: str = "a") -> Standing:
    """What a history would say: what was written last, and the newest look."""
    standing = scene.memory.standings[name]
    last = [seen for seen in scene.memory.seen if (seen.service, seen.check) == (name, "http")]
    return replace(standing, last=last[-1])


async def goes_down(scene: Scene) -> None:
    scene.eyes.failures["a"] = REFUSED
    scene.keeper.check_now("a")
    await scene.passes(5)


async def test_an_incident_begins_with_the_first_failed_look_and_keeps_it() -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        failed_at = scene.clock.now()
        await goes_down(scene)
        (incident,) = scene.keeper.open_incidents
        (first, *_) = [seen for seen in scene.memory.seen if seen.failure]
        assert (incident.opened_at, incident.first) == (failed_at, first)
        assert first.at == failed_at
        down = scene.memory.moves[-1]
        assert (down.new, down.at) == (State.DOWN, failed_at)
        assert scene.keeper.service_view("a").since == failed_at
        assert f"since {failed_at:%Y-%m-%d %H:%M:%S}" in scene.memory.notices[0].body


async def test_uptime_counts_from_the_same_moment_as_the_incident() -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        began, failed_at = scene.memory.moves[0].at, scene.clock.now()
        await goes_down(scene)
        await scene.passes(60)
        moves = [((move.at - began) // timedelta(microseconds=1), move.new) for move in scene.memory.moves]
        until = (scene.clock.now() - began) // timedelta(microseconds=1)
        (share,) = shares(Course(State.UNKNOWN, moves), [(0, until)], [(0, until)])
        assert share == pytest.approx((failed_at - began) / (scene.clock.now() - began))


async def test_who_answered_late_is_back_when_it_answered_not_when_it_was_asked() -> None:
    async with running(fleet("a", every_s=180.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"], scene.eyes.headers = ANSWERED_503, {"x-render-routing": "hibernate-pending-wake"}
        asked_at = scene.clock.now()
        scene.keeper.check_now("a")
        await settle()
        scene.eyes.gate = asyncio.Event()
        await scene.passes(60)
        scene.eyes.failures, scene.eyes.headers, scene.eyes.takes_s = {}, {}, 60.0
        scene.eyes.gate.set()
        await settle()
        waking, up = scene.memory.moves[-2:]
        assert (waking.new, waking.at, up.new) == (State.WAKING, asked_at, State.UP)
        assert abs(up.at - scene.clock.now()) < timedelta(seconds=1)


def family(parent_timeout_s: float = 30.0) -> Fleet:
    """One that another depends on; both are looked at every 20 s, by themselves."""
    redis = Service(name="redis", url="https://redis.example", every_s=20.0, timeout_s=parent_timeout_s)
    return Fleet(name="blabbin", services=(redis, replace(redis, name="kid", timeout_s=30.0, depends_on=("redis",))))


async def test_a_child_folds_into_a_parent_that_flaps_whoever_is_looked_at_first() -> None:
    async with running(family()) as scene:
        await scene.passes(2)
        for failure, seconds in ((REFUSED, 18.0), (None, 45.0), (REFUSED, 40.0)):
            scene.eyes.failures = {"redis": failure, "kid": failure}
            scene.keeper.check_now("kid")
            await scene.passes(0.3)
            scene.keeper.check_now("redis")
            await scene.passes(seconds - 0.3)
        assert [notice.title for notice in scene.memory.notices] == ["Redis is down"]
        redis, kid = (
            next(one for one in scene.keeper.open_incidents if one.service == name) for name in ("redis", "kid")
        )
        assert (kid.parent, redis.flaps) == (redis.id, 1)


async def test_a_child_is_not_told_of_while_a_look_at_its_hanging_parent_is_under_way() -> None:
    async with running(family(parent_timeout_s=60.0)) as scene:
        await scene.passes(2)
        scene.eyes.hanging.add("redis")
        scene.eyes.failures["kid"] = REFUSED
        scene.keeper.check_now("kid")
        await scene.passes(59)
        assert scene.states == {"redis": State.UP, "kid": State.DOWN}
        assert scene.memory.notices == [], "the parent is being looked at since the child failed"
        await scene.passes(10)
        assert [notice.title for notice in scene.memory.notices] == ["Redis is down"]


async def test_a_child_that_fails_alone_is_told_of_as_soon_as_its_parent_was_seen_well() -> None:
    async with running(family()) as scene:
        await scene.passes(2)
        scene.eyes.failures["kid"] = REFUSED
        scene.keeper.check_now("kid")
        await scene.passes(21)
        assert [notice.title for notice in scene.memory.notices] == ["Kid is down"]


async def test_many_children_that_fail_do_not_make_a_burst_of_looks_at_what_they_need() -> None:
    redis = Service(name="redis", url="https://redis.example", every_s=3600.0)
    kids = [replace(redis, name=f"kid-{n}", depends_on=("redis",)) for n in range(100)]
    async with running(Fleet(name="blabbin", services=(redis, *kids))) as scene:
        await scene.passes(2)
        for n, kid in enumerate(kids):
            scene.eyes.failures[kid.name] = REFUSED
            scene.keeper.check_now(kid.name)
            await scene.passes(0.1 if n % 10 else 0.5)
        assert 2 <= len(scene.eyes.looks["redis"]) <= 6


async def test_a_restart_while_confirming_goes_on_at_once_and_dates_from_the_first_failed_look() -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = REFUSED
        scene.keeper.check_now("a")
        await scene.passes(1.5)
        assert scene.states["a"] is State.UP
        (first, *_) = [seen for seen in scene.memory.seen if seen.failure]
    async with running(fleet("a", every_s=3600.0), [remembered(scene)], clock=scene.clock) as after:
        after.eyes.failures["a"] = REFUSED
        await after.passes(6)
        (incident,) = after.keeper.open_incidents
        assert (incident.opened_at, incident.first) == (first.at, first)
        assert len(after.eyes.looks["a"]) == 1, "those at once and after 1 s were made before"
        assert [notice.title for notice in after.memory.notices] == ["A is down"]


async def test_a_look_that_failed_long_before_a_restart_is_not_the_beginning_of_what_fails_now() -> None:
    async with running(fleet("a", every_s=60.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = REFUSED
        scene.keeper.check_now("a")
        await settle()
    await scene.clock.advance(3600)
    async with running(fleet("a", every_s=60.0), [remembered(scene)], clock=scene.clock) as after:
        again_at = after.clock.now()
        after.eyes.failures["a"] = REFUSED
        await after.passes(70)
        (incident,) = after.keeper.open_incidents
        assert incident.opened_at >= again_at


async def test_a_failure_that_was_not_confirmed_is_forgotten_for_good() -> None:
    async with running(fleet("a", every_s=60.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = REFUSED
        scene.keeper.check_now("a")
        await settle()
        assert len(scene.memory.standings["a"].doubts) == 1
        scene.eyes.failures["a"] = None
        await scene.passes(2)
        assert (scene.memory.standings["a"].doubts, scene.keeper.open_incidents) == ((), ())


async def test_a_killed_service_goes_from_up_to_down_though_its_line_breaks_first() -> None:
    async with running(fleet("a", every_s=3600.0, heartbeat="/ws/keepalive")) as scene:
        await scene.passes(2)
        await beat(scene, BeatKind.CONNECTED)
        scene.eyes.failures["a"] = REFUSED
        await beat(scene, BeatKind.CLOSED, CLOSED)
        await scene.passes(1)
        for _ in range(3):
            await beat(scene, BeatKind.FAILED, CLOSED)
            await scene.passes(1)
        await scene.passes(2)
        assert [move.new for move in scene.memory.moves] == [State.UP, State.DOWN]
        (incident,) = scene.keeper.open_incidents
        assert incident.first is not None
        assert incident.first.failure == REFUSED
        assert not any("degraded" in line for line in scene.memory.lines)


async def test_a_frozen_service_is_not_degraded_while_the_look_at_it_is_held() -> None:
    async with running(fleet("a", every_s=3600.0, heartbeat="/ws/keepalive")) as scene:
        await scene.passes(2)
        await beat(scene, BeatKind.CONNECTED)
        scene.eyes.failures["a"], scene.eyes.gate = HELD, asyncio.Event()
        await beat(scene, BeatKind.CLOSED, CLOSED)
        for _ in range(3):
            await beat(scene, BeatKind.FAILED, CLOSED)
            await scene.passes(5)
        assert scene.states["a"] is State.UP
        scene.eyes.gate.set()
        await scene.passes(6)
        assert [move.new for move in scene.memory.moves] == [State.UP, State.DOWN]


async def test_a_line_that_stays_broken_beside_good_looks_is_degraded_from_when_it_broke() -> None:
    async with running(fleet("a", every_s=3600.0, heartbeat="/ws/keepalive")) as scene:
        await scene.passes(2)
        await beat(scene, BeatKind.CONNECTED)
        broke_at = scene.clock.now()
        await beat(scene, BeatKind.CLOSED, CLOSED)
        await scene.passes(1)
        await beat(scene, BeatKind.FAILED, CLOSED)
        await scene.passes(1)
        assert scene.states["a"] is State.DEGRADED
        (incident,) = scene.keeper.open_incidents
        assert incident.opened_at == broke_at
        assert incident.first is not None
        assert incident.first.check == "heartbeat"
        assert [notice.title for notice in scene.memory.notices] == ["A is degraded"]
        assert "Cause: its heartbeat line was closed." in scene.memory.notices[0].body
        await beat(scene, BeatKind.BEAT)
        assert scene.states["a"] is State.UP


async def test_a_service_that_comes_back_has_its_line_made_anew_at_once() -> None:
    async with running(fleet("a", every_s=60.0, heartbeat="/ws/keepalive")) as scene:
        await scene.passes(2)
        await beat(scene, BeatKind.CONNECTED)
        scene.eyes.failures["a"] = REFUSED
        await beat(scene, BeatKind.CLOSED, CLOSED)
        await scene.passes(30)
        assert (scene.states["a"], scene.eyes.followed) == (State.DOWN, 1)
        scene.eyes.failures["a"] = None
        await scene.passes(60)
        assert (scene.states["a"], scene.eyes.followed, scene.eyes.lines) == (State.UP, 2, 1)


async def test_a_beat_does_not_make_a_slow_service_well() -> None:
    slow = Failure(kind=FailureKind.SLOW, phase=Phase.EXPECT)
    async with running(fleet("a", every_s=60.0, heartbeat="/ws/keepalive")) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = slow
        await scene.passes(65)
        await beat(scene, BeatKind.BEAT)
        assert scene.states["a"] is State.DEGRADED


async def test_what_another_check_degraded_stays_so_over_a_restart_until_that_check_is_well() -> None:
    beside = Check(kind="tcp", spec=None, every_s=30.0, timeout_s=5.0)
    described = fleet("a", every_s=30.0, checks=(beside,))
    async with running(described) as scene:
        await scene.passes(2)
        scene.eyes.beside = REFUSED
        first = scene.clock.now()
        await scene.passes(90)
        assert scene.states["a"] is State.DEGRADED
        (incident,) = scene.keeper.open_incidents
        assert incident.first is not None
        assert first <= incident.opened_at == incident.first.at <= first + timedelta(seconds=30)
    async with running(described, [remembered(scene)], clock=scene.clock) as after:
        after.eyes.beside = REFUSED
        await after.passes(120)
        assert (after.states["a"], after.memory.moves) == (State.DEGRADED, [])
        after.eyes.beside = None
        await after.passes(60)
        assert after.states["a"] is State.UP
        after.keeper.reload(fleet("a", every_s=30.0))


async def test_a_check_that_left_the_file_degrades_nobody_any_more() -> None:
    beside = Check(kind="tcp", spec=None, every_s=30.0, timeout_s=5.0)
    async with running(fleet("a", every_s=30.0, checks=(beside,))) as scene:
        scene.eyes.beside = REFUSED
        await scene.passes(120)
        assert scene.states["a"] is State.DEGRADED
        scene.keeper.reload(fleet("a", every_s=30.0))
        await scene.passes(60)
        assert scene.states["a"] is State.UP


async def test_stopped_stays_stopped_over_a_restart_until_somebody_presses_start() -> None:
    described = fleet("a", "b", every_s=60.0, heartbeat="/ws/keepalive")
    async with running(described) as scene:
        await scene.passes(5)
        scene.keeper.stop_monitoring()
    standings = [remembered(scene, name) for name in ("a", "b")]
    async with running(fleet("a", "b", "new", every_s=60.0), standings, clock=scene.clock) as after:
        await after.passes(600)
        shown = after.keeper.snapshot()
        assert (shown.monitoring, shown.next_check_at, dict(after.eyes.looks)) == (False, None, {})
        assert set(after.states.values()) == {State.PAUSED}
        assert "Architecture monitoring is still stopped, as it was left: Start goes on with it" in after.memory.lines
        assert after.keeper.start_monitoring()
        await after.passes(5)
        assert set(after.states.values()) == {State.UP}


async def test_a_service_that_comes_while_all_is_stopped_is_paused_too() -> None:
    async with running(fleet("a")) as scene:
        await scene.passes(5)
        scene.keeper.stop_monitoring()
        scene.keeper.reload(fleet("a", "b"))
        await scene.passes(300)
        assert (scene.states["b"], scene.eyes.looks["b"]) == (State.PAUSED, [])


async def test_a_keeper_that_died_while_it_paused_everybody_meant_it() -> None:
    async with running(fleet("a", "b")) as scene:
        await scene.passes(5)
        up = remembered(scene, "b")
        scene.keeper.stop_monitoring()
    async with running(fleet("a", "b"), [remembered(scene), up], clock=scene.clock) as after:
        assert not after.keeper.monitoring
        assert after.states == {"a": State.PAUSED, "b": State.PAUSED}


async def test_an_incident_of_a_service_that_left_the_file_ends_and_says_so() -> None:
    async with running(fleet("a", "b", every_s=3600.0)) as scene:
        await scene.passes(2)
        await goes_down(scene)
        scene.keeper.reload(fleet("b", every_s=3600.0))
        assert scene.keeper.open_incidents == ()
        closed = scene.memory.standings["a"].incident
        assert closed is not None
        assert closed.closed_at == scene.clock.now()
        assert [notice.title for notice in scene.memory.notices] == ["A is down", "A is not watched any more"]
        scene.keeper.reload(fleet("a", "b", every_s=3600.0))
        await scene.passes(10)
        assert scene.states["a"] is State.DOWN
        assert len(scene.keeper.open_incidents) == 1


async def test_an_incident_of_a_service_that_left_while_no_keeper_ran_ends_too() -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        await goes_down(scene)
    async with running(fleet("b"), [remembered(scene)], clock=scene.clock) as after:
        closed = after.memory.standings["a"].incident
        assert closed is not None
        assert closed.closed_at is not None
        assert [notice.title for notice in after.memory.notices] == ["A is not watched any more"]


async def test_time_in_which_nobody_could_know_is_no_part_of_an_incident() -> None:
    async with running(fleet("a", every_s=60.0)) as scene:
        await scene.passes(5)
        scene.keeper.stop_monitoring()
        await scene.passes(3600)
        started_at = scene.clock.now()
        scene.eyes.failures["a"] = REFUSED
        scene.keeper.start_monitoring()
        await scene.passes(10)
        (incident,) = scene.keeper.open_incidents
        assert incident.opened_at >= started_at


async def test_a_diagnosis_becomes_the_cause_is_kept_over_a_restart_and_is_told_at_the_end() -> None:
    found = Diagnosis(
        state=State.DOWN,
        causes=(Cause(cause="redis_refused", sure=0.9, next="Start Redis."), Cause(cause="crash_loop", sure=0.1)),
    )
    async with running(fleet("a", every_s=60.0)) as scene:
        await scene.passes(2)
        await goes_down(scene)
        (before,) = scene.keeper.open_incidents
        assert scene.keeper.diagnosed("nobody", found) is None
        incident = scene.keeper.diagnosed(before.id, found)
        assert incident is not None
        assert (incident.id, incident.cause, incident.diagnosis) == (before.id, "redis_refused", found)
        assert scene.keeper.open_incidents == (incident,)
        assert scene.told[-1] == incident
        assert scene.keeper.service_view("a").cause == "redis_refused"
        assert "A: the cause is redis_refused (90% sure). Start Redis." in scene.memory.lines
        await scene.passes(60)
        assert scene.keeper.service_view("a").cause == "redis_refused", "another failed look does not unsay it"
        action = Action(at=scene.clock.now(), remedy="restart", step="restart", by="keeper", outcome="done")
        scene.keeper.acted("a", action)
        proof = Proof(criteria=(Criterion(name="alive", met=True),))
        scene.keeper.proved("a", proof)
    async with running(fleet("a", every_s=60.0), [remembered(scene)], clock=scene.clock) as after:
        (incident,) = after.keeper.open_incidents
        assert (incident.diagnosis, incident.actions, incident.proof) == (found, (action,), proof)
        assert after.keeper.service_view("a").cause == "redis_refused"
        await after.passes(200)
        (end,) = after.memory.notices
        assert "The cause was: redis refused (connection refused)." in end.body
        assert after.keeper.diagnosed("a", found) is None, "nothing is open there any more"


async def test_a_diagnosis_without_a_sure_cause_names_none() -> None:
    async with running(fleet("a", every_s=60.0)) as scene:
        await scene.passes(2)
        await goes_down(scene)
        incident = scene.keeper.diagnosed("a", Diagnosis(state=State.DOWN, causes=(Cause(cause="unknown", sure=1.0),)))
        assert incident is not None
        assert incident.cause is None
        assert "A: no cause was found for sure" in scene.memory.lines


async def test_a_diagnosis_that_comes_before_the_message_is_in_it() -> None:
    async with running(fleet("a", every_s=3600.0, depends_on=("other",))) as scene:
        await scene.passes(2)
        await goes_down(scene)
        assert scene.memory.notices == []
        scene.keeper.diagnosed(
            "a", Diagnosis(state=State.DOWN, causes=(Cause(cause="bad_port", sure=0.9, next="Mend PORT."),))
        )
        await scene.passes(20)
        (notice,) = scene.memory.notices
        assert "Cause: bad port (connection refused).\nNext: Mend PORT." in notice.body


async def test_a_fault_of_ours_while_confirming_delays_it_by_a_second_not_by_an_interval() -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = REFUSED
        scene.keeper.check_now("a")
        await settle()
        scene.eyes.failures["a"] = Failure(kind=FailureKind.INTERNAL, phase=Phase.DNS)
        await scene.passes(1.0)
        scene.eyes.failures["a"] = REFUSED
        await scene.passes(6)
        assert scene.states["a"] is State.DOWN


async def test_a_restart_while_an_incident_settles_does_not_prolong_it() -> None:
    async with running(fleet("a", every_s=10.0)) as scene:
        await scene.passes(2)
        await goes_down(scene)
        scene.eyes.failures["a"] = None
        await scene.passes(50)
        assert (scene.states["a"], len(scene.keeper.open_incidents)) == (State.UP, 1)
    async with running(fleet("a", every_s=10.0), [remembered(scene)], clock=scene.clock) as after:
        await after.passes(30)
        assert after.keeper.open_incidents == ()


async def test_a_check_beside_waits_while_what_the_service_needs_is_away_or_fails_in_the_same_way() -> None:
    beside = Check(kind="chat", spec=None, every_s=30.0, timeout_s=5.0)
    needed = Service(name="a", url="http://a.example", every_s=60.0)
    needs = Service(name="b", url="http://b.example", every_s=60.0, depends_on=("a",), checks=(beside,))
    async with running(Fleet(name="test", services=(needed, needs))) as scene:
        await scene.passes(40)
        scene.eyes.failures["a"] = REFUSED
        await scene.passes(70)
        assert scene.states["a"] is State.DOWN
        scene.memory.seen.clear()
        await scene.passes(300)
        assert [seen for seen in scene.memory.seen if seen.check == "chat:0"] == []
        scene.eyes.failures["a"] = None
        await scene.passes(60)
        assert [seen.service for seen in scene.memory.seen if seen.check == "chat:0"]


async def test_a_line_that_is_made_anew_has_the_other_checks_looked_at_but_not_again_and_again() -> None:
    beside = Check(kind="chat", spec=None, every_s=3600.0, timeout_s=5.0)
    async with running(fleet("a", every_s=60.0, heartbeat="/ws/keepalive", checks=(beside,))) as scene:
        await scene.passes(5)
        for looks in (0, 1, 1):  # the first line is no news; the third one follows too soon
            scene.memory.seen.clear() if looks == 0 else None
            await beat(scene, BeatKind.CONNECTED)
            await beat(scene, BeatKind.BEAT)
            await scene.passes(5)
            assert len([seen for seen in scene.memory.seen if seen.check == "chat:0"]) == looks
            await beat(scene, BeatKind.CLOSED)


async def test_what_is_seen_of_a_service_is_also_what_its_other_checks_see_until_they_are_well() -> None:
    beside = Check(kind="chat", spec=None, every_s=30.0, timeout_s=5.0)
    async with running(fleet("a", every_s=30.0, checks=(beside,))) as scene:
        scene.eyes.beside = REFUSED
        await scene.passes(100)
        assert scene.states["a"] is State.DEGRADED
        assert [seen.check for seen in scene.keeper.seen("a")] == ["http", "chat:0"]
        scene.eyes.beside = None
        await scene.passes(60)
        assert scene.keeper.open_incidents, "it still settles"
        assert [seen.check for seen in scene.keeper.seen("a")] == ["http"]
