"""The keeper obeys `awake`: outside its window a service is sent nothing at all, and nothing is made of its silence."""

import asyncio
from datetime import UTC, datetime

import pytest

from everwake.fleet.schema import Check, Fleet, Service
from everwake.model import Beat, BeatKind, Failure, FailureKind, Phase, State
from everwake.ports import Standing
from everwake.watch.vantage import Probe
from tests.everwake.watch.test_keeper import REFUSED, Scene, running
from tests.support.fake_clock import FakeClock, settle

# Berlin is an hour ahead of UTC in winter.
EVENING = datetime(2026, 1, 1, 22, 58, tzinfo=UTC)
MORNING = datetime(2026, 1, 2, 6, 59, tzinfo=UTC)
DAYS = "08:00-24:00 Europe/Berlin"


def service(name: str, awake: str = DAYS, **settings: object) -> Service:
    return Service(name=name, url=f"https://{name}.example", awake=awake, **{"every_s": 10.0, **settings})  # type: ignore[arg-type]


def fleet(*services: Service) -> Fleet:
    return Fleet(name="blabbin", services=services)


def count(scene: Scene, name: str = "a") -> int:
    return len(scene.eyes.looks[name])


async def test_after_its_window_it_is_sent_nothing_at_all() -> None:
    more = Check(kind="tcp", spec=None, every_s=10.0, timeout_s=5.0)
    it = service("a", heartbeat="/ws/keepalive", checks=(more,))
    async with running(fleet(it), clock=FakeClock(EVENING)) as scene:
        await scene.passes(115)
        assert (scene.states["a"], scene.eyes.lines) == (State.UP, 1)
        await scene.passes(10)
        looks = count(scene)
        await scene.passes(900)
        assert (count(scene), scene.eyes.lines) == (looks, 0)
        view = scene.keeper.service_view("a")
        assert (view.state, view.cause, view.next_check_at) == (State.ASLEEP, "on purpose (assumed)", None)
        assert (view.rests, view.turns_at) == (True, datetime(2026, 1, 2, 7, tzinfo=UTC))
        assert scene.memory.notices == []


async def test_a_service_whose_window_is_closed_at_the_start_is_not_looked_at_even_once() -> None:
    async with running(fleet(service("a", heartbeat="/ws")), clock=FakeClock(MORNING)) as scene:
        await scene.passes(50)
        assert (count(scene), scene.eyes.followed, scene.states["a"]) == (0, 0, State.ASLEEP)


async def test_at_the_windows_beginning_one_patient_look_wakes_it_and_then_its_line_is_held() -> None:
    async with running(fleet(service("a", heartbeat="/ws")), clock=FakeClock(MORNING)) as scene:
        scene.eyes.takes_s = 45.0
        gate = scene.eyes.gate = asyncio.Event()
        await scene.passes(63)
        assert (count(scene), scene.eyes.patience, scene.states["a"]) == (1, [180.0], State.WAKING)
        assert scene.eyes.lines == 0
        gate.set()
        await scene.passes(1)
        assert (scene.states["a"], scene.eyes.lines) == (State.UP, 1)


async def test_one_that_does_not_wake_in_the_morning_is_an_incident_from_the_windows_beginning() -> None:
    async with running(fleet(service("a")), clock=FakeClock(MORNING)) as scene:
        scene.eyes.failures["a"] = REFUSED
        await scene.passes(90)
        assert scene.states["a"] is State.DOWN
        (incident,) = scene.keeper.open_incidents
        assert incident.opened_at == datetime(2026, 1, 2, 7, tzinfo=UTC)
        scene.eyes.failures.clear()
        await scene.passes(60)
        assert scene.states["a"] is State.UP


async def test_a_person_may_look_once_and_nothing_follows_from_what_is_seen() -> None:
    async with running(fleet(service("a")), clock=FakeClock(MORNING)) as scene:
        scene.eyes.failures["a"] = REFUSED
        assert scene.keeper.check_now("a") == 1
        await scene.passes(30)
        assert (count(scene), scene.eyes.patience) == (1, [180.0])
        view = scene.keeper.service_view("a")
        assert (view.state, view.incident, len(view.strip)) == (State.ASLEEP, None, 1)
        assert scene.keeper.check_all() == 0


