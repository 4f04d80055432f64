"""Real uvicorn servers on loopback for these tests, in the test's own loop, and a client that speaks the protocol."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from websockets.asyncio.client import ClientConnection, connect

WITHIN_S = 10.0


@contextlib.asynccontextmanager
async def serving(app: Any, **settings: Any) -> AsyncIterator[str]:
    """`app` on a free port; yields `ws://127.0.0.1:PORT`."""
    listener = socket.create_server(("127.0.0.1", 0))
    usual: dict[str, Any] = {
        "ws": "websockets-sansio",
        "ws_per_message_deflate": False,
        "log_config": None,
        "lifespan": "off",
        "timeout_graceful_shutdown": 2,
    }
    server = uvicorn.Server(uvicorn.Config(app, **usual | settings))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(contextlib.closing(listener))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(WITHIN_S):
            while not server.started:
                await asyncio.sleep(0)
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True


def opened(url: str, **settings: Any) -> connect:
    usual: dict[str, Any] = {"compression": None, "ping_interval": None, "close_timeout": 1, "proxy": None}
    return connect(url, **usual | settings)


async def heard(line: ClientConnection) -> dict[str, Any]:
    """The next message."""
    async with asyncio.timeout(WITHIN_S):
        found = json.loads(await line.recv())
    assert isinstance(found, dict)
    return found


async def ended(line: ClientConnection) -> int | None:
    """The close code, once the line has ended."""
    async with asyncio.timeout(WITHIN_S):
        await line.wait_closed()
    return line.close_code


async def until(condition: Any) -> None:
    """Wait for a condition that other tasks bring about."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.001)
