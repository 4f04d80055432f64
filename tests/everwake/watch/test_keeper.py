"""The keeper's loop, with a clock that is moved by hand and eyes that see what the test says."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from everwake.fleet.schema import Fleet, Service
from everwake.model import (
    Beat,
    BeatKind,
    Failure,
    FailureKind,
    Incident,
    LogLine,
    Observation,
    Phase,
    State,
    Transition,
)
from everwake.ports import Notice, Standing
from everwake.watch.keeper import Keeper
from everwake.watch.vantage import Probe
from tests.support.eyes import Looking
from tests.support.fake_clock import FakeClock, settle

REFUSED = Failure(kind=FailureKind.REFUSED, phase=Phase.CONNECT)


class Eyes(Looking):
    """Sees `failures[name]` (None: good) and counts the looks; beats come when the test puts them in."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.failures: dict[str, Failure | None] = {}
        self.headers: dict[str, str] = {}
        self.looks: dict[str, list[float]] = defaultdict(list)
        self.patience: list[float | None] = []
        self.beats: dict[str, asyncio.Queue[Beat]] = defaultdict(asyncio.Queue)
        self.lines = self.followed = 0
        self.beside: Failure | None = None
        self.takes_s = 0.3
        self.ends_at: datetime | None = None
        self.own_line = Probe(resolves=True, has_route=True)
        self.gate: asyncio.Event | None = None
        self.hanging: set[str] = set()

    async def look(self, service: Service, check: str, patience_s: float | None) -> Observation:
        self.looks[service.name].append(self.clock.monotonic())
        self.patience.append(patience_s)
        if self.gate is not None:
            await self.gate.wait()
        if service.name in self.hanging and check == "http":
            began_at, takes_s = self.clock.now(), patience_s or service.timeout_s
            await self.clock.sleep(takes_s)
            failure = Failure(kind=FailureKind.TIMEOUT, phase=Phase.FIRST_BYTE)
            return Observation(service=service.name, check=check, at=began_at, took_s=takes_s, failure=failure)
        failure = self.failures.get(service.name) if check == "http" else self.beside
        began_at = (self.ends_at or self.clock.now()) - timedelta(seconds=self.takes_s - 0.3)
        status = 503 if self.headers else (200 if failure is None else None)
        return Observation(
            service=service.name, check=check, at=began_at,
            took_s=self.takes_s, status=status, failure=failure, headers=self.headers,
        )  # fmt: skip

    async def follow(self, service: Service) -> AsyncIterator[Beat]:
        self.lines += 1
        self.followed += 1
        try:
            while True:
                yield await self.beats[service.name].get()
        finally:
            self.lines -= 1

    async def probe(self) -> Probe:
        return self.own_line


