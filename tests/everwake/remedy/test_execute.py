"""Carrying out a remedy: over a real API on loopback, with a real history; killed at random moments and gone on with."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from everwake.clock import SystemClock
from everwake.errors import OutOfReach
from everwake.fleet.schema import Secret
from everwake.history import History, outbox
from everwake.history.steps import StepStore
from everwake.history.undo import SealedUndo
from everwake.model import DeployRecord, Observation, RemedyRun, RemedyStep, RunState, StepState
from everwake.platforms import intend
from everwake.platforms._door import Manners
from everwake.platforms._kind import Access
from everwake.platforms.render import Render
from everwake.ports import Notice, Platform, Switch, Undo, Written
from everwake.remedy.execute import Executor, Mended, Surroundings
from everwake.remedy.steps import Do, step
from everwake.remedy.undo import InProcess
from everwake.sim.records import DeployStatus, Trigger
from tests.support import fake_workspace
from tests.support.fake_workspace import FakeWorkspace
from tests.support.sim_api import Served, served

KILLS = int(os.environ.get("SOAK", "12"))
QUICK = Manners(first_s=0.01, most_s=0.05, settle_s=(0.02, 0.05, 0.1), answer_s=5.0, connect_s=5.0)
BAD, GOOD = '["https://a.example"] -rsss', '["https://a.example"]'
MEND = (
    step(Do.WRITE_VARIABLES, "mend", keys="BACKEND_CORS_ORIGINS EXTRA_ORIGINS"),
    step(Do.DEPLOY, "deploy"),
    step(Do.FOLLOW, "watch the deploy"),
)


@dataclass
class Stage:
    """A platform with one service, a history, and as many keepers as a test wants."""

    api: Served
    workspace: FakeWorkspace
    id: str
    history: History
    clock: SystemClock

    @property
    def steps(self) -> StepStore:
        return StepStore(self.history)

    @property
    def api_deploys(self) -> list[object]:
        """What was deployed since the stage was set; who deploys at every write cancels the one of the write before."""
        ours = (Trigger.API, Trigger.UPDATED, Trigger.ROLLBACK)
        every = self.workspace.deploys(self.id)
        return [one for one in every if one.trigger in ours and one.status is not DeployStatus.CANCELED]

    def asked_for(self, *triggers: Trigger) -> int:
        """How many deploys were begun so, canceled ones included."""
        return sum(one.trigger in triggers for one in self.workspace.deploys(self.id))

    def restarts(self) -> int:
        """How often it was restarted."""
        return sum(one.type == "server_restarted" for one in self.workspace.events(self.id))

    @property
    def env(self) -> Mapping[str, str]:
        return self.workspace.env(self.id)

    async def proposed(self, *steps: RemedyStep, id: str = "rem-1", **given: object) -> RemedyRun:
        now = self.clock.now()
        run = RemedyRun(
            id=id, service="chatbot", incident="inc-1", playbook="fix-variables", cause="bad_env_var", asked_at=now,
            began_at=now, steps=steps, state=RunState.RUNNING, target=self.id,
        )  # fmt: skip
        run = replace(run, **given)  # type: ignore[arg-type]
        assert await self.steps.propose(run)
        return run

    @asynccontextmanager
    async def keeper(
        self, holder: str = "keeper", *, sealed_with: str = fake_workspace.KEY, undo: Undo | None = None
    ) -> AsyncIterator[Executor]:
        """A process of its own, as far as the platform and the history can tell: it remembers nothing."""
        access = Access(key=Secret(fake_workspace.KEY, "env RENDER_API_KEY"), url=self.api.url)
        async with Render(access, self.clock, name="sim", manners=QUICK) as platform:

            async def of(service: str) -> Platform:
                return platform

            around = Surroundings(platform=of, mend=_mend, look=_look, intention=intend, started=_started)
            sealed = SealedUndo(self.history, self.clock, lambda service: Secret(sealed_with, "env RENDER_API_KEY"))
            yield Executor(self.steps, self.clock, holder, around, undo=undo or sealed, failing=self._failing)

    def _failing(self, run: RemedyRun, outcome: str) -> list[Notice]:
        key = f"{run.id}:failed"
        return [
            Notice(key=key, service="chatbot", incident=None, opened=True, title=outcome, body="", at=self.clock.now())
        ]


async def _mend(service: str, keys: Sequence[str], variables: Mapping[str, str]) -> Mended:
    wrong = {key: variables[key].removesuffix(" -rsss") for key in keys if variables.get(key, "").endswith(" -rsss")}
    return Mended(values=wrong, stuck=tuple(key for key in keys if variables.get(key) == "?"))


async def _look(service: str) -> Observation:
    return Observation(service=service, check="http", at=SystemClock().now(), took_s=0.1, status=200)


async def _started(platform: Platform, id: str, deploy: DeployRecord) -> str:
    return f"{deploy.id} serves"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    clock = SystemClock()
    workspace = FakeWorkspace(clock, step_s=0.02)
    env = {"BACKEND_CORS_ORIGINS": BAD, "EXTRA_ORIGINS": BAD, "REDIS_URL": "redis://me:secret@h -rsss", "PORT": "8000"}
    id = workspace.add("chatbot", env=env).id
    await workspace.create_deploy(id, trigger=Trigger.BLUEPRINT)
    await asyncio.sleep(0.1)
    assert workspace.deploys(id)[0].status is DeployStatus.LIVE
    history = History(tmp_path / "history.sqlite3", clock)
    await asyncio.to_thread(history.open)
    try:
        async with served(workspace) as api:
            yield Stage(api, workspace, id, history, clock)
    finally:
        await asyncio.to_thread(history.close)


async def test_variables_are_mended_deployed_and_watched_in_order(stage: Stage) -> None:
    run = await stage.proposed(*MEND)
    async with stage.keeper() as keeper:
        done = await keeper.carry_out(run.id)
    assert done is not None
    assert (done.state, [one.state for one in done.steps]) == (RunState.PROVING, [StepState.DONE] * 3)
    assert stage.env == {
        "BACKEND_CORS_ORIGINS": GOOD, "EXTRA_ORIGINS": GOOD, "REDIS_URL": "redis://me:secret@h -rsss", "PORT": "8000"
    }  # fmt: skip
    assert len(stage.api_deploys) == 1
    kept = await stage.steps.run(run.id)
    assert kept is not None
    assert kept.steps == done.steps
    assert "secret" not in str(kept)
    assert kept.steps[1].said in kept.steps[2].said


async def test_what_is_right_by_now_is_not_written_again(stage: Stage) -> None:
    await stage.workspace.set_env(stage.id, "BACKEND_CORS_ORIGINS", GOOD)
    await stage.workspace.set_env(stage.id, "EXTRA_ORIGINS", GOOD)
    run = await stage.proposed(*MEND)
    before = stage.api.troubled.asked("PUT .*/env-vars")
    async with stage.keeper() as keeper:
        done = await keeper.carry_out(run.id)
    assert done is not None
    assert "right already" in done.steps[0].said
    assert stage.api.troubled.asked("PUT .*/env-vars") == before


async def test_a_variable_without_a_safe_answer_any_more_ends_it_before_the_deploy(stage: Stage) -> None:
    await stage.workspace.set_env(stage.id, "EXTRA_ORIGINS", "?")
    run = await stage.proposed(*MEND)
    async with stage.keeper() as keeper:
        done = await keeper.carry_out(run.id)
    assert done is not None
    assert (done.state, stage.api_deploys) == (RunState.FAILED, [])
    assert stage.env["BACKEND_CORS_ORIGINS"] == BAD


async def test_a_deploy_that_fails_ends_it_as_failed(stage: Stage) -> None:
    stage.workspace.fails = DeployStatus.UPDATE_FAILED
    run = await stage.proposed(*MEND)
    async with stage.keeper() as keeper:
        done = await keeper.carry_out(run.id)
    assert done is not None
    assert (done.state, done.steps[2].state) == (RunState.FAILED, StepState.FAILED)
    assert "update failed" in done.outcome
    assert await stage.steps.open() == []
    assert await stage.history.read(outbox.waiting) == 1, "its message is stored with the end itself"


async def test_a_deploy_of_a_person_is_not_pushed_aside(stage: Stage) -> None:
    await stage.workspace.create_deploy(stage.id)
    run = await stage.proposed(step(Do.DEPLOY, "deploy"), step(Do.FOLLOW, "watch the deploy"))
    stage.workspace.step_s = 60.0
    async with stage.keeper() as keeper:
        done = await keeper.carry_out(run.id)
    assert done is not None
    assert done.state is RunState.DROPPED
    assert len(stage.api_deploys) == 1


async def test_the_red_switch_ends_it_before_its_next_step(stage: Stage) -> None:
    run = await stage.proposed(*MEND)
    await stage.steps.set_switch(Switch(is_stopped=True, by="ada", at=stage.clock.now()))
    async with stage.keeper() as keeper:
        done = await keeper.carry_out(run.id)
    assert done is not None
    assert (done.state, stage.env["BACKEND_CORS_ORIGINS"], stage.api_deploys) == (RunState.DROPPED, BAD, [])
    assert "ada" in done.outcome


async def test_a_step_of_another_version_is_left_to_a_person_and_nothing_breaks(stage: Stage) -> None:
    run = await stage.proposed(RemedyStep(do="polish-the-crystal", says="polish"), *MEND)
    async with stage.keeper() as keeper:
        done = await keeper.carry_out(run.id)
    assert done is not None
    assert (done.state, stage.api_deploys) == (RunState.FAILED, [])
    assert "polish-the-crystal" in done.outcome


async def made_worse(stage: Stage) -> None:
    """A remedy wrote its variables and deployed, and did not help."""
    async with stage.keeper() as keeper:
        await keeper.carry_out((await stage.proposed(*MEND)).id)
    assert stage.env["BACKEND_CORS_ORIGINS"] == stage.env["EXTRA_ORIGINS"] == GOOD
    await stage.steps.claim("rem-1", "keeper", stage.clock.now(), 30)
    assert await stage.steps.advance("rem-1", "keeper", RunState.UNPROVED, stage.clock.now())


async def test_what_one_keeper_wrote_the_next_one_puts_back_but_not_over_what_a_person_wrote_since(
    stage: Stage,
) -> None:
    await made_worse(stage)
    await stage.workspace.set_env(stage.id, "EXTRA_ORIGINS", "a person's")
    undo = await stage.proposed(step(Do.PUT_BACK_VARIABLES, "put back", run="rem-1"), id="rem-2")
    async with stage.keeper("another") as keeper:
        done = await keeper.carry_out(undo.id)
    assert done is not None
    assert done.steps[0].said == (
        "put back BACKEND_CORS_ORIGINS; EXTRA_ORIGINS: changed by somebody since, and left so"
    )  # fmt: skip
    assert (stage.env["BACKEND_CORS_ORIGINS"], stage.env["EXTRA_ORIGINS"]) == (BAD, "a person's")


async def test_what_was_not_there_before_is_removed_again(stage: Stage) -> None:
    undo = SealedUndo(stage.history, stage.clock, lambda service: Secret(fake_workspace.KEY, "env KEY"))
    await stage.proposed(*MEND)
    await undo.keep("rem-1", "chatbot", Written(before={"ADDED": None}, wrote={"ADDED": "1"}))
    await stage.workspace.set_env(stage.id, "ADDED", "1")
    await stage.steps.claim("rem-1", "keeper", stage.clock.now(), 30)
    assert await stage.steps.advance("rem-1", "keeper", RunState.UNPROVED, stage.clock.now())
    await stage.proposed(step(Do.PUT_BACK_VARIABLES, "put back", run="rem-1"), id="rem-2")
    async with stage.keeper() as keeper:
        done = await keeper.carry_out("rem-2")
    assert done is not None
    assert ("ADDED" in stage.env, done.steps[0].said) == (False, "put back ADDED")


async def test_when_the_platforms_key_has_changed_that_is_said_and_the_deploy_is_taken_back_all_the_same(
    stage: Stage,
) -> None:
    good = stage.workspace.deploys(stage.id)[0].id
    await made_worse(stage)
    undo = (
        step(Do.PUT_BACK_VARIABLES, "put back", run="rem-1"), step(Do.ROLLBACK, "roll back", deploy=good),
        step(Do.FOLLOW, "watch the deploy"),
    )  # fmt: skip
    await stage.proposed(*undo, id="rem-2")
    async with stage.keeper("another", sealed_with="the key of after") as keeper:
        done = await keeper.carry_out("rem-2")
    assert done is not None
    assert done.steps[0].said == "what they were before cannot be read any more: the platform key has changed"
    assert (done.state, stage.asked_for(Trigger.ROLLBACK)) == (RunState.PROVING, 1)
    assert stage.env["BACKEND_CORS_ORIGINS"] == GOOD


class Full(InProcess):
    """For a while nothing can be kept."""

    is_full = True

    async def keep(self, run: str, service: str, written: Written) -> None:
        if self.is_full:
            raise OutOfReach("the disk is full")
        await super().keep(run, service, written)


async def test_nothing_is_written_before_what_it_replaces_is_kept(stage: Stage) -> None:
    run, undo = await stage.proposed(MEND[0]), Full()
    async with stage.keeper(undo=undo) as keeper:
        working = asyncio.create_task(keeper.carry_out(run.id))
        await asyncio.sleep(1.5)
        assert (stage.env["BACKEND_CORS_ORIGINS"], working.done()) == (BAD, False)
        undo.is_full = False
        done = await working
    assert done is not None
    assert (done.state, stage.env["BACKEND_CORS_ORIGINS"]) == (RunState.PROVING, GOOD)


async def test_two_keepers_at_once_and_only_one_acts(stage: Stage) -> None:
    run = await stage.proposed(*MEND)
    async with stage.keeper("one") as one, stage.keeper("two") as two:
        done = await asyncio.gather(one.carry_out(run.id), two.carry_out(run.id))
    assert sum(each is not None and each.state is RunState.PROVING for each in done) == 1
    assert len(stage.api_deploys) == 1


async def test_whose_lease_was_taken_does_nothing_more(stage: Stage) -> None:
    """It hangs before its deploy until its lease is over; the other goes on, and when it wakes it finds itself too late."""
    run = await stage.proposed(*MEND)
    now = stage.clock.now()
    assert await stage.steps.claim(run.id, "slow", now, 0.05)
    assert await stage.steps.intend(run.id, 0, "slow", now)
    await asyncio.sleep(0.1)
    async with stage.keeper("quick") as quick:
        done = await quick.carry_out(run.id)
    assert done is not None
    assert done.state is RunState.PROVING
    later = stage.clock.now()
    assert await stage.steps.intend(run.id, 1, "slow", later) is False
    assert await stage.steps.mark(run.id, 0, "slow", StepState.DONE, "", later) is False
    assert await stage.steps.advance(run.id, "slow", RunState.PROVED, later) is False
    assert len(stage.api_deploys) == 1


PLANS = {
    "mend": MEND,
    "deploy": (step(Do.DEPLOY, "deploy"), step(Do.FOLLOW, "watch the deploy")),
    "rollback": (step(Do.ROLLBACK, "roll back", deploy="@good"), step(Do.FOLLOW, "watch the deploy")),
    "restart": (step(Do.RESTART, "restart"),),
    "undo": (
        step(Do.PUT_BACK_VARIABLES, "put back", run="@before"), step(Do.ROLLBACK, "roll back", deploy="@good"),
        step(Do.FOLLOW, "watch the deploy"),
    ),
}  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize(
    ("plan", "deploys_at_write"),
    [("mend", False), ("mend", True), ("deploy", False), ("rollback", False), ("restart", False), ("undo", False)],
)
@pytest.mark.timeout(900)
async def test_killed_at_any_moment_it_ends_and_nothing_is_done_twice(
    stage: Stage, plan: str, deploys_at_write: bool
) -> None:
    stage.workspace.deploys_at_write = deploys_at_write
    dice, kills, n = random.Random(f"{plan} {deploys_at_write}"), 0, 0
    good = stage.workspace.deploys(stage.id)[0].id
    while kills < KILLS / 6:
        n += 1
        await stage.workspace.replace_env(stage.id, {"BACKEND_CORS_ORIGINS": BAD, "EXTRA_ORIGINS": BAD, "PORT": "8000"})
        if plan == "undo":
            await _ended_unproved(stage, await stage.proposed(MEND[0], id=f"rem-{n}-before"), dice)
        # Deploys of before are none of ours; the adapter tells them apart by a clock that knows whole seconds (see `guard`).
        await asyncio.sleep(2.1)
        before, happened = len(stage.api_deploys), stage.restarts()
        by_us = stage.asked_for(Trigger.API, Trigger.ROLLBACK)
        given = {Do.ROLLBACK.value: {"deploy": good}, Do.PUT_BACK_VARIABLES.value: {"run": f"rem-{n}-before"}}
        steps = tuple(replace(one, args=given.get(one.do, one.args)) for one in PLANS[plan])
        run = await stage.proposed(*steps, id=f"rem-{n}")
        kills += await _until_ended(stage, run, dice, longest_s=0.05 if plan == "restart" else 0.18)
        ended = await stage.steps.run(run.id)
        assert ended is not None
        assert (ended.state, {one.state for one in ended.steps}) == (RunState.PROVING, {StepState.DONE}), ended
        # Where the platform itself deploys at each write, it does so for each of two variables, and we for none.
        most = 2 if deploys_at_write else 1
        assert (1 <= len(stage.api_deploys) - before <= most) is (plan != "restart")
        assert stage.asked_for(Trigger.API, Trigger.ROLLBACK) - by_us == (plan != "restart" and not deploys_at_write)
        assert stage.restarts() - happened == (1 if plan == "restart" else 0)
        if plan == "mend":
            assert stage.env == {"BACKEND_CORS_ORIGINS": GOOD, "EXTRA_ORIGINS": GOOD, "PORT": "8000"}
        if plan == "undo":
            assert stage.env == {"BACKEND_CORS_ORIGINS": BAD, "EXTRA_ORIGINS": BAD, "PORT": "8000"}
        assert await stage.steps.claim(run.id, "keeper", stage.clock.now(), 30)
        assert await stage.steps.advance(run.id, "keeper", RunState.PROVED, stage.clock.now())


async def _ended_unproved(stage: Stage, run: RemedyRun, dice: random.Random) -> None:
    """A remedy whose writing was killed at random moments, too, and that did not help."""
    await _until_ended(stage, run, dice, longest_s=0.05)
    assert stage.env["BACKEND_CORS_ORIGINS"] == stage.env["EXTRA_ORIGINS"] == GOOD
    assert await stage.steps.claim(run.id, "keeper", stage.clock.now(), 30)
    assert await stage.steps.advance(run.id, "keeper", RunState.UNPROVED, stage.clock.now())


async def _until_ended(stage: Stage, run: RemedyRun, dice: random.Random, longest_s: float) -> int:
    """Kill whoever is at it, again and again, each time somewhere else; how often that was."""
    kills = 0
    while True:
        async with stage.keeper() as keeper:
            working = asyncio.create_task(keeper.carry_out(run.id))
            done, _ = await asyncio.wait((working,), timeout=None if kills >= 4 else dice.uniform(0.0, longest_s))
            if done:
                assert working.result() is not None
                return kills
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            kills += 1
            for key in ("BACKEND_CORS_ORIGINS", "EXTRA_ORIGINS"):
                assert stage.env[key] in (BAD, GOOD), "half-written"
