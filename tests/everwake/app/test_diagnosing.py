"""The keeper asks why by itself: once when an incident opens, ever more seldom while it lasts, and says only what is new."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from everwake.app.diagnosing import AGAIN_S, AT_ONCE, Diagnoser, Doors
from everwake.app.why import Told
from everwake.fleet.schema import Fleet, Service
from everwake.model import DeployRecord, Diagnosis, Failure, FailureKind, Incident, Observation, Phase, PlatformService
from tests.support.fake_clock import FakeClock, settle

AT = datetime(2026, 1, 1, tzinfo=UTC)
BROKEN = '["https://a.example"] -rsss'


def fleet(*names: str) -> Fleet:
    services = tuple(Service(name=name, url=f"https://{name}.onrender.com", platform="render") for name in names)
    return Fleet(name="blabbin", services=services)


def incident(name: str, n: int = 1) -> Incident:
    return Incident(id=f"inc-{n}-{name}", service=name, opened_at=AT)


def refused(name: str) -> Observation:
    failure = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail="status 502, expected 2xx")
    return Observation(
        service=name,
        check="http",
        at=AT,
        took_s=0.1,
        status=502,
        failure=failure,
        headers={"x-render-routing": "no-deploy"},
    )


class Platform(Doors):
    """Tells what the test says, and counts how often it was asked; `gate` holds the answers back."""

    def __init__(self) -> None:
        super().__init__(fleet(), {})
        self.variables: dict[str, str] = {"BACKEND_CORS_ORIGINS": BROKEN}
        self.asked: list[tuple[str, float]] = []
        self.at_once = self.most_at_once = 0
        self.gate: asyncio.Event | None = None
        self.clock: FakeClock | None = None
        self.breaks = False
        self.deploys: tuple[DeployRecord, ...] = ()

    async def tell(self, service: Service) -> Told:
        assert self.clock is not None
        self.asked.append((service.name, self.clock.monotonic()))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.breaks:
                raise RuntimeError("a surprise")
        finally:
            self.at_once -= 1
        found = PlatformService(id="srv-1", name=service.name, url=service.url, type="web_service", plan="free")
        return Told(platform="render", service=found, variables=self.variables, deploys=self.deploys)


class Scene:
    def __init__(self, *names: str) -> None:
        self.clock, self.platform = FakeClock(), Platform()
        self.platform.clock = self.clock
        self.found: list[tuple[str, Diagnosis]] = []
        self.fleet = fleet(*names)
        self.looks: tuple[Observation, ...] | None = None
        self.diagnoser = Diagnoser(
            self.clock, self.platform, fleet=lambda: self.fleet, seen=self.seen,
            found=lambda which, diagnosis: self.found.append((which, diagnosis)),
        )  # fmt: skip

    def seen(self, name: str) -> tuple[Observation, ...]:
        """The looks at a service: one that failed, unless the test says otherwise."""
        return (refused(name),) if self.looks is None else self.looks

    async def passes(self, seconds: float) -> None:
        """Time goes by; what thinks in a thread does so in real time, which is waited for."""
        await self.clock.advance(seconds)
        async with asyncio.timeout(20):
            while self.diagnoser.under_way:
                await asyncio.to_thread(lambda: None)
                await settle()
        await settle()


@asynccontextmanager
async def running(*names: str) -> AsyncIterator[Scene]:
    scene = Scene(*names)
    task = asyncio.create_task(scene.diagnoser.run())
    try:
        yield scene
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_an_incident_is_explained_as_soon_as_it_opens() -> None:
    async with running("chatbot") as scene:
        scene.diagnoser.told(incident("chatbot"))
        await scene.passes(0.1)
        ((which, diagnosis),) = scene.found
        assert which == "inc-1-chatbot"
        assert diagnosis.causes[0].cause == "bad_env_var"
        assert [(one.key, one.column) for one in diagnosis.variables] == [("BACKEND_CORS_ORIGINS", 23)]


async def test_it_asks_ever_more_seldom_and_says_nothing_twice() -> None:
    async with running("chatbot") as scene:
        scene.diagnoser.told(incident("chatbot"))
        for _ in range(200):
            await scene.passes(3)
        assert len(scene.found) == 1
        assert len(AGAIN_S) <= len(scene.platform.asked) <= len(AGAIN_S) + 3


async def test_changed_facts_are_a_new_diagnosis() -> None:
    async with running("chatbot") as scene:
        scene.diagnoser.told(incident("chatbot"))
        await scene.passes(0.1)
        scene.platform.variables = {"BACKEND_CORS_ORIGINS": '["https://a.example"]'}
        scene.diagnoser.ask_again("chatbot")
        await scene.passes(0.1)
        assert len(scene.found) == 2
        assert not scene.found[1][1].variables


async def test_who_falls_again_is_asked_about_anew_and_the_same_cause_is_said_again() -> None:
    async with running("chatbot") as scene:
        scene.diagnoser.told(incident("chatbot"))
        for _ in range(100):
            await scene.passes(6)
        asked = len(scene.platform.asked)
        scene.diagnoser.told(replace(incident("chatbot"), flaps=1))
        await scene.passes(0.1)
        assert len(scene.platform.asked) == asked + 1
        assert [diagnosis.causes[0].cause for _, diagnosis in scene.found] == ["bad_env_var", "bad_env_var"]


async def test_what_is_no_fault_is_not_told_as_the_reason() -> None:
    async with running("chatbot") as scene:
        scene.platform.variables = {"BACKEND_CORS_ORIGINS": '["https://a.example"]'}
        scene.platform.deploys = (
            DeployRecord(id="dep-2", service_id="srv-1", status="live"),
            DeployRecord(id="dep-1", service_id="srv-1", status="canceled"),
        )
        scene.looks = ()
        scene.diagnoser.told(incident("chatbot"))
        await scene.passes(0.1)
        assert scene.platform.asked
        assert scene.found == []


async def test_a_closed_incident_is_asked_about_no_more() -> None:
    async with running("chatbot") as scene:
        scene.diagnoser.told(incident("chatbot"))
        await scene.passes(0.1)
        scene.diagnoser.told(replace(incident("chatbot"), closed_at=AT))
        asked = len(scene.platform.asked)
        for _ in range(20):
            await scene.passes(30)
        assert len(scene.platform.asked) == asked


async def test_an_answer_that_comes_after_the_end_is_not_told() -> None:
    async with running("chatbot") as scene:
        scene.platform.gate = asyncio.Event()
        scene.diagnoser.told(incident("chatbot"))
        await settle()
        scene.diagnoser.told(replace(incident("chatbot"), closed_at=AT))
        scene.platform.gate.set()
        await scene.passes(0.1)
        assert scene.found == []


async def test_many_at_once_are_asked_about_a_few_at_a_time() -> None:
    names = [f"s{n}" for n in range(20)]
    async with running(*names) as scene:
        for name in names:
            scene.diagnoser.told(incident(name))
        for _ in range(20):
            await scene.passes(0.1)
        assert {which for which, _ in scene.found} == {f"inc-1-{name}" for name in names}
        assert scene.platform.most_at_once <= AT_ONCE


async def test_a_surprise_in_one_is_logged_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async with running("chatbot", "backend") as scene:
        scene.platform.breaks = True
        scene.diagnoser.told(incident("chatbot"))
        await scene.passes(0.1)
        scene.platform.breaks = False
        scene.diagnoser.told(incident("backend"))
        await scene.passes(0.1)
        assert [which for which, _ in scene.found] == ["inc-1-backend"]
        assert "diagnosis.failed" in caplog.text


async def test_a_diagnosis_that_was_known_before_a_restart_is_not_told_again() -> None:
    async with running("chatbot") as scene:
        scene.diagnoser.told(incident("chatbot"))
        await scene.passes(0.1)
        known = scene.found[0][1]
    async with running("chatbot") as scene:
        scene.diagnoser.told(replace(incident("chatbot"), diagnosis=known))
        await scene.passes(0.1)
        assert scene.found == []
        assert scene.platform.asked
