"""New lines of a service's log as they come: over a WebSocket where the platform lets us, else by asking again and again.

`GET /logs/subscribe` is upgraded to a WebSocket (OpenAPI description, read 2026-11); the official package asks for it with a
plain GET, so it is held with `websockets`.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from everwake.errors import EverwakeError, MissingExtra, OutOfReach
from everwake.keepalive.reconnect import Backoff
from everwake.model import PlatformLine
from everwake.platforms import _reading
from everwake.platforms._door import Door, is_loopback

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

__all__ = ["Following"]

log = logging.getLogger(__name__)

REMEMBERED = 5_000
FRAME_LIMIT_BYTES = 1_048_576
POLL_S = 5.0
# `websockets` writes the headers of its handshake to its logger at DEBUG, and one of them is the key.
_SILENT = logging.Logger("everwake.platforms.silent", logging.CRITICAL)


class Following:
    """Follows one service. fetch: lines since a moment, oldest first.   said: called with each line, before it is given out."""

    def __init__(
        self,
        door: Door,
        *,
        owner_id: str,
        service_id: str,
        since: datetime,
        fetch: Callable[[datetime], Awaitable[Sequence[PlatformLine]]],
        said: Callable[[PlatformLine], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._door, self._fetch, self._said, self._since = door, fetch, said, since
        self._query = urlencode({"ownerId": owner_id, "resource": service_id})
        self._backoff = backoff or Backoff(first_s=1.0, most_s=30.0, stable_s=30.0)
        self._seen: set[str] = set()
        self._order: deque[str] = deque()
        self._has_worked = False

    async def lines(self) -> AsyncIterator[PlatformLine]:
        """For ever; each line once. Raises OutOfReach when it cannot begin, or when the key is refused."""
        drops = 0
        while True:
            began_s, upgraded, refused = self._door.clock.monotonic(), False, False
            try:
                async with self._open() as connection:
                    upgraded = self._has_worked = True
                    for line in await self._missed():
                        yield line
                    async for line in self._stream(connection):
                        yield line
            except _NoUpgrade as answer:
                if answer.told is not None:
                    raise answer.told from None
                refused = answer.for_good
            except (OSError, TimeoutError, EverwakeError) as error:
                if isinstance(error, EverwakeError) and not isinstance(error, OutOfReach):
                    raise
            lived_s = self._door.clock.monotonic() - began_s if upgraded else 0.0
            drops = self._backoff.drops(drops, lived_s)
            if not upgraded:
                # Lines are had by asking, as long as that works; when neither does at the start, it is told.
                for line in await self._missed_if_it_can():
                    yield line
            log.info("platform.log_line_dropped", extra={"platform": self._door.name, "drops": drops})
            await self._door.clock.sleep(POLL_S if refused else self._backoff.delay_s(drops, self._door.roll()))

    # --- over the line ------------------------------------------------------------------------------------------------

    def _open(self) -> "_Opened":
        return _Opened(self._door, self._query)

    async def _stream(self, connection: "ClientConnection") -> AsyncIterator[PlatformLine]:
        from websockets.exceptions import ConnectionClosed

        while True:
            try:
                frame = await connection.recv()
            except ConnectionClosed:
                return
            try:
                line = _reading.line(_reading.record(json.loads(frame)))
            except (ValueError, RecursionError):
                log.warning("platform.unreadable_line", extra={"platform": self._door.name})
                continue
            if self._is_new(line):
                yield line

    # --- by asking ----------------------------------------------------------------------------------------------------

    async def _missed(self) -> Sequence[PlatformLine]:
        return [line for line in await self._fetch(self._since) if self._is_new(line)]

    async def _missed_if_it_can(self) -> Sequence[PlatformLine]:
        try:
            missed = await self._missed()
        except OutOfReach:
            if not self._has_worked:
                raise
            return ()
        self._has_worked = True
        return missed

    def _is_new(self, line: PlatformLine) -> bool:
        if line.id in self._seen:
            return False
        self._seen.add(line.id)
        self._order.append(line.id)
        if len(self._order) > REMEMBERED:
            self._seen.discard(self._order.popleft())
        self._since = max(self._since, line.at)
        self._said(line)
        return True


class _NoUpgrade(Exception):  # noqa: N818
    """The platform answered with something else. for_good: it will not be otherwise next time.   told: and it is the end."""

    def __init__(self, for_good: bool, told: OutOfReach | None = None) -> None:
        self.for_good, self.told = for_good, told


class _Opened:
    """`async with` around one WebSocket; redirects are not followed, for the key would go with them."""

    def __init__(self, door: Door, query: str) -> None:
        self._door, self._uri = door, f"ws{door.url.removeprefix('http')}/logs/subscribe?{query}"
        self._connection: ClientConnection | None = None

    async def __aenter__(self) -> "ClientConnection":
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import InvalidHandshake, InvalidStatus
        except ModuleNotFoundError:
            raise MissingExtra("what follows a log", "websockets") from None

        class Connect(connect):
            def process_redirect(self, exc: Exception) -> Exception:
                return exc

        arguments: dict[str, Any] = {"proxy": None} if is_loopback(self._door.url) else {}
        try:
            self._connection = await Connect(
                self._uri,
                additional_headers={"Authorization": self._door.authorization},
                user_agent_header="everwake",
                open_timeout=self._door.manners.connect_s,
                close_timeout=1,
                max_size=FRAME_LIMIT_BYTES,
                logger=_SILENT,
                **arguments,
            )
        except InvalidStatus as answer:
            status = answer.response.status_code
            if status == 401:
                raise _NoUpgrade(for_good=True, told=self._door.refused()) from None
            raise _NoUpgrade(for_good=status < 500 and status != 429) from None
        except InvalidHandshake:
            raise _NoUpgrade(for_good=False) from None
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            await asyncio.shield(self._connection.close())
