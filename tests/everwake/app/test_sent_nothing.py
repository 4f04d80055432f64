"""Outside its window a real server hears nothing at all of a real keeper: requests and connections are counted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from everwake.app.eyes import CheckEyes
from everwake.app.own_line import OwnLineProbe
from everwake.checks import Checks
from everwake.clock import SystemClock
from everwake.fleet.schema import Fleet, Service
from everwake.model import State
from everwake.watch.keeper import Keeper
from tests.everwake.watch.test_keeper import Memory
from tests.support import faulty

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n" + b'{"status":"healthy"}'


@dataclass
class Counted:
    """heads: of every connection that came."""

    heads: list[bytes] = field(default_factory=list)

    async def __call__(self, line: faulty.Connection) -> None:
        self.heads.append(await line.request())
        await line.send(OK)


def closed_now() -> str:
    """A window that is open in two hours, for an hour."""
    begins = datetime.now(UTC) + timedelta(hours=2)
    return f"{begins:%H:00}-{begins + timedelta(hours=1):%H:00} UTC".replace("-00:00", "-24:00")


@asynccontextmanager
async def keeping(awake: str) -> AsyncIterator[tuple[Keeper, Counted]]:
    clock, counted = SystemClock(), Counted()
    async with faulty.serve(counted) as server:
        service = Service(
            name="a", url=f"http://127.0.0.1:{server.port}", every_s=1.0, heartbeat="/ws/keepalive", heartbeat_every_s=1.0,
            plan="free", awake=awake,
        )  # fmt: skip
        fleet = Fleet(name="f", services=(service,))
        async with Checks(clock) as checks, asyncio.TaskGroup() as tasks:
            keeper = Keeper(
                fleet, CheckEyes(checks, OwnLineProbe(fleet, clock, checks.dialer.resolve)), Memory(), clock
            )
            tasks.create_task(keeper.run())
            try:
                yield keeper, counted
            finally:
                keeper.stop()


@pytest.mark.parametrize("awake", ["on-demand", "window"])
async def test_not_one_connection_is_made_to_who_rests(awake: str) -> None:
    async with keeping(closed_now() if awake == "window" else awake) as (keeper, counted):
        await asyncio.sleep(3.5)
        assert counted.heads == []
        assert keeper.service_view("a").state is State.ASLEEP
        assert keeper.open_incidents == ()


async def test_a_keeper_that_is_always_on_would_have_been_heard_meanwhile() -> None:
    async with keeping("always") as (_, counted):
        await asyncio.sleep(2.5)
        assert len(counted.heads) >= 3


async def test_a_person_who_asks_is_one_request_and_nothing_follows() -> None:
    async with keeping(closed_now()) as (keeper, counted):
        await asyncio.sleep(0.3)
        seen = await asyncio.wait_for(keeper.look("a"), 5)
        assert seen.failure is None
        await asyncio.sleep(2)
        assert len(counted.heads) == 1
        assert keeper.service_view("a").state is State.ASLEEP


async def test_who_is_on_demand_is_heard_of_again_while_somebody_uses_it() -> None:
    async with keeping("on-demand") as (keeper, counted):
        await asyncio.sleep(0.2)
        assert keeper.wake("a", 2.0) == ("a",)
        await asyncio.sleep(1.8)
        assert counted.heads
        assert keeper.service_view("a").state in (State.UP, State.DEGRADED)
        await asyncio.sleep(1.5)
        heard = len(counted.heads)
        await asyncio.sleep(1.5)
        assert len(counted.heads) == heard
        assert keeper.service_view("a").state is State.ASLEEP
