"""A store that does not answer: an error in time, nothing half done, and as before once it is back."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatify.chatbot.sessions import Begun, SessionStore, StoreUnavailable, Ticket
from chatify.chatbot.stores import store_for
from chatify.chatbot.stores.redis import RedisStore
from chatify.chatbot.stores.sqlite import SqliteStore
from chatify.settings import ChatbotSettings, load
from tests.chatify.chatbot.stores.told import NOW, a_session, at, begin, reply, ticket, turn
from tests.support.redis_server import RedisServer

DEADLINE_S = 1.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", password="hunter2") as running:
        yield running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    kept = RedisStore(server.url, deadline_s=DEADLINE_S)
    await kept.open()
    yield kept
    await kept.close()


async def every_call_fails_in_time(store: SessionStore) -> None:
    session = a_session()
    held = Ticket(session_id=session.id, message_id="m", key="k", attempt=1)
    started = time.monotonic()
    told = await asyncio.gather(
        store.ping(), store.create(session), store.get("x"), store.delete("x"), store.messages("x"), begin(store, session),
        store.renew(held, now=NOW, lease_s=1), store.finish(held, reply(), now=NOW),
        store.give_back(held, status=503, code="c", detail="d"), return_exceptions=True,
    )  # fmt: skip
    assert time.monotonic() - started < DEADLINE_S + 2
    for one in told:
        assert isinstance(one, StoreUnavailable), one
        assert one.store == store.name
        assert one.retry_after_s > 0
        assert "hunter2" not in str(one)


async def test_a_stopped_redis_is_unavailable_and_as_before_when_it_is_back(
    server: RedisServer, store: RedisStore
) -> None:
    session = a_session()
    await store.create(session)
    await turn(store, session, "q", "a")
    held = await ticket(store, session)
    server.stop()
    await every_call_fails_in_time(store)
    server.start()
    assert await store.finish(held, reply("late"), now=at(5)) is not None
    assert [m.text for m in await store.messages(session.id)] == ["q", "a", "hello", "late"]


async def test_a_redis_that_was_killed_keeps_what_it_had_written(server: RedisServer, store: RedisStore) -> None:
    session = a_session()
    await store.create(session)
    await turn(store, session, "q", "a")
    server.kill()
    server.start()
    assert await store.get(session.id) == replace(session, responses_used=1)


async def test_a_frozen_redis_is_unavailable_and_as_before_when_it_is_thawed(
    server: RedisServer, store: RedisStore
) -> None:
    session = a_session()
    await store.create(session)
    server.freeze()
    await every_call_fails_in_time(store)
    server.thaw()
    assert isinstance(await begin(store, session), Begun)


async def test_a_call_that_timed_out_can_be_made_again(server: RedisServer, store: RedisStore) -> None:
    """What was sent to a frozen Redis is carried out when it thaws; the same call again then finds its own work."""
    session = a_session(limit=1)
    await store.create(session)
    held = await ticket(store, session)
    server.freeze()
    with pytest.raises(StoreUnavailable):
        await store.finish(held, reply("once"), now=at(1))
    server.thaw()
    finished = await store.finish(held, reply("once"), now=at(2))
    assert finished is not None
    assert finished.responses_used == 1
    assert [m.text for m in await store.messages(session.id)] == ["hello", "once"]


async def test_a_redis_that_refuses_at_first_can_be_opened_later(server: RedisServer) -> None:
    store = RedisStore(server.url, deadline_s=DEADLINE_S)
    server.stop()
    with pytest.raises(StoreUnavailable, match="refused"):
        await store.open()
    server.start()
    await store.open()
    await store.close()


async def test_keys_in_redis_live_a_day_longer_than_their_session(server: RedisServer, store: RedisStore) -> None:
    session = a_session(expires=datetime.now(UTC) + timedelta(seconds=100))
    await store.create(session)
    await turn(store, session, "q", "a")
    names = await store._link.call(lambda redis: redis.keys("*"))
    assert names == [f"chatify:session:{{{session.id}}}".encode()]
    left_s = await store._link.call(lambda redis: redis.ttl(names[0]))
    assert 24 * 3600 < left_s <= 24 * 3600 + 100


async def test_a_locked_file_is_unavailable_in_time_and_as_before_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    store = SqliteStore(path, deadline_s=0.5)
    await store.open()
    session = a_session()
    await store.create(session)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await begin(store, session)
    assert time.monotonic() - started < 3
    assert await store.get(session.id) == session  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(await begin(store, session), Begun)
    assert await store.messages(session.id) == ()
    await store.close()


async def test_many_calls_on_a_locked_file_take_no_place_once_they_were_given_up(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    store = SqliteStore(path, deadline_s=0.5)
    await store.open()
    session = a_session(limit=20)
    await store.create(session)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    told = await asyncio.gather(*(begin(store, session) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(one, StoreUnavailable) for one in told)
    other.execute("ROLLBACK")
    other.close()
    told = await asyncio.gather(*(begin(store, session) for _ in range(50)))
    assert sum(isinstance(one, Begun) for one in told) == 20
    await store.close()


async def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    session = a_session()
    for n in range(3):
        store = SqliteStore(tmp_path / "sessions.db")
        await store.open()
        await store.create(session)
        await turn(store, session, f"q{n}", f"a{n}")
        await store.close()
    await store.open()
    assert [m.text for m in await store.messages(session.id)] == ["q0", "a0", "q1", "a1", "q2", "a2"]
    await store.close()


async def test_a_file_that_is_no_database_is_unavailable_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    path.write_bytes(b"my diary" * 1000)
    store = SqliteStore(path, deadline_s=0.5)
    with pytest.raises(StoreUnavailable, match="corrupt"):
        await store.open()
    assert path.read_bytes() == b"my diary" * 1000


def test_the_variables_choose_the_store(tmp_path: Path) -> None:
    assert store_for(load(ChatbotSettings, {"DATA_DIR": str(tmp_path)})).name == "sqlite"
    assert store_for(load(ChatbotSettings, {"REDIS_URL": "redis://127.0.0.1:1"})).name == "redis"