async def test_what_was_open_stays_open_over_the_rest_and_goes_on_as_the_same_incident() -> None:
    async with running(fleet(service("a")), clock=FakeClock(EVENING)) as scene:
        await scene.passes(20)
        scene.eyes.failures["a"] = REFUSED
        await scene.passes(110)
        (incident,) = scene.keeper.open_incidents
        assert scene.states["a"] is State.ASLEEP
        scene.clock.jump(8 * 3600)
        await scene.passes(30)
        assert [one.id for one in scene.keeper.open_incidents] == [incident.id]
        assert scene.states["a"] is State.DOWN
        assert [notice.title for notice in scene.memory.notices] == ["A is down"]


async def test_one_that_was_well_again_when_it_was_put_to_sleep_ends_its_incident_as_usual() -> None:
    async with running(fleet(service("a")), clock=FakeClock(EVENING)) as scene:
        await scene.passes(20)
        scene.eyes.failures["a"] = REFUSED
        await scene.passes(60)
        scene.eyes.failures.clear()
        await scene.passes(35)
        assert scene.states["a"] is State.UP
        assert scene.keeper.open_incidents
        await scene.passes(100)
        assert scene.states["a"] is State.ASLEEP
        assert scene.keeper.open_incidents == ()
        assert [notice.title for notice in scene.memory.notices] == ["A is down", "A is up again"]


async def test_our_own_line_going_down_says_nothing_of_who_rests() -> None:
    async with running(fleet(service("a"), service("b", "always")), clock=FakeClock(EVENING)) as scene:
        await scene.passes(130)
        scene.eyes.own_line = Probe(resolves=False, has_route=False)
        scene.eyes.failures["b"] = Failure(kind=FailureKind.NO_ROUTE, phase=Phase.CONNECT)
        await scene.passes(20)
        assert (scene.states["a"], scene.states["b"]) == (State.ASLEEP, State.UNKNOWN)


async def test_a_clock_put_forward_over_the_change_counts_at_once() -> None:
    async with running(fleet(service("a")), clock=FakeClock(EVENING)) as scene:
        await scene.passes(20)
        scene.clock.jump(3600)
        await scene.passes(2)
        assert scene.states["a"] is State.ASLEEP
        scene.clock.jump(-3600)
        await scene.passes(3)
        assert scene.states["a"] is State.UP


async def test_the_night_on_which_summer_begins_ends_an_hour_earlier_by_utc() -> None:
    async with running(fleet(service("a")), clock=FakeClock(datetime(2026, 3, 29, 5, 59, tzinfo=UTC))) as scene:
        await scene.passes(50)
        assert count(scene) == 0
        await scene.passes(20)
        assert scene.states["a"] is State.UP


async def test_a_keeper_that_is_started_within_the_window_wakes_who_was_asleep() -> None:
    standing = Standing(service="a", state=State.ASLEEP, since=EVENING, cause="on purpose")
    async with running(fleet(service("a")), [standing], FakeClock(datetime(2026, 1, 2, 9, tzinfo=UTC))) as scene:
        await scene.passes(2)
        assert (scene.states["a"], scene.eyes.patience) == (State.UP, [180.0])


async def test_a_window_that_is_taken_out_of_the_file_wakes_it() -> None:
    async with running(fleet(service("a")), clock=FakeClock(MORNING)) as scene:
        scene.keeper.reload(fleet(service("a", "always")))
        await scene.passes(2)
        assert scene.states["a"] is State.UP
        scene.keeper.reload(fleet(service("a")))
        await scene.passes(2)
        assert scene.states["a"] is State.ASLEEP


async def test_stop_and_start_leave_who_rests_alone() -> None:
    async with running(fleet(service("a")), clock=FakeClock(MORNING)) as scene:
        scene.keeper.stop_monitoring()
        assert (scene.states["a"], scene.keeper.resting) == (State.PAUSED, ())
        scene.keeper.start_monitoring()
        await scene.passes(20)
        assert (scene.states["a"], count(scene), scene.keeper.resting) == (State.ASLEEP, 0, ("a",))


