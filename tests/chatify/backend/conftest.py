"""Outboxes of both kinds, on a real redis-server and a real file."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chatify.backend.outbox import Outbox
from chatify.backend.stores.redis import RedisOutbox
from chatify.backend.stores.sqlite import SqliteOutbox
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One redis-server for all tests here; each takes keys of its own."""
    with RedisServer(tmp_path_factory.mktemp("redis"), password="p@ss word") as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
async def outboxes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Outbox, Outbox]]:
    """Two views of one store, as two processes have them."""
    pair: list[SqliteOutbox | RedisOutbox]
    if request.param == "sqlite":
        pair = [SqliteOutbox(tmp_path / "backend.db") for _ in range(2)]
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        prefix = f"t{secrets.token_hex(4)}:"
        pair = [RedisOutbox(server.url, retention_s=600, prefix=prefix) for _ in range(2)]
    for one in pair:
        await one.open()
    yield pair[0], pair[1]
    for one in pair:
        await one.close()
