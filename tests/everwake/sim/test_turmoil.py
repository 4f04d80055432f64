"""Everything at once, in any order: what stands afterwards is in order."""

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from everwake.sim.records import DeployStatus
from everwake.sim.verbs import Refused
from tests.everwake.sim.rehearsal import QUICK, Rehearsal, rehearsal, until

ROUNDS = 25 if "SOAK" not in os.environ else 25 * int(os.environ["SOAK"])


async def one_thing(town: Rehearsal, ids: list[str], random: Random) -> None:
    one, platform = random.choice(ids), town.platform
    what = random.choice(
        ["deploy", "deploy", "bad", "suspend", "resume", "restart", "sleep", "ask", "ask", "cancel", "rollback", "kill"]
    )
    with suppress(Refused):
        if what == "deploy":
            await platform.create_deploy(one)
        elif what == "bad":
            service = platform.service(one)
            deploy = await platform.create_deploy(one)
            platform.books.put(replace(deploy, env={**service.env, "BAD": "1"}))
        elif what == "suspend":
            await platform.suspend(one)
        elif what == "resume":
            await platform.resume(one)
        elif what == "restart":
            await platform.restart(one)
        elif what == "sleep" and platform.books.standing(one).live and not platform.service(one).suspenders:
            platform.hosted(one).sleep()
        elif what == "ask":
            await platform.route(one, wants_html=random.random() < 0.5)
        elif what == "cancel":
            await platform.cancel_deploy(one, platform.deploys(one)[0].id)
        elif what == "rollback":
            await platform.rollback(one, random.choice(platform.deploys(one)).id)
        elif what == "kill" and (box := platform.hosted(one).box) is not None:
            await box.kill()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.timeout(120 + 10 * ROUNDS)
async def test_after_any_turmoil_each_service_has_one_instance_and_one_live_deploy(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    async with rehearsal(tmp_path, replace(QUICK, wake_gives_up_s=1.0)) as town:
        ids = [await town.service(name) for name in ("one", "two")]
        for _ in range(ROUNDS):
            things = [asyncio.create_task(one_thing(town, ids, random)) for _ in range(random.randint(1, 4))]
            await asyncio.wait(things, timeout=random.uniform(0.0, 0.6))
            for each in things:
                if random.random() < 0.3:
                    each.cancel()  # a client that went away
            await asyncio.wait(things, timeout=20)
            for each in things:
                assert each.cancelled() or each.exception() is None
        for one in ids:
            await town.platform.resume(one)
            await town.platform.create_deploy(one)
        for one in ids:
            deploy = await town.live(one)
            assert (await town.ask(one))[0] == 200
            await until(lambda one=one: len(town.platform.hosted(one).limited) == 1)  # type: ignore[misc]
            lives = [each for each in town.platform.deploys(one) if each.status is DeployStatus.LIVE]
            assert [each.id for each in lives] == [deploy.id] == [town.platform.books.standing(one).live]
            assert not [each for each in town.platform.deploys(one) if each.status.is_running]
            assert [each.deploy_id for each in town.platform.instances(one)] == [deploy.id]
