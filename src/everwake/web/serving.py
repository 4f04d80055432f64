"""Serve the keeper's HTTP in the keeper's own loop: open the port, answer, and let go of live views at once when it ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from everwake.errors import Misused

__all__ = ["listen", "serving"]

STOPS_WITHIN_S = 3
BACKLOG = 512
IDLE_S = 15


def listen(host: str, port: int) -> socket.socket:
    """Open the port; 0 takes a free one.

    Raises:
        Misused: when it is taken, or not ours to open.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    except OSError as failure:
        reason = (failure.strerror or str(failure)).partition(" (")[0]
        raise Misused(f"cannot listen on {host}:{port}: {reason}", hint="set another --port") from None


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to whoever runs the loop and does not wait for live views."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._hub = app.state.hub
        self.answers = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are not ours."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when requests are answered."""
        await super().startup(sockets=sockets)
        self.answers.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Live views never end by themselves."""
        self._hub.close()
        await super().shutdown(sockets=sockets)


@asynccontextmanager
async def serving(app: Starlette, listener: socket.socket) -> AsyncIterator[None]:
    """`async with serving(create(door, settings), listen(host, port)):` - answers while the block runs; closes the listener.

    app: from `web.app.create`. Requests under way get 3 s when it ends.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=STOPS_WITHIN_S,
    )
    server = _Server(config, app)
    serve = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    answers = asyncio.create_task(server.answers.wait())
    try:
        await asyncio.wait((serve, answers), return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        answers.cancel()
        server.should_exit = True
        await serve
