"""The stores that must all keep the same promises."""

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fakeredis import TcpFakeServer

from chatify.chatbot.sessions import SessionStore
from chatify.chatbot.stores.redis import RedisStore
from chatify.chatbot.stores.sqlite import SqliteStore
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real redis-server with a password."""
    with RedisServer(tmp_path_factory.mktemp("redis"), password="p@ss/word:") as server:
        yield server.url


@pytest.fixture(scope="session")
def fakeredis_url() -> Iterator[str]:
    """The stand-in that `everwake up` falls back to."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["sqlite", "redis", "fakeredis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionStore]:
    """One store after the other, open."""
    kept: SessionStore
    if request.param == "sqlite":
        kept = SqliteStore(tmp_path / "sessions.db")
    else:
        kept = RedisStore(request.getfixturevalue(f"{request.param}_url"))
    await kept.open()
    yield kept
    await kept.close()
