"""The bodies that come in, checked, and those that go out, as the contract names them; times are RFC 3339 UTC."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from chatify.chatbot.sessions import Message, Session
from chatify.problems import Problem
from chatify.said import PersonalityId, Text, UserId

__all__ = ["IncomingMessage", "NewSession", "checked_history", "message_body", "session_body"]


class PastMessage(BaseModel):
    """One message of a conversation that is restored."""

    role: Literal["user", "assistant"]
    text: Annotated[Text, Field(min_length=1, max_length=32_000)]


class NewSession(BaseModel):
    """Begin a conversation. history: what was said before, user and assistant in turn, ending with the assistant."""

    user_id: UserId
    personality_id: PersonalityId | None = None
    history: Annotated[list[PastMessage], Field(max_length=20_000)] = []


class IncomingMessage(BaseModel):
    """What the user says: 1 to 4,000 characters that are not all blank."""

    message: Text = Field(examples=["Hello"], description="1 to 4,000 characters, not all blank")


def rfc3339(at: datetime) -> str:
    """UTC with milliseconds, as every time in every body."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
