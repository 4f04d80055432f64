"""Whether Redis answers: one PING for all who ask at once, never longer than its deadline."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chatify.redis_client import Reason, RedisLink, RedisUnavailable

__all__ = ["Answers", "Pulse", "Silent"]

_log = logging.getLogger(__name__)

_FRESH_S = 1.0  # hosted Redis bills by the command: who hammers /health must not run up the bill
_RETRY_FIRST_S, _RETRY_MOST_S = 0.25, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """PING was answered. latency_s: the round trip."""

    latency_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """It was not. detail: for people, masked."""

    reason: Reason
    detail: str


class Pulse:
    """What `/health` asks. url: None where Redis is not configured.   deadline_s: bounds every answer."""

    def __init__(self, url: str | None, *, deadline_s: float = 2.0) -> None:
        self._link = None if url is None else RedisLink(url, deadline_s=deadline_s, connections=2, probe_after_s=0)
        self._group: asyncio.TaskGroup | None = None
        self._under_way: asyncio.Task[Answers | Silent] | None = None
        self._last: Answers | Silent | None = None
        self._felt_at = float("-inf")
        self._ever_answered = False

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Owns the pings; tries in the background until the first is answered, so that the log says so."""
        if self._link is None:
            _log.warning("Redis not configured")
            yield
            return
        try:
            async with asyncio.TaskGroup() as self._group:
                first = self._group.create_task(self._until_it_answers())
                yield
                first.cancel()
                if self._under_way is not None:
                    self._under_way.cancel()
        finally:
            self._group = None
            await self._link.close()

    async def feel(self) -> Answers | Silent:
        """What Redis says now, or said within the last second."""
        if self._link is None or self._group is None:
            return Silent(reason="not_configured", detail="REDIS_URL is not set")
        loop = asyncio.get_running_loop()
        if isinstance(self._last, Answers) and loop.time() - self._felt_at < _FRESH_S:
            return self._last
        if self._under_way is None or self._under_way.done():
            self._under_way = self._group.create_task(self._ping(self._link))
        # Shielded: a client that goes away must not take the answer from those who wait with it.
        return await asyncio.shield(self._under_way)

    async def _ping(self, link: RedisLink) -> Answers | Silent:
        seen: Answers | Silent
        try:
            seen = Answers(latency_s=await link.ping())
        except RedisUnavailable as failure:
            seen = Silent(reason=failure.reason, detail=failure.detail)
        except Exception:  # the task's outermost frame: a mistake of ours must not end the service
            _log.exception("a PING failed in an unexpected way")
            seen = Silent(reason="error", detail="an unexpected error; it is logged")
        self._say(seen)
        self._last, self._felt_at = seen, asyncio.get_running_loop().time()
        return seen

    def _say(self, seen: Answers | Silent) -> None:
        """Log what changed."""
        if isinstance(seen, Silent):
            if not isinstance(self._last, Silent) or self._last.reason != seen.reason:
                _log.warning("Redis does not answer: %s (%s)", seen.reason, seen.detail)
        elif not self._ever_answered:
            self._ever_answered = True
            _log.info("Redis service initialized")
        elif isinstance(self._last, Silent):
            _log.info("Redis answers again")

    async def _until_it_answers(self) -> None:
        wait_s = _RETRY_FIRST_S
        while isinstance(await self.feel(), Silent):
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
            wait_s = min(2 * wait_s, _RETRY_MOST_S)
