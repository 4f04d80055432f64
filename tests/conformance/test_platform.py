"""What any platform promises (`ports.Platform`), held against the simulated one: over dictionaries, and over real processes."""

import asyncio
import inspect
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from everwake.errors import Finding, Misused, OutOfReach
from everwake.model import DeployRecord, PlatformLine
from everwake.platforms import _intentions
from everwake.platforms._registry import platforms
from everwake.platforms.render import Render
from everwake.ports import Platform
from tests.conformance.conftest import Scene


def intend(id: str = "test") -> str:
    return _intentions.intend(id, datetime.now(UTC))


async def ended(platform: Render, id: str, deploy_id: str) -> list[DeployRecord]:
    """All that `follow` tells."""
    async with asyncio.timeout(30):
        return [each async for each in platform.follow(id, deploy_id)]


@pytest.mark.parametrize("name", sorted(platforms()))
def test_every_declared_verb_is_one_and_every_verb_is_declared(name: str) -> None:
    promised = {each for each, _ in inspect.getmembers(Platform, inspect.isfunction) if not each.startswith("_")}
    kind = platforms()[name]
    assert kind.verbs == promised
    assert all(callable(getattr(Render, each)) for each in kind.verbs)


# --- services -----------------------------------------------------------------------------------------------------------


async def test_a_service_is_found_by_id_by_name_and_by_host(scene: Scene) -> None:
    platform = await scene.adapter()
    (only,) = await platform.services()
    address = only.url.partition("//")[2]
    found = [
        await platform.find(id=scene.id, name="whatever", host=None),
        await platform.find(id=None, name="chatbot", host=None),
        await platform.find(id=None, name="called otherwise here", host=address),
        await platform.find(id=None, name="", host=only.url + "/health"),
    ]
    assert {each.id for each in found} == {scene.id}
    assert (only.name, only.type, only.plan, only.is_suspended) == ("chatbot", "web_service", "free", False)
    assert (only.health_path, only.instances) == ("/health", None)


async def test_what_is_not_there_is_a_finding_that_says_so(scene: Scene) -> None:
    platform = await scene.adapter()
    for asked in (
        {"id": "srv-none", "name": ""},
        {"id": None, "name": "nobody"},
        {"id": None, "name": "x", "host": "no.example"},
    ):
        with pytest.raises(Finding, match=r"srv-none|nobody|no\.example"):
            await platform.find(**{"host": None, **asked})  # type: ignore[arg-type]
    with pytest.raises(Finding):
        await platform.service("srv-none")


async def test_a_service_tells_its_instances(scene: Scene) -> None:
    found = await (await scene.adapter()).service(scene.id)
    assert found.instances is not None
    assert [each[: len(scene.id)] for each in found.instances] == [scene.id]


async def test_suspended_by_its_owner_and_resumed(scene: Scene) -> None:
    platform = await scene.adapter()
    await platform.suspend(scene.id)
    suspended = await platform.service(scene.id)
    assert suspended.suspenders == ("user",)
    async with asyncio.timeout(20):
        while suspended.instances:  # they are given time to stop
            await asyncio.sleep(0.05)
            suspended = await platform.service(scene.id)
    assert suspended.instances == ()
    await platform.resume(scene.id)
    assert (await platform.service(scene.id)).suspenders == ()


async def test_a_restart_changes_no_deploy(scene: Scene) -> None:
    platform, before = await scene.adapter(), scene.deploys()
    await platform.restart(scene.id)
    assert scene.deploys() == before


# --- deploys ------------------------------------------------------------------------------------------------------------


async def test_a_deploy_is_followed_to_live(scene: Scene) -> None:
    platform = await scene.adapter()
    made = await platform.deploy(scene.id, intention=intend())
    told = await ended(platform, scene.id, made.id)
    statuses = [each.status for each in told]
    assert statuses[-1] == "live"
    assert len(set(statuses)) == len(statuses), "each change once"
    assert (told[-1].trigger, told[-1].is_running, told[-1].has_failed) == ("api", False, False)
    assert (await platform.deploys(scene.id))[0].id == made.id


