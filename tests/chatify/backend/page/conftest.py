"""A browser, and a scripted backend for it to talk to."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.browser import browser, open_page
from tests.support.fake_backend import FakeBackend, fake_backend

__all__ = ["backend", "browser", "open_page"]


@pytest_asyncio.fixture(loop_scope="module")
async def backend() -> AsyncIterator[FakeBackend]:
    async with fake_backend() as made:
        yield made
