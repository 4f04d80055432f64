"""Tells Everwake's keeper that somebody is about to use the chatbot, so that it is woken ahead and held awake meanwhile.

Nobody waits for it: what asks only sets a flag, one task sends, and a keeper that does not answer changes nothing but the log.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Keeper"]

log = logging.getLogger(__name__)

# A keeper holds a service for ten minutes after the last word; a page that is looked at says so every few minutes.
HOLD_S = 600
LEAST_APART_S = 20.0
ANSWER_S = 5.0
ANSWER_BYTES = 65_536


class Keeper:
    """The keeper at `url`. chatbot_url: of whom it is to wake, what that needs first.   token: for one that asks for it."""

    def __init__(
        self, url: str, chatbot_url: str, *, token: str | None, least_apart_s: float = LEAST_APART_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        query = urlencode({"url": chatbot_url.rstrip("/"), "hold": HOLD_S})
        self._address = f"{url.rstrip('/')}/api/v1/wake?{query}"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._least_apart_s, self._monotonic = least_apart_s, monotonic
        self._wanted = asyncio.Event()
        self._problem: str | None = None
        self._session: ClientSession | None = None

    def used(self) -> None:
        """Somebody uses the chatbot, or is about to. Returns at once, however often it is called."""
        self._wanted.set()

    async def run(self) -> None:
        """Send what is wanted, each time once and never faster than allowed. Until it is cancelled."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                began_s = self._monotonic()
                self._note(await self._say())
                await asyncio.sleep(max(0.0, self._least_apart_s - (self._monotonic() - began_s)))
        finally:
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    async def _say(self) -> str | None:
        """Ask once; what went wrong, in a few words."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "chatify-backend"}
            )
        limits = aiohttp.ClientTimeout(total=ANSWER_S)
        try:
            async with self._session.post(
                self._address, headers=self._headers, timeout=limits, allow_redirects=False
            ) as response:
                await response.content.read(ANSWER_BYTES)
                return None if response.status in (200, 202) else f"it answered {response.status}"
        except TimeoutError:
            return "no answer in time"
        except (aiohttp.ClientError, OSError, ValueError):
            return "it could not be reached"

    def _note(self, problem: str | None) -> None:
        """Once when it begins to fail, and once when it works again."""
        if problem != self._problem:
            if problem is not None:
                log.warning("[KEEPER] the keeper was not told that the chatbot is needed: %s", problem)
            elif self._problem is not None:
                log.info("[KEEPER] the keeper is told again when the chatbot is needed")
        self._problem = problem
