"""An edge that stands before something, a platform that decides as it is told, and a client that sends exactly these bytes."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from everwake.clock import SystemClock
from everwake.ports import Clock
from everwake.sim.edge.limits import Limits
from everwake.sim.edge.routes import Refusal, Upstream
from everwake.sim.edge.server import Edge
from tests.support import faulty

SERVICE = "srv-1"
UNREACHABLE = Refusal(status=502, routing="dynamic-free-error", body="502 Bad Gateway")
NO_SERVER = Refusal(status=404, routing="no-server", body="Not Found")
GET = b"GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class Platform:
    """`Routes` of one service. gate: what a request is held by, while it is not set.   let_go: requests given up meanwhile."""

    where: Upstream | Refusal
    gate: asyncio.Event | None = None
    asked: list[tuple[str, bool]] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)
    let_go: int = 0
    breaks: bool = False

    async def route(self, service_id: str, *, wants_html: bool) -> Upstream | Refusal:
        self.asked.append((service_id, wants_html))
        if self.breaks:
            raise RuntimeError("the platform has a bug")
        if not service_id:
            return NO_SERVER
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.let_go += 1
                raise
        return self.where

    def inbound(self, service_id: str) -> None:
        self.heard[service_id] += 1

    def service_of(self, host: str) -> str:
        return SERVICE if host == "chatbot.localhost" else ""

    def unreachable(self, service_id: str) -> Refusal:
        return UNREACHABLE


@dataclass(frozen=True, slots=True)
class Standing:
    """port: the service's own.   app: what stands behind, when it is one of `faulty`'s."""

    edge: Edge
    port: int
    platform: Platform
    app: faulty.Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def say(self, data: bytes, *, eof: bool = False) -> bytes:
        """On a new connection: all that comes back until it ends."""
        async with self.line() as (reader, writer):
            writer.write(data)
            if eof:
                writer.write_eof()
            return await asyncio.wait_for(reader.read(), 20)

    @contextlib.asynccontextmanager
    async def line(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection of a client."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def before(
    handler: faulty.Handler | int | Refusal, *, limits: Limits | None = None, clock: Clock | None = None
) -> AsyncIterator[Standing]:
    """An edge before a handler of `faulty`, before a port, or before nothing but a refusal."""
    async with contextlib.AsyncExitStack() as stack:
        app = faulty.Server()
        if isinstance(handler, Refusal):
            platform = Platform(handler)
        elif isinstance(handler, int):
            platform = Platform(Upstream(handler))
        else:
            app = await stack.enter_async_context(faulty.serve(handler))
            platform = Platform(Upstream(app.port))
        edge = await stack.enter_async_context(Edge(platform, clock or SystemClock(), limits or Limits(grace_s=0.05)))
        yield Standing(edge, await edge.open(SERVICE), platform, app)


async def until(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for what real sockets take their time for."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.005)


def split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """(status, headers by lower-case name, body) of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in pairs}, body
