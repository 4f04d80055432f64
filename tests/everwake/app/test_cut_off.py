"""Our own line is cut for real: nobody is down, and once it is back, who is down is."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from everwake.app.eyes import CheckEyes
from everwake.app.own_line import OwnLineProbe
from everwake.checks import Checks
from everwake.clock import SystemClock
from everwake.fleet.schema import Fleet, Service
from everwake.model import State
from everwake.watch.keeper import Keeper
from tests.everwake.watch.test_keeper import Memory
from tests.support import faulty

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]


@asynccontextmanager
async def keeping(
    *urls: str, resolve: Resolve | None = None, timeout_s: float = 1.0
) -> AsyncIterator[tuple[Keeper, Memory]]:
    clock, memory = SystemClock(), Memory()
    services = tuple(Service(name=f"s{n}", url=url, every_s=1.0, timeout_s=timeout_s) for n, url in enumerate(urls))
    fleet = Fleet(name="f", services=services)
    async with Checks(clock) as checks, asyncio.TaskGroup() as tasks:
        keeper = Keeper(
            fleet, CheckEyes(checks, OwnLineProbe(fleet, clock, resolve or checks.dialer.resolve)), memory, clock
        )
        tasks.create_task(keeper.run())
        try:
            yield keeper, memory
        finally:
            keeper.stop()


def states(keeper: Keeper) -> list[State]:
    return [service.state for service in keeper.snapshot().services]


async def until(said: Callable[[], bool], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not said():
            await asyncio.sleep(0.02)


async def test_without_a_route_nobody_is_down_and_afterwards_only_who_is() -> None:
    with (
        faulty.network() as net,
        faulty.process(net.host, within=net.within) as one,
        faulty.process(net.host, within=net.within) as other,
    ):
        urls = [f"http://{net.host}:{server.port}" for server in (one, other)]
        async with keeping(*urls) as (keeper, memory):
            await until(lambda: states(keeper) == [State.UP, State.UP], 5)
            with net.without_route():
                await until(lambda: states(keeper) == [State.UNKNOWN, State.UNKNOWN], 5)
                await asyncio.sleep(6)  # longer than it takes to confirm
                assert states(keeper) == [State.UNKNOWN, State.UNKNOWN]
                assert keeper.trouble == ("this machine has no route out",)
            await until(lambda: states(keeper) == [State.UP, State.UP], 5)
            assert (keeper.open_incidents, memory.notices, keeper.trouble) == ((), [], ())
            # Now one of them is gone while the other one answers: that is them.
            one.child.kill()
            await until(lambda: states(keeper) == [State.DOWN, State.UP], 8)
            assert [notice.title for notice in memory.notices] == ["S0 is down"]


async def test_when_no_name_can_be_looked_up_nobody_is_down() -> None:
    """Names end in .invalid, which no resolver knows (RFC 6761); that ours is out is told by a resolver that says so."""

    async def is_out(host: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async with keeping("http://one.invalid", "http://two.invalid", resolve=is_out, timeout_s=3.0) as (keeper, memory):
        await until(lambda: keeper.trouble == ("this machine cannot look up names",), 10)
        await asyncio.sleep(6)
        assert states(keeper) == [State.UNKNOWN, State.UNKNOWN]
        assert (keeper.open_incidents, memory.notices) == ((), [])