@pytest.mark.parametrize(
    ("runs", "stopped_by", "cause"),
    [
        (True, (), "on purpose; an instance still runs"),
        (False, (), "on purpose"),
        (None, (), "on purpose (assumed)"),
        (False, ("billing",), "suspended by billing"),
    ],
)
async def test_its_platform_says_how_who_rests_stands(
    runs: bool | None, stopped_by: tuple[str, ...], cause: str
) -> None:
    async with running(fleet(service("a")), clock=FakeClock(MORNING)) as scene:
        scene.keeper.platform_says("a", runs=runs, stopped_by=stopped_by)
        view = scene.keeper.service_view("a")
        assert (view.state, view.cause) == (State.ASLEEP, cause)
        assert scene.keeper.open_incidents == ()


async def test_what_a_platform_says_of_one_that_does_not_rest_is_not_taken() -> None:
    async with running(fleet(service("a", "always"))) as scene:
        await scene.passes(2)
        scene.keeper.platform_says("a", runs=False, stopped_by=("billing",))
        assert scene.keeper.service_view("a").cause is None


# --- on demand --------------------------------------------------------------------------------------------------------


async def test_on_demand_is_looked_at_only_while_somebody_uses_it() -> None:
    async with running(fleet(service("a", "on-demand", heartbeat="/ws"))) as scene:
        await scene.passes(30)
        assert (count(scene), scene.states["a"]) == (0, State.ASLEEP)
        assert scene.keeper.wake("a", 60.0) == ("a",)
        await scene.passes(45)
        assert (scene.states["a"], scene.eyes.lines) == (State.UP, 1)
        assert scene.keeper.wake("a", 60.0) == ()
        await scene.passes(50)
        assert scene.states["a"] is State.UP
        await scene.passes(12)
        looks = count(scene)
        await scene.passes(120)
        assert (scene.states["a"], count(scene), scene.eyes.lines) == (State.ASLEEP, looks, 0)


async def test_what_a_service_needs_is_woken_first_and_waited_for() -> None:
    described = fleet(
        service("chatbot", "on-demand", depends_on=("redis",)),
        service("redis", "on-demand"),
        service("other", "on-demand"),
    )
    async with running(described) as scene:
        gate = scene.eyes.gate = asyncio.Event()
        assert scene.keeper.wake("chatbot") == ("redis", "chatbot")
        await scene.passes(20)
        assert (count(scene, "redis"), count(scene, "chatbot")) == (1, 0)
        gate.set()
        await scene.passes(5)
        assert scene.states == {"chatbot": State.UP, "redis": State.UP, "other": State.ASLEEP}
        assert scene.eyes.patience[:2] == [180.0, 180.0]


async def test_a_need_that_does_not_answer_holds_nobody_up_for_ever() -> None:
    described = fleet(service("chatbot", "on-demand", depends_on=("redis",)), service("redis", "on-demand"))
    async with running(described) as scene:
        scene.eyes.failures["redis"] = REFUSED
        scene.keeper.wake("chatbot")
        await scene.passes(10)
        assert scene.states == {"chatbot": State.UP, "redis": State.DOWN}


async def test_many_who_ask_at_once_are_one_wake_up() -> None:
    async with running(fleet(service("a", "on-demand"))) as scene:
        scene.eyes.gate = asyncio.Event()
        for _ in range(50):
            scene.keeper.wake("a")
        await scene.passes(20)
        assert count(scene) == 1


async def test_outside_its_window_a_user_is_worth_one_patient_look_and_no_more() -> None:
    async with running(fleet(service("a")), clock=FakeClock(datetime(2026, 1, 2, 3, tzinfo=UTC))) as scene:
        for _ in range(8):
            scene.keeper.wake("a")
            await scene.passes(30)
        assert (count(scene), scene.states["a"]) == (1, State.ASLEEP)


async def test_nobody_is_woken_while_monitoring_is_stopped() -> None:
    async with running(fleet(service("a", "on-demand"))) as scene:
        scene.keeper.stop_monitoring()
        assert scene.keeper.wake("a") == ()
        await scene.passes(10)
        assert count(scene) == 0
        with pytest.raises(KeyError):
            scene.keeper.wake("nobody")


async def test_one_that_wakes_and_beats_is_felt_again() -> None:
    async with running(fleet(service("a", "on-demand", heartbeat="/ws"))) as scene:
        scene.keeper.wake("a", 600.0)
        await scene.passes(5)
        scene.eyes.beats["a"].put_nowait(Beat(service="a", kind=BeatKind.CONNECTED, at=scene.clock.now()))
        await settle()
        heart = scene.keeper.service_view("a").heartbeat
        assert heart is not None
        assert heart.connected