async def test_one_intention_is_deployed_once_by_whoever_comes_back_with_it(scene: Scene) -> None:
    first, words = await scene.adapter(), intend()
    made = await first.deploy(scene.id, intention=words)
    again = await first.deploy(scene.id, intention=words)
    after_a_crash = await (await scene.adapter()).deploy(scene.id, intention=words)
    assert {made.id, again.id, after_a_crash.id} == {made.id}
    assert scene.deploys() == 2, "the first, and this one"


async def test_one_intention_is_deployed_once_by_two_at_the_same_time(scene: Scene) -> None:
    platform, words = await scene.adapter(), intend()
    made = await asyncio.gather(*(platform.deploy(scene.id, intention=words) for _ in range(5)))
    assert len({each.id for each in made}) == 1
    assert scene.deploys() == 2


async def test_an_intention_without_a_time_is_kept_apart_while_the_process_lives(scene: Scene) -> None:
    platform = await scene.adapter()
    one = await platform.deploy(scene.id, intention="one")
    same = await platform.deploy(scene.id, intention="one")
    two = await platform.deploy(scene.id, intention="two")
    assert one.id == same.id != two.id


async def test_a_deploy_that_was_there_before_is_not_taken_for_it(scene: Scene) -> None:
    earlier = await scene.workspace.create_deploy(scene.id)
    await asyncio.sleep(2.1)  # a Date header has whole seconds, and uvicorn's is up to one old
    made = await (await scene.adapter()).deploy(scene.id, intention=intend())
    assert made.id != earlier.id


async def test_a_deploy_that_a_variable_triggered_is_adopted(scene_that_deploys_on_write: Scene) -> None:
    scene, words = scene_that_deploys_on_write, intend()
    platform = await scene.adapter()
    await platform.set_variables(scene.id, {"A": "1", "B": "2"})
    written = scene.deploys()
    made = await platform.deploy(scene.id, intention=words)
    after_a_crash = await (await scene.adapter()).deploy(scene.id, intention=words)
    assert (made.trigger, scene.deploys(), after_a_crash.id) == ("service_updated", written, made.id)
    assert made.id == (await platform.deploys(scene.id))[0].id, "the last of the two, which has both"


async def test_what_is_written_already_is_not_written_again(scene_that_deploys_on_write: Scene) -> None:
    scene = scene_that_deploys_on_write
    platform, before = await scene.adapter(), scene.deploys()
    await platform.set_variables(scene.id, {"PORT": "8000", "NEVER_THERE": None})
    assert scene.deploys() == before


async def test_a_deploy_can_be_canceled(scene: Scene) -> None:
    platform = await scene.adapter()
    if hasattr(scene.workspace, "step_s"):
        scene.workspace.step_s = 60.0
    made = await platform.deploy(scene.id, intention=intend())
    canceled = await platform.cancel(scene.id, made.id)
    assert canceled.status == "canceled"
    assert (await ended(platform, scene.id, made.id))[-1].has_failed


async def test_a_rollback_deploys_what_was_there_before(scene: Scene) -> None:
    platform, words = await scene.adapter(), intend("rollback")
    first = (await platform.deploys(scene.id))[-1]
    second = await platform.deploy(scene.id, intention=intend())
    await ended(platform, scene.id, second.id)
    back = await platform.rollback(scene.id, first.id, intention=words)
    again = await (await scene.adapter()).rollback(scene.id, first.id, intention=words)
    assert (back.trigger, back.commit_id, again.id) == ("rollback", first.commit_id, back.id)
    assert (await ended(platform, scene.id, back.id))[-1].status == "live"
    assert scene.deploys() == 3


async def test_what_the_platform_says_no_to_is_a_finding(scene: Scene) -> None:
    platform = await scene.adapter()
    await platform.suspend(scene.id)
    with pytest.raises(Finding) as no:
        await platform.deploy(scene.id, intention=intend())
    assert not isinstance(no.value, OutOfReach)
    assert "suspended" in no.value.message.lower()


# --- variables ----------------------------------------------------------------------------------------------------------


