"""Deploys on the simulated platform, with real processes: steps, gate, rollover, superseded, failed, rolled back."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from everwake.sim.records import DeployStatus, Trigger
from everwake.sim.verbs import Refused
from tests.everwake.sim.rehearsal import QUICK, Rehearsal, rehearsal, until


async def instance_of(town: Rehearsal, service_id: str) -> str:
    status, body = await town.ask(service_id)
    assert status == 200
    return str(json.loads(body)["instance"])


async def test_a_new_service_is_deployed_and_answers(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        assert await instance_of(town, one) == town.platform.instances(one)[0].id
        assert town.event_types(one) == [
            "deploy_started", "build_started", "build_ended", "deploy_ended", "server_available"
        ]  # fmt: skip
        assert "==> Your service is live" in town.log(one)
        assert town.events(one, "deploy_started")[0]["trigger"]["firstBuild"] is True  # type: ignore[index]


async def test_an_instance_has_the_platforms_variables_and_a_port_and_folder_of_its_own(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service(env={"COLOUR": "green", "PORT": "8000", "HOST": "0.0.0.0"})
        _, body = await town.ask(one, "/env")
        env, instance = json.loads(body), town.platform.instances(one)[0]
        assert (env["RENDER"], env["RENDER_SERVICE_ID"], env["RENDER_INSTANCE_ID"]) == ("true", one, instance.id)
        assert (env["COLOUR"], env["PORT"], env["HOST"]) == ("green", str(instance.port), "127.0.0.1")
        assert env["RENDER_EXTERNAL_URL"] == town.platform.url(one)
        folder = tmp_path / "instances" / instance.id
        assert folder.is_dir()
        await town.platform.suspend(one)
        await until(lambda: not folder.exists())


async def test_traffic_moves_to_the_new_instance_and_the_old_one_shuts_down_later(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        old = await instance_of(town, one)
        await town.platform.create_deploy(one)
        await town.live(one)
        new = await instance_of(town, one)
        assert new != old
        assert "Shutting down" not in town.log(one, old), "it drains first"
        assert {each.id for each in town.platform.instances(one)} == {old, new}
        await until(lambda: "Shutting down" in town.log(one, old))
        await until(lambda: [each.id for each in town.platform.instances(one)] == [new])
        assert [each.status for each in town.platform.deploys(one)] == [DeployStatus.LIVE, DeployStatus.DEACTIVATED]
        assert "server_failed" not in town.event_types(one)


async def test_one_that_ignores_sigterm_is_killed_after_its_delay(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service("one", "stubborn", max_shutdown_delay_s=1.0)
        await town.platform.suspend(one)
        assert town.platform.instances(one)
        await until(lambda: not town.platform.instances(one), 5)


async def test_a_failed_deploy_leaves_the_old_one_serving(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        old = await instance_of(town, one)
        await town.commit(one, "dies=7")
        failed = await town.ended(one)
        assert failed.status is DeployStatus.UPDATE_FAILED
        assert await instance_of(town, one) == old
        assert town.events(one, "server_failed")[-1]["reason"] == {"evicted": False, "nonZeroExit": 7}
        ended = town.events(one, "deploy_ended")[-1]
        assert (ended["deployId"], ended["deployStatus"]) == (failed.id, "failed")
        assert ended["reason"] == {"failure": {"evicted": False, "nonZeroExit": 7}}
        assert town.log(one).count("==> Exited with status 7") == QUICK.start_tries


async def test_a_build_that_fails_ends_the_deploy_and_says_what_it_printed(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        await town.commit(one, build_command="echo no matching distribution >&2; exit 4")
        failed = await town.ended(one)
        assert failed.status is DeployStatus.BUILD_FAILED
        assert "no matching distribution" in town.log(one)
        assert town.events(one, "build_ended")[-1]["buildStatus"] == "failed"
        assert (await town.ask(one))[0] == 200


async def test_a_pre_deploy_command_that_fails_ends_the_deploy(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service(pre_deploy_command="exit 3", live=False)
        assert (await town.ended(one)).status is DeployStatus.PRE_DEPLOY_FAILED
        assert town.events(one, "pre_deploy_ended")[0]["preDeployStatus"] == "failed"
        assert await town.ask(one) == (502, "no-deploy")


async def test_a_newer_deploy_cancels_the_one_that_runs(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        older = await town.commit(one, "late=30")
        await until(lambda: town.platform.deploy(one, older.id).status is DeployStatus.UPDATING)
        newer = await town.commit(one)
        assert town.platform.deploy(one, older.id).status is DeployStatus.CANCELED
        assert (await town.live(one)).id == newer.id
        canceled = next(each for each in town.events(one, "deploy_ended") if each["deployId"] == older.id)
        assert (canceled["deployStatus"], canceled["reason"]) == ("canceled", {"newDeploy": {"id": newer.id}})


async def test_ten_deploys_at_once_end_with_the_newest_live_and_one_instance(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        made = await asyncio.gather(*(town.platform.create_deploy(one) for _ in range(10)))
        live = await town.live(one)
        assert live.id == made[-1].id
        statuses = [town.platform.deploy(one, each.id).status for each in made[:-1]]
        assert set(statuses) == {DeployStatus.CANCELED}
        await until(lambda: len(town.platform.instances(one)) == 1)


async def test_a_canceled_deploy_leaves_nothing_of_its_instance(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        kept = await instance_of(town, one)
        deploy = await town.commit(one, "late=30")
        await until(lambda: town.platform.deploy(one, deploy.id).status is DeployStatus.UPDATING)
        assert (await town.platform.cancel_deploy(one, deploy.id)).status is DeployStatus.CANCELED
        assert [each.id for each in town.platform.instances(one)] == [kept]
        with pytest.raises(Refused) as refused:
            await town.platform.cancel_deploy(one, deploy.id)
        assert refused.value.status == 409


async def test_a_service_that_listens_elsewhere_is_not_found_and_the_deploy_times_out(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, replace(QUICK, start_window_s=1.5)) as town:
        one = await town.service("one", "elsewhere", live=False)
        assert (await town.ended(one)).status is DeployStatus.UPDATE_FAILED
        log = town.log(one)
        assert "==> No open ports detected, continuing to scan..." in log
        assert "==> Port scan timeout reached, no open ports detected" in log
        reason = town.events(one, "server_failed")[0]["reason"]
        assert reason == {"evicted": False, "timedOutSeconds": 900, "timedOutReason": "no open ports detected"}


async def test_the_health_path_is_the_gate_of_a_deploy(tmp_path: Path) -> None:
    async with rehearsal(tmp_path, replace(QUICK, start_window_s=1.5)) as town:
        one = await town.service("one", "sick", live=False)
        assert (await town.ended(one)).status is DeployStatus.UPDATE_FAILED
        assert any("Detected service running on port" in line for line in town.log(one))
        assert await town.ask(one) == (502, "no-deploy")


async def test_a_rollback_brings_back_the_commit_and_the_variables_of_that_deploy_without_building(
    tmp_path: Path,
) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service(env={"COLOUR": "green"})
        good = town.platform.deploys(one)[0]
        await town.platform.set_env(one, "COLOUR", "red")
        await town.commit(one, "late=0.2")
        await town.live(one)
        deploy = await town.platform.rollback(one, good.id)
        assert (deploy.trigger, deploy.commit) == (Trigger.ROLLBACK, good.commit)
        await town.live(one)
        assert json.loads((await town.ask(one, "/env"))[1])["COLOUR"] == "green"
        assert town.platform.env(one)["COLOUR"] == "red", "what the owner wrote stays as it is"
        assert town.event_types(one).count("build_started") == 2
        assert town.events(one, "deploy_started")[-1]["trigger"]["rollbackTargetDeployId"] == good.id  # type: ignore[index]


async def test_only_what_was_live_can_be_rolled_back_to(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service("one", "dies=1", live=False)
        failed = await town.ended(one)
        with pytest.raises(Refused) as refused:
            await town.platform.rollback(one, failed.id)
        assert refused.value.status == 400


async def test_a_write_of_variables_deploys_only_where_the_platform_is_told_to(tmp_path: Path) -> None:
    async with rehearsal(tmp_path / "a") as town:
        one = await town.service()
        await town.platform.set_env(one, "A", "1")
        assert len(town.platform.deploys(one)) == 1
    async with rehearsal(tmp_path / "b", deploys_on_write=True) as town:
        one = await town.service()
        await town.platform.set_env(one, "A", "1")
        assert town.platform.deploys(one)[0].trigger is Trigger.UPDATED
        await town.live(one)
        assert json.loads((await town.ask(one, "/env"))[1])["A"] == "1"


async def test_a_group_of_variables_reaches_its_services_and_a_services_own_wins(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service(env={"OWN": "mine"})
        group = await town.platform.create_env_group(town.owner.id, "shared", {"OWN": "theirs", "MORE": "1"}, [one])
        await town.platform.create_deploy(one)
        deploy = await town.live(one)
        assert dict(deploy.env) == {"OWN": "mine", "MORE": "1"}
        assert [each.id for each in town.platform.linked(group.id)] == [one]
        await town.platform.delete_env_group(group.id)
        assert town.platform.service(one).groups == ()
        await town.platform.create_deploy(one)
        assert dict((await town.live(one)).env) == {"OWN": "mine"}


async def test_a_deploy_goes_on_when_whoever_asked_for_it_has_gone_away(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as town:
        one = await town.service()
        await town.commit(one, "late=30")
        await until(lambda: town.platform.deploys(one)[0].status is DeployStatus.UPDATING)
        good = town.platform.service(one).commits[-1].id
        asking = asyncio.create_task(town.platform.create_deploy(one, commit_id=good))
        await until(lambda: len(town.platform.deploys(one)) == 3)
        asking.cancel()
        assert (await town.live(one)).commit.id == good
