"""One PING for all who ask at once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from chatify.redis_client import RedisLink
from chatify.redis_service.pulse import Answers, Pulse, Silent
from tests.support.redis_server import RedisServer


async def pings(link: RedisLink) -> int:
    stats = await link.call(lambda redis: redis.info("commandstats"))
    return int(stats.get("cmdstat_ping", {"calls": 0})["calls"])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_many_who_ask_at_once_cost_redis_one_ping(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        other = RedisLink(server.url)
        before = await pings(other)
        pulse = Pulse(server.url)
        async with pulse.beating():
            seen = await asyncio.gather(*(pulse.feel() for _ in range(500)))
            assert all(isinstance(one, Answers) for one in seen)
            assert isinstance(await pulse.feel(), Answers)
        assert await pings(other) == before + 1
        await other.close()


async def test_who_goes_away_takes_the_answer_from_nobody(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        pulse = Pulse(server.url)
        async with pulse.beating():
            server.freeze()
            async with asyncio.TaskGroup() as group:
                first = group.create_task(pulse.feel())
                second = group.create_task(pulse.feel())
                await asyncio.sleep(0)
                first.cancel()
                server.thaw()
            assert isinstance(second.result(), Answers)


async def test_ending_while_redis_is_frozen_takes_no_time(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        server.freeze()
        pulse = Pulse(server.url, deadline_s=60)
        async with asyncio.timeout(10), pulse.beating():
            asyncio.get_running_loop().call_soon(lambda: None)


async def test_without_redis_it_is_silent_and_asks_nobody() -> None:
    pulse = Pulse(None)
    async with pulse.beating():
        assert await pulse.feel() == Silent(reason="not_configured", detail="REDIS_URL is not set")
