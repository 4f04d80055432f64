"""What the promises of a platform are held against: the adapter, over an API of dictionaries and over that of the engine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from everwake.clock import SystemClock
from everwake.fleet.schema import Secret
from everwake.platforms import _intentions
from everwake.platforms._door import Manners
from everwake.platforms._kind import Access
from everwake.platforms.render import Render
from everwake.ports import Clock
from everwake.sim.records import Trigger
from tests.everwake.sim import rehearsal
from tests.support import fake_workspace
from tests.support.fake_workspace import FakeWorkspace
from tests.support.sim_api import Served, served
from tests.support.troubled import Trouble

__all__ = ["Scene", "intend", "quick", "trouble", "until"]


def quick(**other: Any) -> Manners:
    """Patient as ever, with shorter waits."""
    waits: dict[str, Any] = {
        "first_s": 0.01,
        "most_s": 0.05,
        "settle_s": (0.02, 0.05, 0.1),
        "answer_s": 5.0,
        "connect_s": 5.0,
    }
    return Manners(**(waits | other))


@dataclass(slots=True)
class Scene:
    """A platform with one live service, `id`. say: makes the service write a line.   workspace: behind the API."""

    api: Served
    key: str
    workspace: Any
    id: str
    say: Callable[[str], Awaitable[None]]
    stack: AsyncExitStack
    adapters: list[Render] = field(default_factory=list)

    async def adapter(self, *, clock: Clock | None = None, manners: Manners | None = None) -> Render:
        """A new process, as far as the platform can tell."""
        access = Access(key=Secret(self.key, "env RENDER_API_KEY"), url=self.api.url)
        made = Render(access, clock or SystemClock(), name="sim", manners=manners or quick())
        return await self.stack.enter_async_context(made)

    def deploys(self) -> int:
        """How many there are."""
        return len(self.workspace.deploys(self.id))


async def _fake(stack: AsyncExitStack, *, deploys_on_write: bool = False) -> Scene:
    workspace = FakeWorkspace(SystemClock())
    workspace.deploys_at_write = deploys_on_write
    id = workspace.add("chatbot", env={"PORT": "8000"}).id
    await workspace.create_deploy(id, trigger=Trigger.BLUEPRINT)
    workspace.deploys(id)

    async def say(text: str) -> None:
        workspace.say(id, text)

    return Scene(await stack.enter_async_context(served(workspace)), fake_workspace.KEY, workspace, id, say, stack)


async def _engine(stack: AsyncExitStack, folder: Path, *, deploys_on_write: bool = False) -> Scene:
    stage = await stack.enter_async_context(rehearsal.rehearsal(folder, deploys_on_write=deploys_on_write))
    id = await stage.service("chatbot", env={"PORT": "8000"})

    async def say(text: str) -> None:
        stage.platform.house.lines.say(id, text, "app")

    return Scene(await stack.enter_async_context(served(stage.platform)), rehearsal.KEY, stage.platform, id, say, stack)


@pytest.fixture(params=["fake", "engine"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    """Both, one after the other."""
    async with AsyncExitStack() as stack:
        yield await (_fake(stack) if request.param == "fake" else _engine(stack, tmp_path / "platform"))


@pytest.fixture(params=["fake", "engine"])
async def scene_that_deploys_on_write(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    """Both, set so that a variable that is written begins a deploy."""
    async with AsyncExitStack() as stack:
        yield await (
            _fake(stack, deploys_on_write=True)
            if request.param == "fake"
            else _engine(stack, tmp_path / "platform", deploys_on_write=True)
        )


@pytest.fixture
async def fake() -> AsyncIterator[Scene]:
    """Dictionaries only: for what goes wrong between adapter and API."""
    async with AsyncExitStack() as stack:
        yield await _fake(stack)


def intend() -> str:
    return _intentions.intend("test", datetime.now(UTC))


def trouble(scene: Scene, asks: str, **how: Any) -> None:
    scene.api.troubled.ahead.append(Trouble(asks=asks, **how))


async def until(claim: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not claim():
            await asyncio.sleep(0.01)
