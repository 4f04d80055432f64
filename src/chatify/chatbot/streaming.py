"""A reply as Server-Sent Events: each piece goes out when it is there, and nobody works for a client that has gone."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Event", "EventStream"]

Event = tuple[str, Mapping[str, Any]]  # name and data

_COMMENT_EVERY_S = 15.0  # proxies cut a silent answer after 30-100 s
_SEND_WITHIN_S = 30.0  # a client that takes longer to read one piece is as good as gone


class _Gone(Exception):  # noqa: N818
    """The client went away."""


class EventStream(Response):
    """Sends `events` until they end or the client goes; then the generator is closed, which stops what makes them."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[Event, None],
        *,
        comment_every_s: float = _COMMENT_EVERY_S,
        send_within_s: float = _SEND_WITHIN_S,
    ) -> None:
        self._events, self._comment_every_s, self._send_within_s = events, comment_every_s, send_within_s
        self._sent_at_s = 0.0
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._events) as events, asyncio.TaskGroup() as group:
                watchers = (group.create_task(_until_gone(receive)), group.create_task(self._comment(send)))
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for name, data in events:
                    await self._send(send, f"event: {name}\ndata: {json.dumps(data)}\n\n")
                for watcher in watchers:
                    watcher.cancel()
                await send({"type": "http.response.body", "body": b""})
        except* _Gone:
            pass

    async def _send(self, send: Send, text: str) -> None:
        self._sent_at_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._send_within_s):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        except (TimeoutError, OSError):
            raise _Gone from None

    async def _comment(self, send: Send) -> None:
        """A comment whenever nothing was sent for a while."""
        loop = asyncio.get_running_loop()
        self._sent_at_s = loop.time()
        while True:
            await asyncio.sleep(max(0.01, self._sent_at_s + self._comment_every_s - loop.time()))
            if loop.time() - self._sent_at_s >= self._comment_every_s:
                await self._send(send, ": the reply is being made\n\n")


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _Gone
