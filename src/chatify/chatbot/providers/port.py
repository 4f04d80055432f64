"""The port behind which a reply is made."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatify.chatbot.sessions import Message

__all__ = ["Chunk", "Provider", "ProviderFailure", "Question", "Unreadable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a provider is asked. history: finished turns, oldest first. text: the new message of the user."""

    personality_id: str
    system_prompt: str
    temperature: float
    history: Sequence[Message]
    text: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a reply; the last piece has done=True and what the provider counted."""

    text: str = ""
    done: bool = False
    model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None


class ProviderFailure(Exception):  # noqa: N818
    """The provider did not reply.

    status, code: as the client is told (contract): 503 provider_unavailable or 502 provider_rejected_key.
    """

    def __init__(self, status: int, code: str, detail: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


class Unreadable(Exception):  # noqa: N818
    """What came from the provider is empty, broken off, or not what its protocol says. For providers among themselves."""


class Provider(Protocol):
    """Makes replies."""

    name: str  # "openai" or "offline"

    def reply(self, question: Question, *, stream: bool) -> AsyncIterator[Chunk]:
        """The reply in pieces; with stream=False in one. Closing the iterator stops the call.

        Raises:
            ProviderFailure: also in the middle of a stream; what was already yielded is then not a reply.
        """
        ...

    async def warm(self) -> None:
        """Import and prepare what the first reply needs, in a thread. Optional: `reply` does it otherwise. Safe to repeat."""

    async def close(self) -> None:
        """Let go of connections."""
