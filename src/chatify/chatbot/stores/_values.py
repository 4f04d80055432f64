"""Between the port's values and what a store keeps."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from chatify.chatbot.sessions import Message

__all__ = ["at_us", "digest_of", "messages_of", "turns_of", "us_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def us_of(at: datetime) -> int:
    """Whole microseconds since 1970, exactly."""
    return (at - _EPOCH) // _US


def at_us(us: int) -> datetime:
    """The other way, exactly: until 2242 a double holds a time to better than half a microsecond."""
    return datetime.fromtimestamp(us / 1e6, UTC)


def digest_of(text: str) -> str:
    """What tells two texts apart where one of them need not be kept; 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def messages_of(turns: Iterable[Sequence[Any]]) -> tuple[Message, ...]:
    """Turns as (message_id, question, asked_us, reply, replied_us, provider) -> question and reply, one after the other."""
    messages: list[Message] = []
    add, at = messages.append, datetime.fromtimestamp
    for message_id, question, asked_us, reply, replied_us, provider in turns:
        add(Message(message_id + "-q", "user", question, at(asked_us / 1e6, UTC)))
        add(Message(message_id, "assistant", reply, at(replied_us / 1e6, UTC), provider))
    return tuple(messages)


def turns_of(history: Sequence[Message]) -> list[tuple[Message, Message]]:
    """Question and reply, pair by pair.

    Raises:
        ValueError: they do not alternate, or a question is left over.
    """
    pairs = list(zip(history[::2], history[1::2], strict=False))
    if len(history) % 2 or any((q.role, a.role) != ("user", "assistant") for q, a in pairs):
        raise ValueError("history must be whole turns: user, assistant, user, assistant, ...")
    return pairs
