"""Whom one can talk to, also while the chatbot sleeps: what it said last is kept."""

import json
import time
from typing import Any

from chatify.backend.answers import NotThere
from chatify.backend.chatbot import Chatbot
from chatify.backend.outbox import Outbox, OutboxUnavailable
from chatify.backend.waker import Waker

__all__ = ["Personalities"]

FRESH_S = 300.0
ASK_WITHIN_S = 3.0
LOOK_WITHIN_S = 1.0
_NOTE = "personalities"
# The contract's default; it is what a chatbot that was never seen certainly has.
_NEVER_SEEN = [{"id": "general-assistant", "name": "General assistant"}]


class Personalities:
    """Asks the chatbot every five minutes at the most."""

    def __init__(self, chatbot: Chatbot, waker: Waker, outbox: Outbox) -> None:
        self._chatbot = chatbot
        self._waker = waker
        self._outbox = outbox
        self._items: list[dict[str, Any]] | None = None
        self._asked_at = float("-inf")

    async def offered(self) -> tuple[list[dict[str, Any]], bool]:
        """Them, and whether they are only what was known last."""
        if self._items is not None and time.monotonic() - self._asked_at < FRESH_S:
            return self._items, False
        if await self._waker.is_awake(LOOK_WITHIN_S):
            began_at = time.monotonic()
            found = await self._chatbot.personalities(ASK_WITHIN_S)
            self._waker.report(found, began_at)
            if not isinstance(found, NotThere):
                await self._keep(found)
                return found, False
        return self._items or await self._kept() or _NEVER_SEEN, True

    async def knows(self, personality_id: str) -> bool | None:
        """Is there such a one? None: not known."""
        items = self._items or await self._kept()
        return None if items is None else any(item["id"] == personality_id for item in items)

    async def _keep(self, items: list[dict[str, Any]]) -> None:
        is_news = items != self._items
        self._items, self._asked_at = items, time.monotonic()
        if is_news:
            try:
                await self._outbox.remember(_NOTE, json.dumps(items))
            except OutboxUnavailable:
                self._asked_at = float("-inf")  # asked, and kept, again next time

    async def _kept(self) -> list[dict[str, Any]] | None:
        try:
            text = await self._outbox.recall(_NOTE)
        except OutboxUnavailable:
            return None
        self._items = json.loads(text) if text else None
        return self._items
