"""The provider that needs no account: a deterministic small talker in the voice of the personality."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from importlib import import_module
from typing import Final

from chatify.chatbot.personalities import DEFAULT_ID, Personality, Voice
from chatify.chatbot.providers.port import Chunk, Question
from chatify.chatbot.sessions import Message

__all__ = ["OfflineProvider"]

MODEL: Final = "small-talk"
PACE_S: Final = 0.012  # between two pieces of a stream, so that it reads as speech and not as a jump
_PIECE = re.compile(r"\s*\S+(?:\s+\S+){0,2}\s*")


class OfflineProvider:
    """The `offline` provider. The same personality, history and message always give the same reply."""

    name = "offline"

    def __init__(self, personalities: Mapping[str, Personality]) -> None:
        self._personalities = personalities
        self._talk: Callable[[str, Voice, Sequence[Message], str], str] | None = None

    async def reply(self, question: Question, *, stream: bool) -> AsyncGenerator[Chunk]:
        """See `Provider.reply`. A personality that has been removed since speaks as the default one."""
        who = self._personalities.get(question.personality_id) or self._personalities[DEFAULT_ID]
        if self._talk is None:
            await self.warm()
        assert self._talk is not None
        text = self._talk(who.name, who.voice, question.history, question.text)
        if stream:
            for piece in _PIECE.findall(text):
                yield Chunk(text=piece)
                await asyncio.sleep(PACE_S)
        else:
            yield Chunk(text=text)
        yield Chunk(done=True, model=MODEL)

    async def warm(self) -> None:
        """Import the talker in a thread: its tables and patterns are more than a cold start should wait for."""
        module = await asyncio.to_thread(import_module, "chatify.chatbot.providers.talker")
        self._talk = module.talk

    async def close(self) -> None:
        """Nothing to let go of."""
