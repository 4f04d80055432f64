"""An API over a platform of dictionaries, and the official client for it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from render.public_api.client import AuthenticatedClient

from everwake.clock import SystemClock
from tests.support.fake_workspace import KEY, FakeWorkspace
from tests.support.sim_api import Served, served


@pytest.fixture
def workspace() -> FakeWorkspace:
    return FakeWorkspace(SystemClock())


@pytest.fixture
async def api(workspace: FakeWorkspace) -> AsyncIterator[Served]:
    async with served(workspace) as it:
        yield it


@pytest.fixture
async def http(api: Served) -> AsyncIterator[httpx.AsyncClient]:
    """By hand."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
async def official(api: Served) -> AsyncIterator[AuthenticatedClient]:
    """Nothing but the base URL is other than for the real platform."""
    async with AuthenticatedClient(base_url=api.url, token=KEY, raise_on_unexpected_status=True) as client:
        yield client
