"""The head of an HTTP request: bounded in size and in time, before anything of the application runs.

uvicorn with httptools keeps a head of any size and waits for its end for ever; with h11 it bounds the size only
(uvicorn 0.54, uvicorn/protocols/http).
"""

import asyncio
from typing import Any

__all__ = ["HEAD_LIMIT_BYTES", "protocol"]

HEAD_LIMIT_BYTES = 32_768
_LINGER_S = 2.0  # closing at once would reset the connection before the client has read its 431
_TOLD = b"The head of the request is too large.\n"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_TOLD), _TOLD)
)


def protocol(*, head_within_s: float = 15.0, first_byte_within_s: float = 75.0, use_httptools: bool = True) -> Any:
    """uvicorn's HTTP protocol with bounds: httptools' where it is installed, else h11's.

    A head over 32 KiB is 431 (h11: 400), and the connection ends. Who sends nothing, or does not end a head that has begun,
    is cut. A request under way has no timer here, for that is the application's (`chatify.limits`); nor has a connection
    between two requests, which is uvicorn's (timeout_keep_alive).
    """
    if use_httptools:
        try:
            from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
        except ImportError:
            pass
        else:
            return _small(_punctual(HttpToolsProtocol, head_within_s, first_byte_within_s))
    from uvicorn.protocols.http.h11_impl import H11Protocol

    return _punctual(H11Protocol, head_within_s, first_byte_within_s)


def _punctual(base: Any, head_within_s: float, first_byte_within_s: float) -> Any:
    class Punctual(base):  # type: ignore[misc]
        """Cuts those who let us wait for a head."""

        timer: asyncio.TimerHandle | None = None
        has_begun = False
        is_line = False  # a WebSocket now: another protocol has the transport

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self.timer = self.loop.call_later(first_byte_within_s, self.cut)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.is_line:
                return
            if self.cycle is not None and not self.cycle.response_complete:
                self.stop_timer()
            elif self.timer is None or not self.has_begun:
                self.stop_timer()
                self.timer = self.loop.call_later(head_within_s, self.cut)
            self.has_begun = True

        def handle_websocket_upgrade(self, *event: Any) -> None:
            self.is_line = True
            self.stop_timer()
            super().handle_websocket_upgrade(*event)

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop_timer()
            super().connection_lost(exc)

        def stop_timer(self) -> None:
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None

        def cut(self) -> None:
            self.timer = None
            self.transport.abort()

    return Punctual


def _small(base: Any) -> Any:
    class Small(base):  # type: ignore[misc]
        """Refuses a head, or a chunked body's trailer, over the limit.

        Counted are the bytes since the parser last made something of them, by the piece that came, so nothing is walked
        through; a large piece is fed in slices, so that it cannot hide a large head.
        """

        unread_bytes = 0
        has_progressed = False
        is_refused = False

        def data_received(self, data: bytes) -> None:
            for at in range(0, len(data), HEAD_LIMIT_BYTES):
                if self.is_refused or self.is_line or self.transport.is_closing():
                    return
                piece = data if len(data) <= HEAD_LIMIT_BYTES else data[at : at + HEAD_LIMIT_BYTES]
                self.has_progressed = False
                self.unread_bytes += len(piece)
                super().data_received(piece)
                if self.has_progressed:
                    self.unread_bytes = 0
                elif self.unread_bytes > HEAD_LIMIT_BYTES:
                    self.refuse()

        def on_headers_complete(self) -> None:
            # Only a head that came in more than a limit's worth of pieces can be over it; only that one is added up.
            if self.unread_bytes > HEAD_LIMIT_BYTES and self.head_bytes() > HEAD_LIMIT_BYTES:
                raise ValueError("the head is too large")  # ends the parsing: `send_400_response` is called
            self.has_progressed = True
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self.has_progressed = True
            super().on_body(body)

        def on_message_complete(self) -> None:
            self.has_progressed = True
            super().on_message_complete()

        def head_bytes(self) -> int:
            return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

        def send_400_response(self, msg: str) -> None:
            if self.unread_bytes > HEAD_LIMIT_BYTES and not self.has_progressed:
                self.refuse()
            else:
                super().send_400_response(msg)

        def refuse(self) -> None:
            self.is_refused = True
            if self.transport.is_closing():
                return
            if self.cycle is not None and not self.cycle.response_complete:
                self.cut()  # another reply is on its way: this one cannot be told
                return
            self.transport.write(_TOO_LARGE)
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self.stop_timer()
            self.timer = self.loop.call_later(_LINGER_S, self.cut)

    return Small
