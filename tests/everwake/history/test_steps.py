"""Remedies and their steps, durably: the history's store and the one of tests keep the same promises."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from everwake.history import History
from everwake.history.steps import StepStore
from everwake.model import Criterion, Proof, RemedyRun, RunState, StepState
from everwake.ports import Notice, Steps, Switch
from everwake.remedy.steps import Do, step
from tests.support.fake_clock import START, FakeClock
from tests.support.memory_steps import MemorySteps

LEASE_S = 30.0


def later(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def a_run(id: str = "rem-1", service: str = "chatbot", state: RunState = RunState.RUNNING) -> RemedyRun:
    return RemedyRun(
        id=id, service=service, incident="inc-1", playbook="deploy", cause="no_live_deploy", asked_at=START, state=state,
        steps=(step(Do.DEPLOY, "deploy"), step(Do.FOLLOW, "watch the deploy")), about="c1", why="so", costs="one deploy",
        proved_by="it answers", target="srv-1", back_to="dep-0", deploys=1,
    )  # fmt: skip


@pytest.fixture(params=["history", "memory"])
async def steps(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Steps]:
    if request.param == "memory":
        yield MemorySteps()
        return
    history = History(tmp_path / "history.sqlite3", FakeClock())
    await asyncio.to_thread(history.open)
    yield StepStore(history)
    await asyncio.to_thread(history.close)


async def test_what_is_proposed_is_read_back_as_it_was(steps: Steps) -> None:
    run = a_run()
    assert await steps.propose(run)
    assert await steps.run(run.id) == run
    assert list(await steps.open()) == [run]
    assert await steps.run("rem-nothing") is None


async def test_of_one_service_only_one_remedy_is_open(steps: Steps) -> None:
    assert await steps.propose(a_run())
    assert not await steps.propose(a_run())
    assert not await steps.propose(a_run("rem-2"))
    assert await steps.propose(a_run("rem-3", "backend"))
    assert await steps.claim("rem-1", "one", START, LEASE_S)
    assert await steps.advance("rem-1", "one", RunState.PROVED, START)
    assert await steps.propose(a_run("rem-2"))


async def test_a_lease_is_one_holders_until_it_ends_or_is_let_go(steps: Steps) -> None:
    await steps.propose(a_run())
    assert await steps.claim("rem-1", "one", START, LEASE_S)
    assert await steps.claim("rem-1", "two", START + later(29), LEASE_S) is None
    assert await steps.claim("rem-1", "one", START + later(29), LEASE_S)
    assert await steps.claim("rem-1", "two", START + later(58), LEASE_S) is None
    await steps.release("rem-1", "two")
    assert await steps.claim("rem-1", "two", START + later(58), LEASE_S) is None
    assert await steps.claim("rem-1", "two", START + later(60), LEASE_S)
    await steps.release("rem-1", "two")
    assert await steps.claim("rem-1", "one", START + later(60), LEASE_S)


async def test_only_the_holder_intends_marks_and_ends(steps: Steps) -> None:
    await steps.propose(a_run())
    assert not await steps.intend("rem-1", 0, "one", START)
    await steps.claim("rem-1", "one", START, LEASE_S)
    assert not await steps.mark("rem-1", 0, "one", StepState.DONE, "", START)  # not intended yet
    assert await steps.intend("rem-1", 0, "one", START)
    assert await steps.intend("rem-1", 0, "one", START + later(1))  # again, after a crash
    assert not await steps.intend("rem-1", 0, "two", START)
    assert not await steps.mark("rem-1", 0, "two", StepState.DONE, "", START)
    late = START + later(31)
    assert not await steps.mark("rem-1", 0, "one", StepState.DONE, "", late)
    assert await steps.mark("rem-1", 0, "one", StepState.DONE, "dep-1", START + later(2))
    assert not await steps.intend("rem-1", 0, "one", START)  # done is done
    assert not await steps.advance("rem-1", "one", RunState.PROVED, late)
    found = await steps.run("rem-1")
    assert found is not None
    assert (found.steps[0].state, found.steps[0].said, found.steps[0].at) == (StepState.DONE, "dep-1", START)
    assert found.next_step == 1


async def test_what_waits_for_a_yes_is_begun_once_or_dropped(steps: Steps) -> None:
    await steps.propose(a_run(state=RunState.ASKED))
    assert await steps.claim("rem-1", "one", START, LEASE_S) is None
    assert await steps.begin("rem-1", "ada", START)
    assert not await steps.begin("rem-1", "eve", START)
    found = await steps.run("rem-1")
    assert found is not None
    assert (found.by, found.state, found.began_at) == ("ada", RunState.RUNNING, START)
    await steps.propose(a_run("rem-2", "backend", RunState.ASKED))
    assert await steps.advance("rem-2", "anybody", RunState.DROPPED, START, "it is over")
    assert not await steps.begin("rem-2", "ada", START)


async def test_an_end_its_proof_and_its_message_are_one(steps: Steps) -> None:
    proof = Proof(criteria=(Criterion(name="up", met=True, said="3 good looks"),))
    notice = Notice(key="k", service="chatbot", incident=None, opened=False, title="t", body="b", at=START)
    await steps.propose(a_run())
    await steps.claim("rem-1", "one", START, LEASE_S)
    assert await steps.advance("rem-1", "one", RunState.PROVED, START + later(5), "", proof, [notice])
    found = await steps.run("rem-1")
    assert found is not None
    assert (found.proof, found.ended_at, found.state) == (proof, START + later(5), RunState.PROVED)
    assert list(await steps.open()) == []
    await steps.told([notice])


async def test_what_the_seven_criteria_have_shown_is_kept_once_and_only_of_what_is_proved(steps: Steps) -> None:
    soak = Proof(criteria=(Criterion(name="uptime", met=True, said="up for 15 min"),))
    notice = Notice(key="rem-1:soak", service="chatbot", incident="inc-1", opened=False, title="t", body="b", at=START)
    await steps.propose(a_run())
    assert not await steps.soaked("rem-1", soak, (notice,))
    await steps.claim("rem-1", "keeper-1", START, LEASE_S)
    await steps.advance("rem-1", "keeper-1", RunState.PROVED, START)
    assert await steps.soaked("rem-1", soak, (notice,))
    assert not await steps.soaked("rem-1", Proof(), (notice,))
    known = await steps.run("rem-1")
    assert known is not None
    assert known.soak == soak


async def test_the_past_is_told_from_a_time_on_and_by_service(steps: Steps) -> None:
    for n, service in enumerate(("chatbot", "backend", "redis")):
        run = replace(a_run(f"rem-{n}", service), asked_at=START + later(n))
        assert await steps.propose(run)
    assert [one.id for one in await steps.since(START + later(1))] == ["rem-1", "rem-2"]
    assert [one.id for one in await steps.since(START, "backend")] == ["rem-1"]


async def test_the_switch_is_remembered_with_who_put_it(steps: Steps) -> None:
    assert await steps.switch() == Switch()
    assert await steps.set_switch(Switch(is_stopped=True, by="ada", at=START))
    assert not await steps.set_switch(Switch(is_stopped=True, by="eve", at=START))
    assert (await steps.switch()).by in ("ada", "eve")
    assert await steps.set_switch(Switch(by="ada", at=START))
    assert not (await steps.switch()).is_stopped


async def test_an_update_keeps_what_is_pending_and_no_secret_reaches_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    for n in range(2):
        history = History(file, FakeClock())
        await asyncio.to_thread(history.open)
        store = StepStore(history)
        if n == 0:
            key = "sk" + "-proj-" + "a1B2" * 10
            await store.propose(replace(a_run(), why=f"OPENAI_API_KEY={key} is refused"))
            await store.claim("rem-1", "one", START, LEASE_S)
            await store.intend("rem-1", 0, "one", START)
        else:
            found = await store.run("rem-1")
            assert found is not None
            assert (found.state, found.steps[0].state) == (RunState.RUNNING, StepState.INTENDED)
        await asyncio.to_thread(history.close)
    assert key.encode() not in b"".join(one.read_bytes() for one in tmp_path.iterdir())
