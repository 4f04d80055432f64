"""The whole simulator from a blueprint: edge, API and engine together; restarts, moved ports, changed files, sleep and wake."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from everwake.errors import Misused
from everwake.sim.processes.group import Group
from everwake.sim.records import DeployStatus, Service, Trigger
from everwake.sim.simulator import Asked, Simulator
from tests.everwake.sim.rehearsal import QUICK, command, no_task_fails, until
from tests.everwake.sim.test_drills import Silent
from tests.support.processes import free_port

TEXT = """
services:
  - type: web
    name: api
    plan: free
    startCommand: {api}
    healthCheckPath: /health
    envVars:
      - {{key: COLOUR, value: green}}
      - {{key: TOKEN, sync: false}}
      - {{key: SECRET, generateValue: true}}
      - {{key: WORKER_URL, fromService: {{type: web, name: front, envVarKey: RENDER_EXTERNAL_URL}}}}
      - fromGroup: shared
  - type: web
    name: front
    plan: free
    startCommand: {front}
envVarGroups:
  - name: shared
    envVars: [{{key: ZONE, value: eu}}]
"""


def blueprint(folder: Path, text: str = TEXT) -> Path:
    file = folder / "render.yaml"
    file.write_text(text.format(api=command(), front=command()), encoding="utf-8")
    return file


@asynccontextmanager
async def simulated(asked: Asked) -> AsyncIterator[Simulator]:
    with Group() as group, no_task_fails():
        async with Simulator(asked, group, Silent()) as simulator:
            yield simulator


def asking(folder: Path, **more: object) -> Asked:
    asked = Asked(
        data=folder / "data", blueprint=blueprint(folder), port=free_port(), surroundings={"PATH": os.environ["PATH"]},
        real_rules=QUICK,
    )  # fmt: skip
    return replace(asked, **more)  # type: ignore[arg-type]


def named(simulator: Simulator, name: str) -> Service:
    return next(each for each in simulator.platform.services(simulator.owner.id) if each.name == name)


async def variables(simulator: Simulator, name: str) -> dict[str, str]:
    """What its instance has, asked through the edge."""
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.get(
            simulator.document["services"][name]["url"] + "/env", headers={"Accept": "application/json"}
        )
        return dict(answer.json())


async def test_everything_that_the_document_names_answers(tmp_path: Path) -> None:
    async with (
        simulated(asking(tmp_path, given={"TOKEN": "told"})) as simulator,
        httpx.AsyncClient(timeout=30) as client,
    ):
        await asyncio.wait_for(simulator.settled(), 60)
        document = simulator.document
        env = await variables(simulator, "api")
        assert (env["COLOUR"], env["TOKEN"], env["ZONE"]) == ("green", "told", "eu")
        assert len(env["SECRET"]) > 20
        assert env["WORKER_URL"] == document["services"]["front"]["url"]
        bearer = {"Authorization": f"Bearer {document['platform']['key']}"}
        listed = await client.get(document["platform"]["url"] + "/services", headers=bearer)
        assert {each["service"]["id"] for each in listed.json()} == {
            each["id"] for each in document["services"].values()
        }
        port = document["edge"].rpartition(":")[2]
        by_host = await client.get(document["edge"] + "/", headers={"Host": f"api.localhost:{port}"})
        assert by_host.json()["instance"].startswith(document["services"]["api"]["id"])
        nobody = await client.get(document["edge"] + "/", headers={"Host": f"apii.localhost:{port}"})
        assert (nobody.status_code, nobody.headers["x-render-routing"]) == (404, "no-server")


async def test_what_nobody_gave_a_value_is_said(tmp_path: Path) -> None:
    async with simulated(asking(tmp_path)) as simulator:
        assert [(each.where, each.key) for each in simulator.missing] == [("api", "TOKEN")]


async def test_started_again_it_is_the_same_and_deploys_nothing(tmp_path: Path) -> None:
    asked = asking(tmp_path, given={"api.TOKEN": "told"})
    async with simulated(asked) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
        before, env = simulator.document, await variables(simulator, "api")
    async with simulated(asked) as simulator:
        assert simulator.document == before
        assert len(simulator.platform.deploys(named(simulator, "api").id)) == 1
        await until(lambda: simulator.platform.hosted(named(simulator, "api").id).is_ready)
        again = await variables(simulator, "api")
        assert {key: again[key] for key in ("TOKEN", "SECRET", "WORKER_URL")} == {
            key: env[key] for key in ("TOKEN", "SECRET", "WORKER_URL")
        }


async def test_a_port_that_was_taken_meanwhile_moves_and_everybody_is_told_the_new_address(tmp_path: Path) -> None:
    asked = asking(tmp_path)
    async with simulated(asked) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
        old = named(simulator, "front").port
    with socket.create_server(("127.0.0.1", old)):
        async with simulated(asked) as simulator:
            moved = simulator.document["services"]["front"]["url"]
            assert not moved.endswith(f":{old}")
            await until(lambda: simulator.platform.hosted(named(simulator, "api").id).is_ready)
            assert (await variables(simulator, "api"))["WORKER_URL"] == moved
            assert len(simulator.platform.deploys(named(simulator, "api").id)) == 1, (
                "an address is no change of anybody's"
            )


async def test_a_changed_blueprint_deploys_what_has_changed_and_keeps_what_its_owner_wrote(tmp_path: Path) -> None:
    asked = asking(tmp_path)
    async with simulated(asked) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
        await simulator.platform.set_env(named(simulator, "api").id, "MINE", "kept")
    blueprint(tmp_path, TEXT.replace("green", "blue"))
    async with simulated(asked) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
        api, front = named(simulator, "api"), named(simulator, "front")
        deploys = simulator.platform.deploys(api.id)
        assert [each.trigger for each in deploys] == [Trigger.BLUEPRINT, Trigger.BLUEPRINT]
        assert (api.env["COLOUR"], api.env["MINE"]) == ("blue", "kept")
        assert len(simulator.platform.deploys(front.id)) == 1


async def test_a_key_that_is_given_later_is_set_and_deployed(tmp_path: Path) -> None:
    asked = asking(tmp_path)
    async with simulated(asked) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
    async with simulated(replace(asked, given={"TOKEN": "now"})) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
        assert simulator.missing == ()
        assert (await variables(simulator, "api"))["TOKEN"] == "now"


async def test_services_elsewhere_are_not_run_and_reached_where_they_are(tmp_path: Path) -> None:
    async with simulated(asking(tmp_path, elsewhere={"front": "http://127.0.0.1:1"})) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
        assert set(simulator.document["services"]) == {"api"}
        assert (await variables(simulator, "api"))["WORKER_URL"] == "http://127.0.0.1:1"


async def test_asleep_after_fifteen_platform_minutes_and_woken_through_the_edge(tmp_path: Path) -> None:
    asked = asking(tmp_path, real_rules=None, speed=600.0)
    async with simulated(asked) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
        api = named(simulator, "api").id
        await until(lambda: simulator.platform.books.standing(api).is_asleep)
        assert simulator.platform.instances(api) == [] or simulator.platform.hosted(api).box is None
        assert (await variables(simulator, "api"))["COLOUR"] == "green"


async def test_a_static_site_and_a_worker_are_run_too(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text("<h1>site</h1>", encoding="utf-8")
    text = """
