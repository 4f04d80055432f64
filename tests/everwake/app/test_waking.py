"""A sleeping service, looked at for real: one request that is refused or held, then one patient GET, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from everwake.app.eyes import CheckEyes
from everwake.app.own_line import OwnLineProbe
from everwake.checks import Checks
from everwake.clock import SystemClock
from everwake.fleet.schema import Fleet, Service
from everwake.model import Observation, State
from everwake.watch.keeper import Keeper
from tests.everwake.watch.test_keeper import Memory
from tests.support import faulty

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n" + b'{"status":"healthy"}'
ASLEEP = (
    b"HTTP/1.1 503 Service Unavailable\r\nx-render-routing: hibernate-pending-wake\r\ncontent-length: 0\r\n"
    b"connection: close\r\n\r\n"
)
THROTTLED = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
WAKES_S = 1.5


@dataclass
class Sleeper:
    """An edge whose service is asleep. first: what the first request is answered, None: it is held until the client hangs up.

    The second is held while the service wakes. asked: the heads of all requests, and when they came.
    """

    first: bytes | None
    asked: list[tuple[float, bytes]] = field(default_factory=list)

    async def __call__(self, line: faulty.Connection) -> None:
        self.asked.append((asyncio.get_running_loop().time(), await line.request()))
        if len(self.asked) == 1:
            await (line.hold() if self.first is None else line.send(self.first))
            return
        await asyncio.sleep(WAKES_S)
        await line.send(OK)


class PatientEyes(CheckEyes):
    """The keeper's own, noting how patient each look is."""

    def __init__(self, checks: Checks, own_line: OwnLineProbe) -> None:
        super().__init__(checks, own_line)
        self.patience: list[float | None] = []

    def begin(
        self, service: Service, check: str, patience_s: float | None, late_s: float, done: Callable[[Observation], None]
    ) -> Callable[[], None]:
        self.patience.append(patience_s)
        return super().begin(service, check, patience_s, late_s, done)


@dataclass
class Kept:
    keeper: Keeper
    memory: Memory
    eyes: PatientEyes

    async def until(self, state: State, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while self.keeper.service_view("a").state is not state:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def keeping(port: int) -> AsyncIterator[Kept]:
    clock, memory = SystemClock(), Memory()
    service = Service(name="a", url=f"http://127.0.0.1:{port}", plan="free", timeout_s=0.4)
    fleet = Fleet(name="f", services=(service,))
    async with Checks(clock) as checks, asyncio.TaskGroup() as tasks:
        eyes = PatientEyes(checks, OwnLineProbe(fleet, clock, checks.dialer.resolve))
        keeper = Keeper(fleet, eyes, memory, clock)
        tasks.create_task(keeper.run())
        try:
            yield Kept(keeper, memory, eyes)
        finally:
            keeper.stop()


@pytest.mark.parametrize("first", [ASLEEP, None], ids=["hibernate", "held"])
async def test_one_patient_get_wakes_it_and_nothing_else_is_asked(first: bytes | None) -> None:
    sleeper = Sleeper(first)
    async with faulty.serve(sleeper) as server, keeping(server.port) as kept:
        await kept.until(State.WAKING, 5)
        await kept.until(State.UP, 10)
        await asyncio.sleep(0.5)
        assert len(sleeper.asked) == 2
        assert kept.eyes.patience == [None, 180.0]
        _, head = sleeper.asked[1]
        assert head.startswith(b"GET /health HTTP/1.1\r\n")
        assert b"\r\naccept: application/json\r\n" in head.lower()
        assert [move.new for move in kept.memory.moves] == [State.WAKING, State.UP]
        waking, up = kept.memory.moves
        assert (up.at - waking.at).total_seconds() >= WAKES_S, "up since it answered, not since it was asked"
        assert (kept.memory.notices, kept.keeper.open_incidents) == ([], ())


async def test_an_edge_that_throttles_is_left_alone() -> None:
    sleeper = Sleeper(THROTTLED)
    async with faulty.serve(sleeper) as server, keeping(server.port) as kept:
        await kept.until(State.WAKING, 5)
        await asyncio.sleep(2)
        assert len(sleeper.asked) == 1
        next_at = kept.keeper.snapshot().next_check_at
        assert next_at is not None
        assert (next_at - SystemClock().now()).total_seconds() > 20
