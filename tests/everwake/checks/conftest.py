"""What the tests of the checks share: a runner on the running loop, and an authority of the test's own."""

from collections.abc import AsyncIterator

import pytest

from everwake.checks import Checks
from everwake.clock import SystemClock
from tests.support.faulty import Authority


@pytest.fixture
async def checks() -> AsyncIterator[Checks]:
    async with Checks(SystemClock()) as made:
        yield made


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))