services:
  - {{type: web, runtime: static, name: site, buildCommand: echo built, staticPublishPath: dist}}
  - {{type: worker, name: work, plan: starter, startCommand: {api}}}
  - {{type: cron, name: nightly, plan: starter, schedule: 0 0 * * *, startCommand: {front}}}
"""
    asked = asking(tmp_path)
    blueprint(tmp_path, text)
    async with simulated(asked) as simulator, httpx.AsyncClient() as client:
        deploys = await asyncio.wait_for(simulator.settled(), 60)
        assert {name: each.status for name, each in deploys.items()} == {
            "site": DeployStatus.LIVE,
            "work": DeployStatus.LIVE,
        }
        assert (await client.get(simulator.document["services"]["site"]["url"])).text == "<h1>site</h1>"
        assert simulator.document["services"]["work"]["url"] == ""


async def test_what_went_through_the_edge_is_measured(tmp_path: Path) -> None:
    from datetime import timedelta

    from everwake.sim.verbs import Metric

    async with simulated(asking(tmp_path)) as simulator:
        await asyncio.wait_for(simulator.settled(), 60)
        api = named(simulator, "api").id
        for _ in range(3):
            await variables(simulator, "api")
        now = simulator.platform.house.clock.now()
        window = (now - timedelta(hours=1), now + timedelta(hours=1), 3600)
        await until(lambda: simulator.platform.metric(Metric.HTTP_REQUESTS, api, *window))
        requests = simulator.platform.metric(Metric.HTTP_REQUESTS, api, *window)
        assert [(each.labels["statusCode"], sum(one.value for one in each.samples)) for each in requests] == [
            ("200", 3)
        ]
        assert sum(each.value for each in simulator.platform.metric(Metric.BANDWIDTH, api, *window)[0].samples) > 300


@pytest.mark.parametrize("what", ["missing", "not text", "a file for a folder"])
async def test_what_cannot_be_used_is_told_and_nothing_is_left(tmp_path: Path, what: str) -> None:
    asked = asking(tmp_path)
    if what == "missing":
        asked = replace(asked, blueprint=tmp_path / "no.yaml")
    elif what == "not text":
        blueprint(tmp_path).write_bytes(b"\xff\xfe\x00")
    else:
        (tmp_path / "data").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(Misused):
        async with simulated(asked):
            pass
