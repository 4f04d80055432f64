"""A keeper that dies at any moment, in a world where anything may happen: nothing is lost, nothing is told twice."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from everwake.fleet.schema import Fleet, Service
from everwake.model import (
    Beat,
    BeatKind,
    Cause,
    Diagnosis,
    Failure,
    FailureKind,
    Incident,
    Observation,
    Phase,
    State,
    Transition,
)
from everwake.ports import Notice, Standing
from everwake.watch.keeper import Keeper
from everwake.watch.vantage import Probe
from tests.everwake.watch.test_keeper import REFUSED, Eyes, Memory
from tests.support.fake_clock import FakeClock, settle

NAMES = ("redis", "chatbot", "web")
FLEET = Fleet(
    name="blabbin",
    services=(
        Service(name="redis", url="https://redis.example", every_s=60.0),
        Service(name="chatbot", url="https://chatbot.example", every_s=30.0, depends_on=("redis",)),
        Service(name="web", url="https://web.example", every_s=180.0, plan="free", heartbeat="/ws/keepalive"),
    ),
)
FAILURES = (
    None,
    REFUSED,
    REFUSED,
    Failure(kind=FailureKind.TIMEOUT, phase=Phase.FIRST_BYTE),
    Failure(kind=FailureKind.SLOW, phase=Phase.EXPECT),
    Failure(kind=FailureKind.INTERNAL, phase=Phase.DNS),
)
# In the middle of confirming (0, 0, 1, 4 s), of the grace (15 s), of settling (60 s and more), of waking (180 s).
SECONDS = st.sampled_from([0.0, 0.5, 2.0, 4.5, 8.0, 20.0, 45.0, 70.0, 190.0])
SOUND, CUT_OFF = Probe(resolves=True, has_route=True), Probe(resolves=False, has_route=False)


class Durable(Memory):
    """What a history would have kept: it outlives every keeper, and complains of what must not be written."""

    def __init__(self) -> None:
        super().__init__()
        self.incidents: dict[str, Incident] = {}
        self.told: set[str] = set()
        self.last: dict[str, Observation] = {}

    def looked(self, seen: Iterable[Observation]) -> None:
        self.last |= {one.service: one for one in seen if one.check == "http"}

    def moved(self, move: Transition, standing: Standing, notices: Iterable[Notice] = ()) -> None:
        notices = tuple(notices)
        before = self.standings.get(standing.service)
        assert move.old is (before.state if before else State.UNKNOWN) or move.old is move.new, "a gap in the chain"
        assert move.new is standing.state
        incident = standing.incident
        if incident is not None:
            known = self.incidents.get(incident.id)
            assert known is None or known.closed_at is None or known == incident, "a closed incident stays closed"
            if known is None:
                others = [one for one in self.incidents.values() if one.service == incident.service]
                assert all(one.closed_at for one in others), "two open incidents of one service"
            else:
                assert (known.opened_at, known.first) == (incident.opened_at, incident.first)
            self.incidents[incident.id] = incident
        self.told |= {notice.incident for notice in notices if notice.opened and notice.incident}
        if incident is not None:
            standing = replace(standing, told=incident.id in self.told)
        super().moved(move, standing, notices)

    def remembered(self) -> list[Standing]:
        return [
            replace(one, last=self.last.get(name), incident=one.incident if is_open(one.incident) else None)
            for name, one in self.standings.items()
        ]


def is_open(incident: Incident | None) -> bool:
    return incident is not None and incident.closed_at is None


def by_id(incident: Incident) -> str:
    return incident.id


class KeeperThatDies(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.eyes, self.durable = Eyes(self.clock), Durable()
        self.jumped = self.was_cut_off = False

    def do(self, coroutine: object) -> None:
        self.runner.run(coroutine)  # type: ignore[arg-type]

    async def begin(self) -> None:
        self.keeper = Keeper(FLEET, self.eyes, self.durable, self.clock, standings=self.durable.remembered())
        self.task = asyncio.create_task(self.keeper.run())
        await settle()

    async def die(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    @initialize()
    def it_starts(self) -> None:
        self.do(self.begin())

    @rule(name=st.sampled_from(NAMES), failure=st.sampled_from(FAILURES), seconds=SECONDS)
    def a_service_changes(self, name: str, failure: Failure | None, seconds: float) -> None:
        async def change() -> None:
            self.eyes.failures[name] = failure
            self.keeper.check_now(name)
            await self.clock.advance(seconds)

        self.do(change())

    @rule(seconds=SECONDS, hours=st.sampled_from([0, 0, -1, 1]))
    def everything_fails_and_comes_back(self, seconds: float, hours: int) -> None:
        async def fail() -> None:
            for failure in (REFUSED, None):
                self.eyes.failures = dict.fromkeys(NAMES, failure)
                self.keeper.check_all()
                await self.clock.advance(seconds)
                self.jumped = self.jumped or hours != 0
                self.clock.jump(hours * 3600)

        self.do(fail())

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.do(self.clock.advance(seconds))

    @rule(kind=st.sampled_from([BeatKind.CONNECTED, BeatKind.BEAT, BeatKind.CLOSED, BeatKind.FAILED]))
    def the_line_says(self, kind: BeatKind) -> None:
        async def say() -> None:
            self.eyes.beats["web"].put_nowait(Beat(service="web", kind=kind, at=self.clock.now()))
            await settle()

        self.do(say())

    @rule(hours=st.sampled_from([-1, 1]))
    def the_clock_jumps(self, hours: int) -> None:
        self.jumped = True
        self.clock.jump(hours * 3600)

    @rule(is_sound=st.sampled_from([True, True, False]))
    def our_own_line_changes(self, is_sound: bool) -> None:
        self.was_cut_off = self.was_cut_off or not is_sound
        self.eyes.own_line = SOUND if is_sound else CUT_OFF

    @rule(seconds=SECONDS, is_for_good=st.sampled_from([False, False, False, True]))
    def somebody_presses_stop(self, seconds: float, is_for_good: bool) -> None:
        async def press() -> None:
            self.keeper.stop_monitoring()
            await self.clock.advance(seconds)
            if not is_for_good:
                self.keeper.start_monitoring()
                await self.clock.advance(seconds)

        self.do(press())

    @rule()
    def somebody_presses_start(self) -> None:
        async def press() -> None:
            self.keeper.start_monitoring()
            await self.clock.advance(2)

        self.do(press())

    @rule(name=st.sampled_from(NAMES))
    def somebody_finds_out_why(self, name: str) -> None:
        async def find() -> None:
            causes = (Cause(cause="crash_loop", sure=0.9),)
            self.keeper.diagnosed(name, Diagnosis(state=State.DOWN, causes=causes))
            await settle()

        self.do(find())

    @rule()
    def the_keeper_dies_and_another_begins(self) -> None:
        was = {one.name: (one.state, one.incident) for one in self.keeper.snapshot().services}
        causes = {one.name: one.cause for one in self.keeper.snapshot().services}
        was_on, incidents = self.keeper.monitoring, self.keeper.open_incidents
        self.do(self.die())
        self.keeper = Keeper(FLEET, self.eyes, self.durable, self.clock, standings=self.durable.remembered())
        after = self.keeper.snapshot().services
        assert {one.name: (one.state, one.incident) for one in after} == was
        assert {one.name: one.cause for one in after} == causes
        assert self.keeper.monitoring == was_on
        assert sorted(self.keeper.open_incidents, key=by_id) == sorted(incidents, key=by_id)
        self.do(self.begin())

    @rule(name=st.sampled_from(NAMES), seconds=SECONDS)
    def the_keeper_dies_while_a_service_fails(self, name: str, seconds: float) -> None:
        self.a_service_changes(name, REFUSED, seconds)
        self.the_keeper_dies_and_another_begins()

    @invariant()
    def what_is_written_is_what_is(self) -> None:
        if not hasattr(self, "keeper"):
            return
        stored = {one.id: one for one in self.durable.incidents.values() if one.closed_at is None}
        assert {one.id: one for one in self.keeper.open_incidents} == stored
        for one in self.keeper.snapshot().services:
            if one.state in (State.DOWN, State.DEGRADED):
                assert one.incident is not None, "not well, and no incident"

    @invariant()
    def nobody_is_told_twice(self) -> None:
        told = Counter(notice.key for notice in self.durable.notices)
        assert set(told.values()) <= {1}
        for key in told:
            if key.endswith(":closed"):
                assert told[key.removesuffix(":closed") + ":opened"] == 1, "an end without a beginning"

    @invariant()
    def incidents_make_sense(self) -> None:
        for one in self.durable.incidents.values():
            assert one.closed_at is None or one.closed_at >= one.opened_at
            assert one.first is not None
            assert one.first.failure is not None
            if not self.jumped:
                assert abs(one.opened_at - one.first.at) < timedelta(seconds=200)
                assert one.opened_at <= self.clock.now()

    def untold(self) -> set[str]:
        """Who is not well and not folded into anything, and nobody knows of it."""
        known = {one.id: one for one in self.keeper.open_incidents}
        return {one.id for one in known.values() if one.id not in self.durable.told and one.parent not in known} - {
            one.incident for one in self.keeper.snapshot().services if one.state is State.UP
        }

    def teardown(self) -> None:
        if hasattr(self, "keeper"):
            self.do(self.it_ends_well())
        self.runner.close()

    async def it_ends_well(self) -> None:
        """Everybody is down, which is told; then all is well: everything closes, and what was told has its end told once."""
        self.eyes.failures, self.eyes.own_line = dict.fromkeys(NAMES, REFUSED) | {"redis": None}, SOUND
        self.keeper.start_monitoring()
        await self.clock.advance(100)
        silent = self.untold()
        await self.clock.advance(20)  # the grace of one whose dependency has settled just now
        assert not silent & self.untold(), "nobody was told"
        self.eyes.failures = dict.fromkeys(NAMES, REFUSED)
        await self.clock.advance(200)
        assert {one.state for one in self.keeper.snapshot().services} == {State.DOWN}
        known = {one.id: one for one in self.keeper.open_incidents}
        for one in known.values():
            assert one.id in self.durable.told or one.parent in self.durable.told, "nobody was told"
            assert one.id in self.durable.told or one.parent in known
        self.eyes.failures, self.eyes.own_line = {}, SOUND
        self.eyes.beats["web"].put_nowait(Beat(service="web", kind=BeatKind.CONNECTED, at=self.clock.now()))
        self.eyes.beats["web"].put_nowait(Beat(service="web", kind=BeatKind.BEAT, at=self.clock.now()))
        await self.clock.advance(600)
        await self.clock.advance(1200)
        assert {one.state for one in self.keeper.snapshot().services} == {State.UP}
        await self.die()
        assert all(one.closed_at for one in self.durable.incidents.values())
        told = Counter(notice.incident for notice in self.durable.notices)
        assert all(count == 2 for count in told.values())


TestKeeperThatDies = KeeperThatDies.TestCase
EXAMPLES = int(os.environ.get("SOAK", "12"))
TestKeeperThatDies.settings = settings(max_examples=EXAMPLES, stateful_step_count=30, deadline=None)
