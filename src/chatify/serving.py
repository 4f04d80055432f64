"""Run one application on uvicorn: say when the port is open, stop in order and in time."""

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import threading
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from chatify.heads import HEAD_LIMIT_BYTES, protocol
from chatify.settings import Common

__all__ = ["serve"]

log = logging.getLogger(__name__)

_REPLIES_FINISH_S = 20  # how long replies in the making may take after SIGTERM
_CLIENTS_FINISH_S = 2.0  # a WebSocket whose client reads nothing, or a body that is half here, is cut after this
_GONE_AFTER_S = 24.5  # whatever hangs then, hangs for ever
_COLLECT_AFTER_S = 2.0  # the collector stays off (chatify.cli) while the rest is imported behind the open port
_FRAME_LIMIT_BYTES = 16_384  # KeepAlive's own limit is 4 KiB, and it says 1009 to what is larger


class _Server(uvicorn.Server):
    """uvicorn's server, which also says that it started and does not wait for those who never answer."""

    def __init__(self, config: uvicorn.Config, where: str) -> None:
        super().__init__(config)
        self.where = where

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        log.info("Server started successfully on %s", self.where)
        asyncio.get_running_loop().call_later(_COLLECT_AFTER_S, _collect_from_now_on)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _be_gone_after(_GONE_AFTER_S)
        asyncio.get_running_loop().call_later(_CLIENTS_FINISH_S, self._cut_the_slow)
        await super().shutdown(sockets=sockets)

    def _cut_the_slow(self) -> None:
        """Cut who keeps us: a WebSocket whose close frame nobody reads (its transport would wait for a buffer that never
        drains), and a request whose body is not whole: nobody has begun to answer it."""
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            is_half = cycle is not None and cycle.more_body and not cycle.response_complete
            if is_half or "websocket" in type(connection).__module__:
                with suppress(AttributeError):
                    connection.transport.abort()


def _collect_from_now_on() -> None:
    """What was imported lives as long as the process: freezing spares every later collection the walk through it."""
    gc.freeze()
    gc.enable()


def _be_gone_after(seconds: float) -> None:
    """A thread that hangs in somebody's library must not keep a stopped service alive."""

    def leave() -> None:
        log.error("still not stopped after %s s, leaving", seconds)
        logging.shutdown()
        os._exit(1)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def _listen(host: str, port: int) -> list[socket.socket]:
    """Open the port on every address of `host`.

    Raises:
        OSError: when it is taken or not ours to open.
    """
    opened: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        both = host == "::" and socket.has_dualstack_ipv6()
        try:
            opened.append(socket.create_server(address[:2], family=family, backlog=2048, dualstack_ipv6=both))
        except OSError as failure:
            if failure.errno == errno.EADDRNOTAVAIL and len(found) > 1:
                continue  # `localhost` may name an address that this machine does not have
            for one in opened:
                one.close()
            raise
    if not opened:
        raise OSError(errno.EADDRNOTAVAIL, "this machine has no such address")
    return opened


def serve(app: ASGIApp, settings: Common, *, name: str) -> int:
    """Serve `app` until SIGTERM or Ctrl-C; the exit code.

    0 when it stopped in order, 2 when the port cannot be opened. On a signal: the listener closes, WebSockets close with
    1012, replies in the making get 20 s, then the lifespan ends; a second SIGTERM changes nothing.
    """
    where = f"{settings.bind}:{settings.port}"
    log.info("Starting %s on %s", name, where)
    try:
        listeners = _listen(settings.bind, settings.port)
    except OSError as failure:
        reason = (failure.strerror or str(failure)).partition(" (")[0]
        log.error("Cannot listen on %s: %s. Set PORT (or HOST) to something free.", where, reason)
        return 2
    config = uvicorn.Config(
        app,
        host=settings.bind,
        port=settings.port,
        log_config=None,
        access_log=settings.debug,
        http=protocol(),
        h11_max_incomplete_event_size=HEAD_LIMIT_BYTES,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=_FRAME_LIMIT_BYTES,
        timeout_graceful_shutdown=_REPLIES_FINISH_S,
        server_header=False,
        proxy_headers=False,
    )
    server = _Server(config, where)
    # uvicorn raises the signal again once it has stopped, for whoever had it before: that is this handler, so that the
    # process ends with 0 instead of by the signal.
    for name_of in ("SIGTERM", "SIGINT", "SIGBREAK"):  # the last is Ctrl-Break, Windows only
        if hasattr(signal, name_of):
            signal.signal(getattr(signal, name_of), server.handle_exit)
    server.run(sockets=listeners)
    return 0
