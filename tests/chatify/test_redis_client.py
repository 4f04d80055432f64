"""The one client: every way Redis can fail has a reason and an end."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import exceptions as theirs

from chatify.redis_client import RedisLink, RedisUnavailable, Script, _reason
from tests.support.redis_server import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", password="p@ss/word:") as running:
        yield running


@asynccontextmanager
async def linked(url: str, deadline_s: float = 2.0) -> AsyncIterator[RedisLink]:
    link = RedisLink(url, deadline_s=deadline_s)
    try:
        yield link
    finally:
        await link.close()


async def why(url: str, deadline_s: float = 1.0) -> str:
    async with linked(url, deadline_s) as link:
        started = time.monotonic()
        with pytest.raises(RedisUnavailable) as told:
            await link.ping()
        assert time.monotonic() - started < deadline_s + 2
        assert "hunter2" not in str(told.value)
        return told.value.reason


async def test_a_wrong_password_is_auth_and_a_missing_one_too(server: RedisServer) -> None:
    assert await why(server.url_with(password="hunter2-wrong")) == "auth"
    assert await why(f"redis://127.0.0.1:{server.port}") == "auth"


async def test_nobody_at_the_port_is_refused_and_an_unknown_host_is_dns(server: RedisServer) -> None:
    server.stop()
    assert await why(server.url) == "refused"
    assert await why("redis://:hunter2@nowhere.invalid:6379") == "dns"


async def test_a_frozen_redis_is_a_timeout_and_answers_when_it_is_thawed(server: RedisServer) -> None:
    async with linked(server.url, 1.0) as link:
        await link.ping()
        server.freeze()
        started = time.monotonic()
        with pytest.raises(RedisUnavailable) as told:
            await link.ping()
        assert told.value.reason == "timeout"
        assert time.monotonic() - started < 3
        server.thaw()
        assert await link.ping() < 1


async def test_many_calls_on_a_frozen_redis_all_end_at_the_deadline(server: RedisServer) -> None:
    async with linked(server.url, 1.0) as link:
        server.freeze()
        started = time.monotonic()
        told = await asyncio.gather(*(link.ping() for _ in range(100)), return_exceptions=True)
        assert all(isinstance(one, RedisUnavailable) and one.reason == "timeout" for one in told)
        assert time.monotonic() - started < 4
        server.thaw()
        assert len(await asyncio.gather(*(link.ping() for _ in range(100)))) == 100


async def test_a_restart_between_two_calls_is_not_noticed(server: RedisServer) -> None:
    async with linked(server.url) as link:
        await asyncio.gather(*(link.ping() for _ in range(10)))
        server.kill()
        server.start()
        assert len(await asyncio.gather(*(link.ping() for _ in range(10)))) == 10


async def test_a_connection_that_went_silent_is_replaced(server: RedisServer) -> None:
    """A router that forgot a connection drops what is sent on it; here a relay does so on its first line."""
    lines = 0

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal lines
        lines += 1
        is_first = lines == 1
        to, answer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            while data := await reader.read(65536):
                if is_first and b"ECHO" in data:
                    continue
                answer.write(data)
                writer.write(await to.read(65536))
        finally:
            answer.close()
            writer.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as front:
        port = front.sockets[0].getsockname()[1]
        async with linked(f"redis://:p%40ss%2Fword%3A@127.0.0.1:{port}") as link:
            await link.ping()
            assert await link.call(lambda redis: redis.echo("hello")) == b"hello"
        assert lines == 2


async def test_a_call_that_was_cancelled_leaves_no_answer_for_the_next(server: RedisServer) -> None:
    async with linked(server.url, 5.0) as link:
        await link.call(lambda redis: redis.set("a", "first"))
        for _ in range(20):
            call = asyncio.ensure_future(link.call(lambda redis: redis.get("a")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            call.cancel()
            assert await link.call(lambda redis: redis.echo("mine")) == b"mine"


async def test_tls_is_verified_name_and_authority(tmp_path: Path) -> None:
    with RedisServer(tmp_path, tls=True) as server:
        async with linked(server.url) as link:
            await link.ping()
        assert await why(server.url_with(trusted=False)) == "tls"
        assert await why(server.url_with(host="127.0.0.1")) == "tls"
        assert await why(server.url_with(scheme="redis")) == "disconnected"
        async with linked(server.url_with(trusted=False) + "?ssl_cert_reqs=none") as link:
            await link.ping()  # who asks for it in so many words


async def test_what_a_url_says_about_time_is_ignored(server: RedisServer) -> None:
    async with linked(server.url + "?socket_timeout=0.0000001&family=0&retry_on_timeout=yes") as link:
        await link.ping()


async def test_a_script_that_redis_forgot_is_sent_again(server: RedisServer) -> None:
    script = Script("return {KEYS[1], ARGV[1]}")
    async with linked(server.url) as link:
        assert await link.run(script, "k", "é") == [b"k", "é".encode()]
        await link.call(lambda redis: redis.script_flush())
        assert await link.run(script, "k", 1) == [b"k", b"1"]


async def test_what_redis_refuses_to_do_has_a_reason(server: RedisServer) -> None:
    async with linked(server.url) as link:
        await link.call(lambda redis: redis.config_set("maxmemory", "1"))
        with pytest.raises(RedisUnavailable) as told:
            await link.call(lambda redis: redis.set("a", "b"))
        assert told.value.reason == "full"


async def test_a_mistake_of_ours_is_not_called_unavailable(server: RedisServer) -> None:
    async def wrong(_: object) -> None:
        raise KeyError("ours")

    async with linked(server.url) as link:
        with pytest.raises(KeyError):
            await link.call(wrong)


def test_every_exception_of_the_library_has_a_reason() -> None:
    kinds = [kind for _, kind in inspect.getmembers(theirs, inspect.isclass) if issubclass(kind, theirs.RedisError)]
    assert len(kinds) > 20
    for kind in kinds:
        assert _reason(kind.__new__(kind)) is not None, kind


async def test_a_loop_of_calls_that_is_cancelled_ends(server: RedisServer) -> None:
    async with linked(server.url) as link:
        await link.ping()

        async def call_for_ever() -> None:
            while True:
                await link.call(lambda redis: redis.ping())

        for turn in range(300):
            loop = asyncio.create_task(call_for_ever())
            for _ in range(turn % 23):
                await asyncio.sleep(0)
            loop.cancel()
            done, _ = await asyncio.wait([loop], timeout=5)
            assert done, "the cancellation was swallowed"
            assert loop.cancelled()
