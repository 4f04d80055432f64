"""The bodies that come in, checked, and those that go out, as the contract names them; times are RFC 3339 UTC."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from chatify.chatbot.sessions import Message, Session
from chatify.problems import Problem

__all__ = ["IncomingMessage", "NewSession", "checked_history", "checked_message", "message_body", "session_body"]

MESSAGE_LIMIT_CHARACTERS = 4_000
# Half of a surrogate pair cannot be encoded, and NUL ends a text for too many programs on the way to a provider.
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def _text(value: str) -> str:
    if _UNUSABLE.search(value):
        raise ValueError("holds a NUL or half of a surrogate pair")
    return value


def _name(value: str) -> str:
    if _CONTROL.search(value) or not value.strip():
        raise ValueError("is blank or holds control characters")
    return value


Text = Annotated[str, AfterValidator(_text)]
UserId = Annotated[str, Field(min_length=1, max_length=200, examples=["user-1"]), AfterValidator(_name)]


class PastMessage(BaseModel):
    """One message of a conversation that is restored."""

    role: Literal["user", "assistant"]
    text: Annotated[Text, Field(min_length=1, max_length=32_000)]


class NewSession(BaseModel):
    """Begin a conversation. history: what was said before, user and assistant in turn, ending with the assistant."""

    user_id: UserId
    personality_id: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_name)] | None = None
    history: Annotated[list[PastMessage], Field(max_length=20_000)] = []


class IncomingMessage(BaseModel):
    """What the user says: 1 to 4,000 characters that are not all blank."""

    message: Text = Field(examples=["Hello"], description="1 to 4,000 characters, not all blank")


def rfc3339(at: datetime) -> str:
    """UTC with milliseconds, as every time in every body."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def checked_message(text: str) -> str:
    """The message without the blanks round it.

    Raises:
        Problem: `message_empty` or `message_too_long`.
    """
    said = text.strip()
    if not said:
        raise Problem(422, "message_empty", "The message is empty.")
    if len(said) > MESSAGE_LIMIT_CHARACTERS:
        detail = f"The message has {len(said)} characters; at most {MESSAGE_LIMIT_CHARACTERS} are taken."
        raise Problem(422, "message_too_long", detail)
    return said


def checked_history(past: Sequence[PastMessage], response_limit: int) -> None:
    """Whether a conversation can be restored under this limit.

    Raises:
        Problem: `invalid_request` when the roles do not alternate or there is more than the limit allows.
    """
    roles = [one.role for one in past]
    if roles != ["user", "assistant"] * (len(roles) // 2):
        raise Problem(422, "invalid_request", "history: user and assistant take turns, and the assistant is the last.")
    if len(past) > 2 * response_limit:
        raise Problem(422, "invalid_request", f"history: more than {response_limit} replies.")


def session_body(session: Session, opening: str | None) -> Mapping[str, Any]:
    """`session` as it is told."""
    return {
        "session_id": session.id, "user_id": session.user_id, "personality_id": session.personality_id,
        "response_limit": session.response_limit, "responses_used": session.responses_used,
        "created_at": rfc3339(session.created_at), "expires_at": rfc3339(session.expires_at), "opening": opening,
    }  # fmt: skip


def message_body(message: Message) -> Mapping[str, Any]:
    """`message` as it is told."""
    return {
        "message_id": message.id, "role": message.role, "text": message.text, "created_at": rfc3339(message.at),
        "provider": message.provider,
    }  # fmt: skip