class Memory:
    """A recorder that remembers."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.moves: list[Transition] = []
        self.standings: dict[str, Standing] = {}
        self.notices: list[Notice] = []
        self.lines: list[str] = []
        self.said_at: list[datetime] = []
        self.trouble: str | None = None

    def looked(self, seen: Sequence[Observation]) -> None:
        self.seen += seen

    def moved(self, move: Transition, standing: Standing, notices: Iterable[Notice] = ()) -> None:
        if move.old is not move.new:
            self.moves.append(move)
        self.standings[standing.service] = standing
        self.notices += notices

    def beat(self, beat: Beat) -> None:
        pass

    def said(self, line: LogLine) -> None:
        self.lines.append(line.text)
        self.said_at.append(line.at)


def fleet(*names: str, **settings: object) -> Fleet:
    return Fleet(
        name="blabbin",
        services=tuple(Service(name=name, url=f"https://{name}.example", **settings) for name in names),  # type: ignore[arg-type]
    )


class Scene:
    def __init__(self, described: Fleet, standings: Iterable[Standing] = (), clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.eyes, self.memory = Eyes(self.clock), Memory()
        self.told: list[Incident] = []
        self.keeper = Keeper(described, self.eyes, self.memory, self.clock, standings=standings, told=self.told.append)

    @property
    def states(self) -> dict[str, State]:
        return {service.name: service.state for service in self.keeper.snapshot().services}

    async def passes(self, seconds: float) -> None:
        await self.clock.advance(seconds)


@asynccontextmanager
async def running(
    described: Fleet, standings: Iterable[Standing] = (), clock: FakeClock | None = None
) -> AsyncIterator[Scene]:
    scene = Scene(described, standings, clock)
    task = asyncio.create_task(scene.keeper.run())
    await settle()
    try:
        yield scene
    finally:
        scene.keeper.stop()
        await settle()
        await asyncio.wait_for(task, 5)


async def test_every_service_is_looked_at_once_in_every_interval() -> None:
    async with running(fleet("a", "b", every_s=60.0)) as scene:
        await scene.passes(600)
        assert scene.states == {"a": State.UP, "b": State.UP}
        for looks in scene.eyes.looks.values():
            assert len(looks) in (10, 11)
            gaps = {round(later - earlier, 1) for earlier, later in pairwise(looks[1:])}
            assert gaps == {60.0}


async def test_a_service_that_is_refused_is_down_within_five_seconds_whatever_its_interval() -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = REFUSED
        scene.keeper.check_now("a")
        await scene.passes(4.9)
        assert scene.states["a"] is State.DOWN
        assert [notice.title for notice in scene.memory.notices] == ["A is down"]


async def test_a_service_that_hangs_is_down_within_five_seconds_of_its_first_failed_look_whatever_its_timeout() -> None:
    async with running(fleet("a", every_s=3600.0, timeout_s=30.0)) as scene:
        await scene.passes(2)
        scene.eyes.hanging.add("a")
        scene.keeper.check_now("a")
        await scene.passes(29.9)
        asked = len(scene.eyes.looks["a"])
        await scene.passes(0.2)
        assert len(scene.eyes.looks["a"]) == asked + 1, "its own timeout is over, and it is looked at again at once"
        assert scene.states["a"] is State.UP
        await scene.passes(4.8)
        assert scene.states["a"] is State.DOWN
        assert len(scene.eyes.looks["a"]) == asked + 3
        (incident,) = scene.keeper.open_incidents
        assert incident.first is not None
        assert incident.first.took_s == 30.0, "the evidence is the look that had all its time"
        assert scene.memory.said_at == sorted(scene.memory.said_at), "a line is dated when it became known"


async def test_the_log_is_in_order_although_an_incident_is_dated_from_its_first_look() -> None:
    async with running(fleet("a", "b", every_s=60.0, timeout_s=20.0)) as scene:
        await scene.passes(2)
        scene.eyes.hanging.add("a")
        await scene.passes(120)
        assert "A is down" in scene.memory.lines
        assert scene.memory.said_at == sorted(scene.memory.said_at)


async def test_a_missed_beat_is_looked_into_at_once_and_two_beside_good_looks_degrade() -> None:
    async with running(fleet("a", every_s=3600.0, heartbeat="/ws/keepalive")) as scene:
        await scene.passes(2)
        scene.eyes.beats["a"].put_nowait(Beat(service="a", kind=BeatKind.CONNECTED, at=scene.clock.now()))
        await settle()
        looks = len(scene.eyes.looks["a"])
        for n, state in ((1, State.UP), (2, State.DEGRADED)):
            await scene.passes(45)
            scene.eyes.beats["a"].put_nowait(Beat(service="a", kind=BeatKind.MISSED, at=scene.clock.now()))
            await settle()
            assert (len(scene.eyes.looks["a"]), scene.states["a"]) == (looks + n, state)
        missed = [seen.failure.kind for seen in scene.memory.seen if seen.failure]
        assert missed == [FailureKind.BEAT_MISSED] * 2
        scene.eyes.beats["a"].put_nowait(Beat(service="a", kind=BeatKind.BEAT, at=scene.clock.now()))
        await settle()
        assert scene.states["a"] is State.UP


async def test_a_dropped_line_is_looked_into_at_once() -> None:
    async with running(fleet("a", every_s=3600.0, heartbeat="/ws/keepalive")) as scene:
        await scene.passes(2)
        now = scene.clock.now()
        scene.eyes.beats["a"].put_nowait(Beat(service="a", kind=BeatKind.CONNECTED, at=now))
        await settle()
        assert scene.keeper.service_view("a").heartbeat is not None
        looks = len(scene.eyes.looks["a"])
        scene.eyes.beats["a"].put_nowait(Beat(service="a", kind=BeatKind.CLOSED, at=now, code=1006))
        await settle()
        assert len(scene.eyes.looks["a"]) == looks + 1


async def test_a_waking_service_gets_one_patient_look() -> None:
    async with running(fleet("a", every_s=180.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["a"] = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT)
        scene.eyes.headers = {"x-render-routing": "hibernate-pending-wake"}
        scene.keeper.check_now("a")
        await settle()
        assert scene.states["a"] is State.WAKING
        before = len(scene.eyes.looks["a"])
        scene.eyes.gate = asyncio.Event()
        await scene.passes(60)
        assert len(scene.eyes.looks["a"]) == before + 1
        assert scene.eyes.patience[-1] == 180.0
        scene.eyes.headers, scene.eyes.failures["a"] = {}, None
        scene.eyes.gate.set()
        await scene.passes(1)
        assert scene.states["a"] is State.UP
        assert scene.memory.notices == []


async def test_stop_pauses_everything_closes_lines_and_sends_nothing_until_start() -> None:
    async with running(fleet("a", "b", every_s=60.0, heartbeat="/ws/keepalive")) as scene:
        await scene.passes(5)
        assert scene.eyes.lines == 2
        assert scene.keeper.stop_monitoring()
        assert not scene.keeper.stop_monitoring()
        looks = sum(map(len, scene.eyes.looks.values()))
        await scene.passes(600)
        assert (scene.states["a"], scene.eyes.lines) == (State.PAUSED, 0)
        assert sum(map(len, scene.eyes.looks.values())) == looks
        assert scene.keeper.snapshot().next_check_at is None
        assert scene.keeper.start_monitoring()
        await scene.passes(5)
        assert (scene.states["a"], scene.eyes.lines) == (State.UP, 2)
        assert "Architecture monitoring stopped" in scene.memory.lines
        assert scene.memory.lines.count("Architecture monitoring started") == 2


async def test_ping_now_works_while_stopped_and_changes_no_state() -> None:
    async with running(fleet("a")) as scene:
        await scene.passes(5)
        scene.keeper.stop_monitoring()
        seen = await scene.keeper.look("a")
        assert seen.status == 200
        assert scene.states["a"] is State.PAUSED


@pytest.mark.parametrize(
    ("kind", "phase", "probe", "said"),
    [
        (FailureKind.NO_ROUTE, Phase.CONNECT, Probe(resolves=False, has_route=False), "this machine has no route out"),
        (FailureKind.DNS_FAILED, Phase.DNS, Probe(resolves=False), "this machine cannot look up names"),
        (FailureKind.TIMEOUT, Phase.CONNECT, Probe(resolves=False), "this machine cannot look up names"),
    ],
)
async def test_when_our_own_line_is_down_nobody_is_and_no_alert_goes_out(
    kind: FailureKind, phase: Phase, probe: Probe, said: str
) -> None:
    names = [f"s{n}" for n in range(8)]
    async with running(fleet(*names, every_s=60.0)) as scene:
        await scene.passes(5)
        scene.eyes.failures = dict.fromkeys(names, Failure(kind=kind, phase=phase))
        scene.eyes.own_line = probe
        await scene.passes(300)
        assert set(scene.states.values()) == {State.UNKNOWN}
        assert (scene.memory.notices, scene.keeper.open_incidents) == ([], ())
        assert scene.keeper.snapshot().trouble == (said,)
        scene.eyes.failures, scene.eyes.own_line = {}, Probe(resolves=True, has_route=True)
        await scene.passes(31)
        assert set(scene.states.values()) == {State.UP}
        assert scene.keeper.snapshot().trouble == ()
        assert (scene.memory.notices, scene.keeper.open_incidents) == ([], ())
        assert State.DOWN not in {move.new for move in scene.memory.moves}


async def test_a_line_that_is_cut_right_after_somebody_answered_is_found_out_in_time() -> None:
    async with running(fleet("a", "b", every_s=3600.0)) as scene:
        await scene.passes(2)
        scene.keeper.check_now("b")
        await scene.passes(0.5)
        scene.eyes.failures, scene.eyes.own_line = dict.fromkeys("ab", REFUSED), Probe(has_route=False)
        scene.keeper.check_now("a")
        await scene.passes(10)
        assert scene.states["a"] is State.UNKNOWN
        assert scene.memory.notices == []


async def test_when_everybody_is_down_and_our_line_is_sound_it_is_said() -> None:
    names = [f"s{n}" for n in range(5)]
    async with running(fleet(*names, every_s=10.0)) as scene:
        await scene.passes(5)
        scene.eyes.failures = dict.fromkeys(names, REFUSED)
        await scene.passes(60)
        assert set(scene.states.values()) == {State.DOWN}
        assert len(scene.memory.notices) == 5


async def test_a_restart_goes_on_with_state_and_incident_and_tells_nothing_twice() -> None:
    async with running(fleet("a", every_s=60.0)) as scene:
        await scene.passes(5)
        scene.eyes.failures["a"] = REFUSED
        await scene.passes(120)
        standing = scene.memory.standings["a"]
        assert standing.incident is not None
    async with running(fleet("a", every_s=60.0), [standing]) as scene:
        scene.eyes.failures["a"] = REFUSED
        assert scene.states["a"] is State.DOWN
        await scene.passes(120)
        assert scene.memory.notices == []
        scene.eyes.failures["a"] = None
        await scene.passes(300)
        assert [(n.opened, n.incident) for n in scene.memory.notices] == [(False, standing.incident.id)]


async def test_a_reload_keeps_state_and_turn_of_who_stays_and_looks_at_who_is_new() -> None:
    async with running(fleet("a", "b", every_s=60.0)) as scene:
        await scene.passes(90)
        gone = len(scene.eyes.looks["b"])
        scene.keeper.reload(fleet("a", "c", every_s=60.0))
        assert scene.states["a"] is State.UP
        await scene.passes(2)
        assert scene.states == {"a": State.UP, "c": State.UP}
        await scene.passes(300)
        assert len(scene.eyes.looks["b"]) == gone
        gaps = {round(later - earlier, 1) for earlier, later in pairwise(scene.eyes.looks["a"][1:])}
        assert gaps == {60.0}


async def test_the_wall_clock_may_jump_by_an_hour_either_way() -> None:
    async with running(fleet("a", every_s=60.0)) as scene:
        await scene.passes(65)
        for seconds in (3600, -3600, -3600, 3600):
            looks = len(scene.eyes.looks["a"])
            scene.clock.jump(seconds)
            await scene.passes(120)
            assert len(scene.eyes.looks["a"]) - looks == 2
        assert scene.states["a"] is State.UP
        assert scene.memory.notices == []


async def test_the_log_speaks_the_missions_lines() -> None:
    async with running(fleet("redis-service", every_s=60.0)) as scene:
        await scene.passes(2)
        scene.eyes.failures["redis-service"] = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT)
        scene.eyes.headers = {"server": "x"}
        await scene.passes(70)
        assert scene.memory.lines[0] == "Architecture monitoring started"
        assert "Redis Service is alive! (200 - 300ms)" in scene.memory.lines
        assert "Redis Service responded with error: 503 (unexpected status)" in scene.memory.lines


async def test_what_is_asked_for_while_it_is_under_way_is_done_once_more_not_twice_at_once() -> None:
    async with running(fleet("a", every_s=3600.0)) as scene:
        await scene.passes(2)
        scene.eyes.gate = asyncio.Event()
        before = len(scene.eyes.looks["a"])
        for _ in range(5):
            scene.keeper.check_now("a")
        await settle()
        assert len(scene.eyes.looks["a"]) == before + 1
        scene.eyes.gate.set()
        await scene.passes(1)
        assert len(scene.eyes.looks["a"]) == before + 2
