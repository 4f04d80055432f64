"""Events between backends that share a Redis: publish and subscribe, a channel for each session that a page watches.

Messages published by this process come back to it too; they carry its name and are left out.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from chatify.backend.stores.redis import RedisOutbox
from chatify.redis_client import RedisUnavailable

__all__ = ["RedisWire"]

WAIT_S = 2.0


class RedisWire:
    """`Wire` on the outbox's Redis. Every failure is an OSError."""

    def __init__(self, outbox: RedisOutbox) -> None:
        self._link = outbox.link
        self._prefix = f"{outbox.prefix}events:"
        self._me = secrets.token_hex(8)
        self._pubsub: Any = None

    async def send(self, session_id: str, event: str) -> None:
        await self._call(lambda client: client.publish(self._prefix + session_id, self._me + event))

    async def listen(self, session_id: str) -> None:
        await self._call(lambda client: self._line(client).subscribe(self._prefix + session_id))

    async def ignore(self, session_id: str) -> None:
        await self._call(lambda client: self._line(client).unsubscribe(self._prefix + session_id))

    async def is_heard(self, session_id: str) -> bool:
        [(_, count)] = await self._call(lambda client: client.pubsub_numsub(self._prefix + session_id))
        return int(count) > 0

    async def events(self) -> AsyncIterator[tuple[str, str]]:
        # A channel nobody uses: with none at all there is nothing to read from.
        await self.listen("")
        line = self._pubsub

        async def read(_: Any) -> Any:
            return await line.get_message(ignore_subscribe_messages=True, timeout=WAIT_S)

        try:
            while True:
                found = await self._call(read)
                if found is not None and found["type"] == "message":
                    channel, text = found["channel"].decode(), found["data"].decode()
                    if not text.startswith(self._me):
                        yield channel.removeprefix(self._prefix), text[len(self._me) :]
        finally:
            self._pubsub = None
            await line.aclose()

    def _line(self, client: Any) -> Any:
        if self._pubsub is None:
            self._pubsub = client.pubsub()
        return self._pubsub

    async def _call(self, run: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return await self._link.call(run)
        except RedisUnavailable as failure:
            raise ConnectionError(failure.reason) from failure
