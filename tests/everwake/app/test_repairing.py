"""The keeper repairs: a real keeper, plan, guard and steps, with a clock that is moved by hand and a platform of ours."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from everwake.app.repairing import Repairer
from everwake.app.why import Told, facts_of_service
from everwake.diagnose import diagnose
from everwake.errors import Finding
from everwake.fleet.schema import Expect, Fleet, Service
from everwake.model import (
    Beat,
    Cause,
    DeployRecord,
    Diagnosis,
    Evidence,
    Failure,
    FailureKind,
    Incident,
    LogLine,
    Observation,
    Phase,
    PlatformLine,
    PlatformService,
    RunState,
    State,
    Transition,
    VariableProblem,
)
from everwake.ports import Notice, Standing
from everwake.remedy.steps import NEEDS
from everwake.watch.keeper import Keeper
from everwake.watch.vantage import Probe
from tests.support.eyes import Looking
from tests.support.fake_clock import FakeClock, settle
from tests.support.memory_steps import MemorySteps

KEY = "BACKEND_CORS_ORIGINS"
BAD, GOOD = '["https://a.example"] -rsss', '["https://a.example"]'
DOWN = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail="502")


class Platform:
    """One service that serves when its variables are right. calls: what was asked of it that changes something.

    cure: what a deploy makes of the service; None: well when its variables are right.
    """

    name = "sim"
    verbs = frozenset({verb for verbs in NEEDS.values() for verb in verbs} | {"deploys", "events", "logs"})

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.calls, self.is_well = clock, list[str](), True
        self.env: dict[str, str] = {KEY: GOOD}
        self.made: list[DeployRecord] = [self._record("dep-0", "live")]
        self.intentions: dict[str, str] = {}
        self.cure: Callable[[], bool] | None = None
        self.takes_s = 10.0
        self.host = PlatformService(
            id="srv-1", name="chatbot", url="https://chatbot.example", type="web_service", plan="free"
        )

    def _record(self, id: str, status: str, commit: str = "c1") -> DeployRecord:
        now = self.clock.now()
        return DeployRecord(
            id=id, service_id="srv-1", status=status, trigger="api", commit_id=commit, created_at=now, finished_at=now
        )

    async def service(self, id: str) -> PlatformService:
        return self.host

    async def deploys(self, id: str, most: int = 20) -> Sequence[DeployRecord]:
        return self.made[:most]

    def person_deploys(self) -> None:
        """Somebody deploys by hand, and that has failed after `takes_s`."""
        made = self._record("dep-9", "update_in_progress")
        self.made.insert(0, made)
        ends_s = self.clock.monotonic() + self.takes_s

        def end() -> None:
            at = self.made.index(made)
            self.made[at] = replace(made, status="update_failed", finished_at=self.clock.now())

        self.clock.call_at(ends_s, end)

    async def variables(self, id: str) -> dict[str, str]:
        return dict(self.env)

    async def set_variables(self, id: str, values: dict[str, str | None]) -> None:
        self.calls.append(f"write {' '.join(values)}")
        self.env |= {key: value for key, value in values.items() if value is not None}

    async def deploy(self, id: str, *, intention: str, clear_cache: bool = False) -> DeployRecord:
        return self._made("deploy", intention)

    async def rollback(self, id: str, deploy_id: str, *, intention: str) -> DeployRecord:
        return self._made(f"rollback {deploy_id}", intention)

    def _made(self, what: str, intention: str) -> DeployRecord:
        if intention not in self.intentions:
            self.calls.append(what)
            self.intentions[intention] = f"dep-{len(self.made)}"
            self.made.insert(0, self._record(self.intentions[intention], "update_in_progress"))
        return next(one for one in self.made if one.id == self.intentions[intention])

    async def follow(self, id: str, deploy_id: str) -> AsyncIterator[DeployRecord]:
        n = next(n for n, one in enumerate(self.made) if one.id == deploy_id)
        yield self.made[n]
        if self.made[n].is_running:
            await self.clock.sleep(self.takes_s)
            n = next(n for n, one in enumerate(self.made) if one.id == deploy_id)
            self.is_well = self.cure() if self.cure else self.env[KEY] == GOOD
            self.made[n] = replace(self.made[n], status="live", finished_at=self.clock.now())
            yield self.made[n]

    async def logs(self, id: str, since: datetime, until: datetime | None, most: int) -> Sequence[PlatformLine]:
        said = "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)"
        return [PlatformLine(id="l1", at=self.clock.now(), text=said)]

    async def restart(self, id: str) -> None:
        self.calls.append("restart")

    async def resume(self, id: str) -> None:
        self.calls.append("resume")


class Doors:
    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    async def of(self, service: Service) -> Any:
        return self.platform


class Eyes(Looking):
    """Sees each service as `see` says."""

    def __init__(self, clock: FakeClock, see: Callable[[str], Failure | None]) -> None:
        self.clock, self.see, self.has_route = clock, see, True
        self.takes_s = 0.2

    async def look(self, service: Service, check: str, patience_s: float | None) -> Observation:
        failure = self.see(service.name)
        at, status = self.clock.now() - timedelta(seconds=self.takes_s), 200 if failure is None else 502
        routing = {"x-render-routing": "no-deploy"} if failure is DOWN else {}
        if failure is not None and failure.kind is not FailureKind.STATUS:
            status = 200 if failure.kind is FailureKind.SLOW else None  # type: ignore[assignment]
        return Observation(
            service=service.name,
            check=check,
            at=at,
            took_s=self.takes_s,
            status=status,
            failure=failure,
            headers=routing,
        )

    async def follow(self, service: Service) -> AsyncIterator[Beat]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc]

    async def probe(self) -> Probe:
        return Probe(resolves=self.has_route, has_route=self.has_route)


class Recorder:
    trouble = None

    def looked(self, seen: Sequence[Observation]) -> None: ...
    def moved(self, move: Transition, standing: Standing, notices: Sequence[Notice] = ()) -> None: ...
    def beat(self, beat: Beat) -> None: ...
    def said(self, line: LogLine) -> None: ...


class Stage:
    """A keeper that repairs. diagnosis: what is found when it is down; None: what the rules make of what is seen."""

    def __init__(self, repair: str, **more: Any) -> None:
        self.clock = FakeClock()
        self.platform, self.steps = Platform(self.clock), MemorySteps()
        self.see: Callable[[str], Failure | None] = lambda name: None if self.platform.is_well else DOWN
        self.eyes = Eyes(self.clock, lambda name: self.see(name))
        service = Service(
            name="chatbot", url="https://chatbot.example", platform="sim", platform_id="srv-1", repair=repair, every_s=60.0,
            plan="starter", expect=Expect(below_ms=1_000), **more,
        )  # fmt: skip
        self.fleet = Fleet(name="blabbin", services=(service, *self.others))
        self.incidents: list[Incident] = []
        self.keeper = Keeper(self.fleet, self.eyes, Recorder(), self.clock, told=self._incident)
        self.cause: Callable[[], Diagnosis] | None = self.bad_variable
        self.asked = 0
        self.repairer = self.a_repairer("one")

    others: tuple[Service, ...] = ()

    def a_repairer(self, holder: str, has_ended: Callable[[str], bool] = lambda holder: False) -> Repairer:
        return Repairer(
            self.clock, Doors(self.platform), self.steps, self.keeper, holder=holder, ask=self.ask,  # type: ignore[arg-type]
            has_ended=has_ended,
        )  # fmt: skip

    def _incident(self, incident: Incident) -> None:
        self.incidents.append(incident)
        self.repairer.incident(incident)

    async def ask(self, name: str) -> Diagnosis | None:
        self.asked += 1
        told = Told(
            platform="render",
            service=self.platform.host,
            deploys=tuple(self.platform.made),
            variables=dict(self.platform.env),
        )
        self.repairer.told(name, told)
        if self.keeper.service_view(name).state is State.UP:
            return Diagnosis(state=State.UP)
        if self.cause is not None:
            return self.cause()
        return diagnose(facts_of_service(self.fleet.service(name), self.keeper.seen(name), told, None, self.fleet))

    def bad_variable(self) -> Diagnosis:
        quote = f"{KEY}: Extra data at position 88"
        cause = Cause(
            cause="bad_env_var", sure=0.97, evidence=(Evidence(source="log", quote=quote),), remedy="fix-variables"
        )
        problem = VariableProblem(
            key=KEY, problem="json_trailing_garbage", is_error=True, fix="cut", column=88, value=GOOD
        )
        return Diagnosis(state=State.DOWN, causes=(cause,), variables=(problem,))

    def fall(self) -> None:
        self.platform.is_well, self.platform.env[KEY] = False, BAD

    @property
    def runs(self) -> list[tuple[str, RunState]]:
        return [(one.playbook, one.state) for one in self.steps.runs.values()]

    @property
    def told(self) -> list[str]:
        return [one.title for one in self.steps.notices.values()]

    async def pass_s(self, seconds: float) -> None:
        """Time goes by; what waits for a thread is given its turn."""
        until_s = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until_s:
            await self.clock.advance(min(2.0, until_s - self.clock.monotonic()))
            if self.steps.runs:
                await asyncio.sleep(0.002)


@asynccontextmanager
async def stage(repair: str = "auto", **more: Any) -> AsyncIterator[Stage]:
    one = Stage(repair, **more)
    keeping, repairing = asyncio.create_task(one.keeper.run()), asyncio.create_task(one.repairer.run())
    await settle()
    await one.pass_s(70)
    try:
        yield one
    finally:
        one.keeper.stop()
        repairing.cancel()
        await asyncio.gather(keeping, repairing, return_exceptions=True)


async def test_by_itself_it_mends_deploys_and_proves_and_tells() -> None:
    async with stage() as one:
        one.fall()
        await one.pass_s(300)
        assert one.platform.calls == [f"write {KEY}", "deploy"]
        assert one.runs == [("fix-variables", RunState.PROVED)]
        last = one.incidents[-1]
        assert [did.step for did in last.actions] == [f"mend {KEY}", "deploy", "watch the deploy"]
        assert last.proof is not None
        assert last.proof.is_proved
        assert one.told == ["Chatbot was repaired: fix-variables"]
        assert GOOD not in str(one.steps.runs)


async def test_asked_it_waits_for_a_yes_and_does_nothing_before() -> None:
    async with stage("ask") as one:
        one.fall()
        await one.pass_s(300)
        assert (one.platform.calls, one.runs) == ([], [("fix-variables", RunState.ASKED)])
        assert one.told == ["Chatbot can be repaired: fix-variables"]
        run = await one.repairer.begin("chatbot", "ada")
        assert run.by == "ada"
        await one.pass_s(300)
        assert one.platform.calls == [f"write {KEY}", "deploy"]
        assert one.runs == [("fix-variables", RunState.PROVED)]


async def test_a_yes_that_comes_late_is_judged_as_things_stand_then() -> None:
    async with stage("ask") as one:
        one.fall()
        await one.pass_s(300)
        assert one.runs == [("fix-variables", RunState.ASKED)]
        one.platform.person_deploys()
        with pytest.raises(Finding, match=r"not ours|moment ago"):
            await one.repairer.begin("chatbot", "ada")
        assert one.platform.calls == []


async def test_a_yes_for_what_came_back_meanwhile_does_nothing() -> None:
    async with stage("ask") as one:
        one.fall()
        await one.pass_s(300)
        one.platform.is_well = True
        yes = asyncio.create_task(one.repairer.begin("chatbot", "ada"))
        await one.pass_s(5)
        with pytest.raises(Finding, match="nothing is to be done"):
            await yes
        assert one.platform.calls == []
        assert one.runs == [("fix-variables", RunState.DROPPED)]


async def test_what_waits_for_a_yes_goes_with_its_incident() -> None:
    async with stage("ask") as one:
        one.fall()
        await one.pass_s(300)
        one.platform.is_well = True
        await one.pass_s(300)
        assert one.runs == [("fix-variables", RunState.DROPPED)]
        with pytest.raises(Finding):
            await one.repairer.begin("chatbot", "ada")
        assert one.platform.calls == []


async def test_what_began_an_incident_says_nothing_of_what_is_well_again() -> None:
    """Else a service that its owner had suspended could never be proved to be resumed."""
    async with stage("off") as one:
        one.fall()
        await one.pass_s(70)
        assert [look.failure for look in one.keeper.seen("chatbot")] == [DOWN, DOWN]
        one.platform.is_well = True
        await one.pass_s(40)
        assert one.keeper.service_view("chatbot").state is State.UP
        assert one.keeper.open_incidents
        assert [look.failure for look in one.keeper.seen("chatbot")] == [None]


async def test_off_it_asks_nobody_anything() -> None:
    async with stage("off") as one:
        one.fall()
        await one.pass_s(600)
        assert (one.platform.calls, one.runs, one.asked, one.told) == ([], [], 0, [])


async def test_the_red_switch_stops_it_and_undone_it_goes_on() -> None:
    async with stage() as one:
        assert await one.repairer.set_switch(True, "ada")
        one.fall()
        await one.pass_s(600)
        assert one.platform.calls == []
        with pytest.raises(Finding, match="stopped"):
            await one.repairer.begin("chatbot", "eve")
        assert await one.repairer.set_switch(False, "ada")
        await one.pass_s(300)
        assert one.runs == [("fix-variables", RunState.PROVED)]


async def test_a_remedy_that_does_not_help_is_not_done_again_and_a_person_is_asked() -> None:
    async with stage() as one:
        one.platform.cure = lambda: False
        one.fall()
        await one.pass_s(3_000)
        assert one.platform.calls == [f"write {KEY}", "deploy"]
        assert one.runs == [("fix-variables", RunState.UNPROVED)]
        assert sorted(one.told) == ["Chatbot needs a person", "Chatbot: fix-variables did not help"]


async def test_a_remedy_that_makes_it_worse_is_taken_back() -> None:
    """It was degraded and served; after the remedy it is down: variables and deploy of before come back."""
    async with stage() as one:
        slow = Failure(kind=FailureKind.SLOW, phase=Phase.EXPECT)
        one.see = lambda name: slow if one.platform.is_well else DOWN
        one.platform.env[KEY] = BAD
        one.platform.cure = lambda: one.platform.env[KEY] == BAD
        await one.pass_s(1200)
        assert one.platform.calls == [f"write {KEY}", "deploy", f"write {KEY}", "rollback dep-0"]
        assert one.platform.env[KEY] == BAD


async def test_the_next_keeper_goes_on_where_the_last_one_was_killed() -> None:
    one = Stage("auto")
    keeping, repairing = asyncio.create_task(one.keeper.run()), asyncio.create_task(one.repairer.run())
    await settle()
    await one.pass_s(70)
    one.fall()
    for _ in range(200):
        await one.pass_s(1)
        if "deploy" in one.platform.calls:
            break
    repairing.cancel()
    await asyncio.gather(repairing, return_exceptions=True)
    assert one.runs == [("fix-variables", RunState.RUNNING)]
    one.repairer = one.a_repairer("two")
    repairing = asyncio.create_task(one.repairer.run())
    await one.pass_s(400)
    assert one.platform.calls == [f"write {KEY}", "deploy"]
    assert one.runs == [("fix-variables", RunState.PROVED)]
    one.keeper.stop()
    repairing.cancel()
    await asyncio.gather(keeping, repairing, return_exceptions=True)


async def test_a_deploy_of_a_person_is_waited_for_and_not_pushed_aside() -> None:
    async with stage() as one:
        one.fall()
        one.platform.takes_s = 120.0
        one.platform.person_deploys()
        await one.pass_s(115)
        assert one.platform.calls == []
        one.platform.takes_s = 10.0
        await one.pass_s(300)
        assert one.platform.calls == [f"write {KEY}", "deploy"]
        assert one.runs == [("fix-variables", RunState.PROVED)]
