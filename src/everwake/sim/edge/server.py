"""The edge: listens for every service on a port of its own, and for all of them on a shared one that goes by Host."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from everwake.errors import Misused
from everwake.ports import Clock
from everwake.sim.edge._client import Client
from everwake.sim.edge._house import House
from everwake.sim.edge.limits import Limits
from everwake.sim.edge.routes import Routes
from everwake.sim.edge.traffic import Traffic
from everwake.sim.ports import HOST

__all__ = ["Edge"]

BACKLOG = 1_024
SHARED = None


class Edge:
    """A reverse proxy for HTTP/1.0, HTTP/1.1 and WebSocket before the instances of this machine.

    async with Edge(platform, clock) as edge:
        port = await edge.open("srv-1")

    To be used in one event loop, any; uvloop's is the quickest.
    """

    def __init__(self, routes: Routes, clock: Clock, limits: Limits | None = None) -> None:
        self._house = House(routes, clock, limits or Limits())
        self._listeners: dict[str | None, asyncio.Server] = {}
        self._unsweep: Callable[[], object] | None = None

    async def __aenter__(self) -> Self:
        """Begin to mind the time; ports are opened one by one."""
        self._house.is_stopping = False
        self._sweep()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def open(self, service_id: str, port: int = 0) -> int:
        """Listen for that service; the port, 0 takes a free one. Open already: the port that it has.

        Raises:
            Misused: when the port is taken, or not ours to open.
        """
        return await self._listen(service_id, port)

    async def open_shared(self, port: int = 0) -> int:
        """Listen for all services; which one is asked for, `Routes.service_of` says. As `open`."""
        return await self._listen(SHARED, port)

    async def shut(self, service_id: str) -> None:
        """Listen for that service no more. Connections that are open go on; the shared port still knows it."""
        listener = self._listeners.pop(service_id, None)
        if listener is not None:
            listener.close()

    def traffic(self) -> dict[str, Traffic]:
        """What went through, by service id; "" stands for hosts that are nobody's."""
        return {service_id: tally.snapshot() for service_id, tally in self._house.tallies.items()}

    @property
    def connections(self) -> int:
        """Of clients, now."""
        return self._house.clients

    async def stop(self) -> None:
        """Listen no more, end what is idle and every WebSocket, give requests `grace_s`, then cut. Leaves nothing behind."""
        house = self._house
        house.is_stopping = True
        for listener in self._listeners.values():
            listener.close()
        for connection in tuple(house.open):
            if isinstance(connection, Client):
                connection.stop()
        try:
            async with asyncio.timeout(house.limits.grace_s):
                await self._until_empty()
        except TimeoutError:
            for connection in tuple(house.open):
                connection.abort()
        tasks = tuple(house.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._until_empty()
        for listener in self._listeners.values():
            await listener.wait_closed()
        self._listeners.clear()
        if self._unsweep is not None:
            self._unsweep()
            self._unsweep = None

    async def _listen(self, service_id: str | None, port: int) -> int:
        listener = self._listeners.get(service_id)
        if listener is None:
            loop = asyncio.get_running_loop()
            try:
                listener = await loop.create_server(
                    lambda: Client(self._house, service_id), HOST, port, backlog=BACKLOG
                )
            except OSError as failure:
                reason = (failure.strerror or str(failure)).partition(" (")[0]
                raise Misused(f"the edge cannot listen on {HOST}:{port}: {reason}", hint="name another port") from None
            self._listeners[service_id] = listener
        number: int = listener.sockets[0].getsockname()[1]
        return number

    async def _until_empty(self) -> None:
        while self._house.open:
            self._house.crowd_changed.clear()
            await self._house.crowd_changed.wait()

    def _sweep(self) -> None:
        """Time has passed: let every connection see to it."""
        house = self._house
        now_s = house.clock.monotonic()
        for connection in tuple(house.open):
            connection.tick(now_s)
        self._unsweep = house.clock.call_at(now_s + house.limits.sweep_s, self._sweep)
