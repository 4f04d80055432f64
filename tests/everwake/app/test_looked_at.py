"""Where a platform checks no path, `why`, `fix` and the keeper look at the same, and agree."""

import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from everwake.app.fixing import Asked as FixAsked
from everwake.app.fixing import _described
from everwake.app.why import Asked, Told, _deploy_tick, facts_of_service, why_service
from everwake.clock import SystemClock
from everwake.fleet.schema import Fleet, Service
from everwake.model import DeployRecord, PlatformLine, PlatformService, State
from everwake.sim.records import Instance
from tests.support.answering import Answering, answering
from tests.support.fake_workspace import KEY, FakeWorkspace
from tests.support.sim_api import served


@pytest.fixture
def there() -> Iterator[Answering]:
    with answering() as one:
        yield one


@asynccontextmanager
async def without_a_path(folder: Path, url: str) -> AsyncIterator[None]:
    """A workspace with one service that answers at `url`, of which the platform checks no path; no fleet file."""
    workspace = FakeWorkspace(SystemClock())
    made = workspace.add("plain")
    workspace.held[made.id] = replace(made, health_check_path="")
    workspace.url = lambda service_id: url  # type: ignore[method-assign]
    running = Instance(id="srv-1-a", service_id=made.id, deploy_id="dep-1", created_at=SystemClock().now(), port=1)
    workspace.instances = lambda service_id: [running]  # type: ignore[method-assign]
    async with served(workspace) as api:
        up = {
            "pid": os.getpid(), "platform": {"url": api.url, "key": KEY}, "services": {"plain": {"id": made.id, "url": url}},
        }  # fmt: skip
        (folder / "up.json").write_text(json.dumps(up))
        yield


@pytest.mark.parametrize(
    ("status", "routing", "state"),
    [(404, "", State.UP), (200, "", State.UP), (500, "", State.DEGRADED), (404, "no-server", State.DOWN)],
)
async def test_why_looks_at_the_root_and_takes_any_answer_of_the_services_own(
    tmp_path: Path, there: Answering, status: int, routing: str, state: State
) -> None:
    there.answer(status, b"no", {"x-render-routing": routing} if routing else {})
    async with without_a_path(tmp_path, there.url):
        why = await why_service("plain", Asked(fleet=tmp_path / "none.toml", data=tmp_path, environ={}))
    assert set(there.paths) <= {"/", "/openapi.json"}, "nobody has said that there is a /health"
    assert (why.service.health, why.diagnosis.state) == ("/", state)


async def test_fix_looks_as_why_does(tmp_path: Path, there: Answering) -> None:
    async with without_a_path(tmp_path, there.url):
        asked = FixAsked(fleet=tmp_path / "none.toml", data=tmp_path, environ={})
        (service,) = (await _described("plain", None, asked)).services
    assert (service.health, service.expect.status[0], service.expect.status[-1]) == ("/", 200, 499)


def test_the_deploy_tick_quotes_what_the_build_said_and_not_how_its_command_is_called() -> None:
    at = SystemClock().now()
    lines = (
        "==> Running build command 'echo 'ERROR: No matching distribution found for extras==9' && exit 1'...",
        "ERROR: No matching distribution found for extras==9",
        "==> Build failed",
    )
    told = Told(
        platform="render", service=PlatformService(id="srv-1", name="a", url="", type="web_service", plan="free"),
        deploys=(DeployRecord(id="dep-1", service_id="srv-1", status="build_failed", created_at=at),),
        lines=tuple(PlatformLine(id=str(n), at=at, text=text) for n, text in enumerate(lines)),
    )  # fmt: skip
    service = Service(name="a", url="https://a.example")
    facts = facts_of_service(service, [], told, None, Fleet(name="x", services=(service,)))
    assert _deploy_tick(told, facts, at).said.endswith(', "ERROR: No matching distribution found for extras==9"')


async def test_what_is_saved_holds_no_value_that_a_machine_has_drawn_whatever_it_is_called(
    tmp_path: Path, there: Answering
) -> None:
    drawn = base64.b64encode(hashlib.sha256(b"generateValue").digest()).decode()
    async with without_a_path(tmp_path, there.url):
        why = await why_service("plain", Asked(fleet=tmp_path / "none.toml", data=tmp_path, environ={}))
    why = replace(why, variables={"FOO": drawn, "MODE": "fast", "LINE": f"x {drawn}"}, lines=(f"it is {drawn} now",))
    saved = why.saved()
    assert drawn not in json.dumps(saved)
    assert saved["variables"]["MODE"] == "fast"
