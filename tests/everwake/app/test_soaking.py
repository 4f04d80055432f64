"""The second stage of a proof: the seven criteria after a remedy, without delaying anything."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from everwake.app.evidence import AskKeeper, News, Verified
from everwake.app.soaking import Soaker
from everwake.fleet.schema import Fleet, Service
from everwake.model import Criterion, Level, RemedyRun, RunState, State
from everwake.ports import Notice
from everwake.remedy.steps import Do, step
from tests.support.fake_clock import START, FakeClock, settle
from tests.support.memory_steps import MemorySteps


@dataclass
class View:
    state: State = State.UP
    since: datetime | None = START
    cause: str | None = None


@dataclass
class Scene:
    """One keeper's fleet, and evidence that comes when a test says so."""

    clock: FakeClock = field(default_factory=FakeClock)
    steps: MemorySteps = field(default_factory=MemorySteps)
    view: View = field(default_factory=View)
    fleet: Fleet = field(default_factory=lambda: Fleet(name="f", services=(Service(name="chatbot", url="http://a"),)))
    said: list[tuple[Level, str]] = field(default_factory=list)
    shown: list[RemedyRun] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    verdict: "asyncio.Future[tuple[Criterion, ...]]" = field(default_factory=asyncio.Future)
    told: Callable[[News], None] = lambda news: None
    soak_s: float = 900.0

    def service_view(self, name: str) -> View:
        return self.view

    async def gather(
        self, service: Service, keeper: AskKeeper, told: Callable[[News], None], log_since: datetime | None
    ) -> Verified:
        self.begun.append(service.name)
        self.told = told
        criteria = await asyncio.shield(self.verdict)
        return Verified(service=service.name, at=START, took_s=0, criteria=criteria, titles={}, lacking={})

    def soaker(self) -> Soaker:
        return Soaker(
            self.clock, self.steps, self, self.gather, soak_s=self.soak_s, changed=self.shown.append,
            say=lambda level, text, service: self.said.append((level, text)),
        )  # fmt: skip

    def remedy(self, id: str = "rem-1", state: RunState = RunState.PROVED, ago_s: float = 0.0) -> RemedyRun:
        at = START - timedelta(seconds=ago_s)
        run = RemedyRun(
            id=id, service="chatbot", incident="inc-1", playbook="deploy", cause="no_live_deploy", asked_at=at, state=state,
            steps=(step(Do.DEPLOY, "deploy"),), ended_at=None if state.is_open else at,
        )  # fmt: skip
        self.steps.runs[id] = run
        return run

    @property
    def notices(self) -> list[Notice]:
        return list(self.steps.notices.values())


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.fixture
async def soaker(scene: Scene) -> AsyncIterator[Soaker]:
    made = scene.soaker()
    task = asyncio.create_task(made.run())
    await settle()
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def criteria(*met: bool | None) -> tuple[Criterion, ...]:
    return tuple(Criterion(name=f"c{n}", met=one, said="so it was") for n, one in enumerate(met))


async def test_what_is_proved_is_held_against_the_criteria_kept_and_told_once(scene: Scene, soaker: Soaker) -> None:
    run = scene.remedy()
    for _ in range(2):  # it is told of each change
        soaker.seen(run)
    await settle()
    assert scene.begun == ["chatbot"]
    assert scene.steps.runs["rem-1"].soak is None
    scene.verdict.set_result(criteria(True, True))
    await settle()
    soak = scene.steps.runs["rem-1"].soak
    assert soak is not None
    assert soak.is_proved
    assert [one.soak for one in scene.shown] == [soak]
    assert [(one.title, one.opened) for one in scene.notices] == [("Chatbot stays well after deploy", False)]
    assert scene.said == [(Level.SUCCESS, "Chatbot stays well after deploy: every criterion is met")]
    soaker.seen(scene.steps.runs["rem-1"])
    await settle()
    assert scene.begun == ["chatbot"]


async def test_a_criterion_that_is_not_met_is_somebodys_and_what_could_not_be_shown_is_said(
    scene: Scene, soaker: Soaker
) -> None:
    soaker.seen(scene.remedy())
    scene.verdict.set_result(criteria(True, False, None))
    await settle()
    (notice,) = scene.notices
    assert (notice.title, notice.opened) == ("Chatbot does not stay well after deploy", True)
    assert "- c1: NOT MET: so it was" in notice.body
    assert "- c2: so it was" in notice.body, "its own words say that it was not shown"
    assert "everwake why chatbot" in notice.body
    assert scene.said[0][0] is Level.ERROR


async def test_what_was_not_shown_is_not_called_proved(scene: Scene, soaker: Soaker) -> None:
    soaker.seen(scene.remedy())
    scene.verdict.set_result(criteria(True, None))
    await settle()
    soak = scene.steps.runs["rem-1"].soak
    assert soak is not None
    assert not soak.is_proved
    assert scene.said[0][1].endswith("1 of 2 criteria are met, the others could not be shown")


@pytest.mark.parametrize("state", [State.PAUSED, State.ASLEEP, State.UNKNOWN])
async def test_one_that_is_put_to_rest_meanwhile_is_neither_praised_nor_blamed(
    scene: Scene, soaker: Soaker, state: State
) -> None:
    soaker.seen(scene.remedy())
    await settle()
    news = News(service="chatbot", criteria=(), progress={}, titles={}, left_s=1)
    scene.told(news)
    await settle()
    assert scene.steps.runs["rem-1"].soak is None
    scene.view.state = state
    scene.told(news)
    await settle()
    soak = scene.steps.runs["rem-1"].soak
    assert soak is not None
    assert [one.met for one in soak.criteria] == [None]
    assert scene.notices == []


async def test_a_newer_remedy_ends_the_watching_of_the_one_before(scene: Scene, soaker: Soaker) -> None:
    soaker.seen(scene.remedy())
    await settle()
    again = scene.remedy("rem-2", RunState.RUNNING)
    soaker.seen(again)
    await settle()
    soaker.seen(scene.remedy("rem-2"))
    await settle()
    scene.verdict.set_result(criteria(True))
    await settle()
    assert scene.steps.runs["rem-1"].soak is None
    assert scene.steps.runs["rem-2"].soak is not None


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.UNPROVED, RunState.FAILED, RunState.DROPPED])
async def test_only_what_is_proved_is_watched_on(scene: Scene, soaker: Soaker, state: RunState) -> None:
    soaker.seen(scene.remedy(state=state))
    await settle()
    assert scene.begun == []


async def test_a_keeper_that_starts_again_begins_anew_what_was_cut_short(scene: Scene) -> None:
    scene.remedy("rem-0", ago_s=300)
    scene.remedy("rem-1", ago_s=60)
    first = asyncio.create_task(scene.soaker().run())
    await settle()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(scene.soaker().run())
    await settle()
    assert scene.begun == ["chatbot", "chatbot"]
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert scene.steps.runs["rem-1"].soak is None


@pytest.mark.parametrize(("ago_s", "soak_s"), [(20_000, 900.0), (0, 0.0)])
async def test_what_is_long_past_or_not_wanted_is_left_alone(scene: Scene, ago_s: float, soak_s: float) -> None:
    scene = replace(scene, soak_s=soak_s)
    scene.remedy(ago_s=ago_s)
    task = asyncio.create_task(scene.soaker().run())
    await settle()
    assert scene.begun == []
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
