"""A browser, and a keeper moved by hand for it to look at."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.browser import browser, open_page
from tests.support.fake_keeper import FakeKeeper, fake_keeper

__all__ = ["browser", "keeper", "open_page"]


@pytest_asyncio.fixture(loop_scope="module")
async def keeper() -> AsyncIterator[FakeKeeper]:
    """The mission's three services, all up."""
    async with fake_keeper() as made:
        yield made
