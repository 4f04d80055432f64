"""Serve the control API in the platform's own loop, WebSockets included; it ends at once with whoever runs it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

__all__ = ["serving"]

STOPS_WITHIN_S = 1


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to whoever runs the loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are not ours."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when requests are answered."""
        await super().startup(sockets=sockets)
        self.answers.set()


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[str]:
    """`async with serving(create(workspace), listener) as url:` - answers while the block runs; url ends in `/v1`.

    listener: bound to loopback; it is closed at the end. Requests under way get a second, open log lines none.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        # At DEBUG, uvicorn logs the headers of every WebSocket, and one of them is the key.
        log_level="info",
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOPS_WITHIN_S,
    )
    server = _Server(config)
    host, port = listener.getsockname()[:2]
    serve = asyncio.create_task(server.serve(sockets=[listener]), name="sim-api")
    answers = asyncio.create_task(server.answers.wait())
    try:
        await asyncio.wait((serve, answers), return_when=asyncio.FIRST_COMPLETED)
        yield f"http://{host}:{port}/v1"
    finally:
        answers.cancel()
        server.should_exit = True
        await serve
