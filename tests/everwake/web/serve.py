"""The keeper's HTTP on a free loopback port, in the test's own loop."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette

from everwake.fleet.schema import Keeper
from everwake.ports import Clock
from everwake.web.app import create
from everwake.web.door import KeeperDoor
from everwake.web.serving import listen, serving
from tests.support.fake_door import FakeDoor


@dataclass
class Site:
    door: FakeDoor
    app: Starlette
    client: httpx.AsyncClient
    port: int

    async def get(self, path: str, status: int = 200) -> Any:
        answer = await self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, status: int = 200) -> Any:
        answer = await self.client.post(path)
        assert answer.status_code == status, answer.text
        return answer.json()


@asynccontextmanager
async def site(
    *names: str,
    settings: Keeper | None = None,
    door: KeeperDoor | None = None,
    clock: Clock | None = None,
    send_buffer_bytes: int | None = None,
) -> AsyncIterator[Site]:
    door = door or FakeDoor(*(names or ("chatbot", "backend")))
    app = create(door, settings or Keeper(), clock=clock)
    listener = listen("127.0.0.1", 0)
    if send_buffer_bytes is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)  # accepted connections inherit it
    port = listener.getsockname()[1]
    async with serving(app, listener), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        yield Site(door, app, client, port)  # type: ignore[arg-type]


@dataclass
class Event:
    id: str
    name: str
    data: Any


class Tab:
    """An `EventSource`: reads events one by one."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> Event:
        """The next event; comments and `retry` are passed over. StopAsyncIteration when the stream has ended."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if line and name:
                fields[name] = value
            elif "data" in fields:
                return Event(fields["id"], fields["event"], json.loads(fields["data"]))
            else:
                fields = {}
        raise StopAsyncIteration

    async def next_of(self, *names: str) -> Event:
        while (event := await self.next()).name not in names:
            pass
        return event


@asynccontextmanager
async def tab(here: Site, last_id: str | None = None) -> AsyncIterator[Tab]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with here.client.stream("GET", "/api/v1/events", headers=headers) as answer:
        assert answer.status_code == 200
        yield Tab(answer)


def raw(port: int, request: bytes) -> socket.socket:
    """A connection of the plainest kind, which has sent `request`."""
    connection = socket.socket()
    connection.settimeout(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(request)
    return connection