async def test_variables_are_written_read_back_and_leave_the_others(scene: Scene) -> None:
    platform, before = await scene.adapter(), scene.deploys()
    odd = "quotes \" and ' , commas, = equals, a line\nbreak, ünïcode, %2F and \\"
    await platform.set_variables(scene.id, {"ODD": odd, "EMPTY": "", "A.B-C": "x"})
    found = dict(await platform.variables(scene.id))
    assert {key: found[key] for key in ("PORT", "ODD", "EMPTY", "A.B-C")} == {
        "PORT": "8000", "ODD": odd, "EMPTY": "", "A.B-C": "x",
    }  # fmt: skip
    await platform.set_variables(scene.id, {"ODD": None, "EMPTY": None, "NEVER_THERE": None})
    found = dict(await platform.variables(scene.id))
    assert ("ODD" in found, "EMPTY" in found, found["PORT"]) == (False, False, "8000")
    assert scene.deploys() == before, "a write deploys nothing"


async def test_env_groups_stand_beneath_a_services_own_variables(scene: Scene) -> None:
    platform, owner = await scene.adapter(), scene.workspace.service(scene.id).owner_id
    await scene.workspace.create_env_group(owner, "shared", {"PORT": "1", "LOG_LEVEL": "info"}, [scene.id])
    await scene.workspace.create_env_group(owner, "not linked", {"OTHER": "1"})
    found = dict(await platform.variables(scene.id))
    assert (found["PORT"], found["LOG_LEVEL"], "OTHER" in found) == ("8000", "info", False)
    with pytest.raises(Finding, match="LOG_LEVEL") as stuck:
        await platform.set_variables(scene.id, {"LOG_LEVEL": None})
    assert "group" in stuck.value.message


async def test_many_variables_are_all_read(scene: Scene) -> None:
    wanted = {f"KEY_{n:03d}": str(n) for n in range(230)}
    await scene.workspace.replace_env(scene.id, wanted)
    assert dict(await (await scene.adapter()).variables(scene.id)) == wanted


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "1A", "A B", "A=B", "ü"])
async def test_a_name_that_is_none_is_not_sent(fake: Scene, key: str) -> None:
    platform = await fake.adapter()
    with pytest.raises(Misused):
        await platform.set_variables(fake.id, {key: "secret-value"})
    assert fake.api.troubled.asked("PUT|DELETE") == 0


# --- what happened ------------------------------------------------------------------------------------------------------


async def test_events_are_told_newest_first(scene: Scene) -> None:
    platform = await scene.adapter()
    made = await platform.deploy(scene.id, intention=intend())
    await ended(platform, scene.id, made.id)
    found = await platform.events(scene.id)
    assert [each.at for each in found] == sorted((each.at for each in found), reverse=True)
    assert {"deploy_started", "deploy_ended"} <= {each.type for each in found}
    assert any(each.details.get("deployId") == made.id for each in found)
    assert await platform.events(scene.id, datetime.now(UTC) + timedelta(minutes=5)) == []
    assert len(await platform.events(scene.id, most=1)) == 1


async def test_logs_of_a_window_come_oldest_first_each_once(scene: Scene) -> None:
    platform, began = await scene.adapter(), datetime.now(UTC)
    for n in range(250):
        await scene.say(f"line {n}")
    found = [each.text for each in await platform.logs(scene.id, began) if each.text.startswith("line ")]
    assert found == [f"line {n}" for n in range(250)]
    until = datetime.now(UTC)
    window = await platform.logs(scene.id, began, until)
    assert list(await platform.logs(scene.id, began, until, most=10)) == list(window[-10:])
    assert await platform.logs(scene.id, began - timedelta(days=2), began - timedelta(days=1)) == []


async def test_new_lines_are_followed(scene: Scene) -> None:
    platform = await scene.adapter()
    seen: asyncio.Queue[PlatformLine] = asyncio.Queue()

    async def follow() -> None:
        async with aclosing(platform.follow_logs(scene.id)) as lines:  # type: ignore[type-var]
            async for each in lines:
                seen.put_nowait(each)

    task = asyncio.create_task(follow())
    try:
        told = []
        async with asyncio.timeout(20):
            await _upgraded(scene)
            for n in range(3):
                await scene.say(f"new {n}")
            while len(told) < 3:
                line = await seen.get()
                told += [line.text] if line.text.startswith("new ") else []
        assert told == ["new 0", "new 1", "new 2"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _upgraded(scene: Scene, times: int = 1) -> None:
    async with asyncio.timeout(10):
        while scene.api.troubled.asked("^WS ") < times:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
