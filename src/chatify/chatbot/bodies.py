"""The bodies that come in and go out, as the contract names them; times are RFC 3339 UTC."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from chatify.chatbot.sessions import Message, Session
from chatify.problems import Problem

__all__ = [
    "AnswerBody", "HealthBody", "IncomingMessage", "MessageList", "NewSession", "PersonalityList", "ReadyBody",
    "SessionBody", "checked_message", "message_body", "rfc3339", "session_body",
]  # fmt: skip

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


class SessionBody(BaseModel):
    """A session."""

    model_config = ConfigDict(title="Session")

    session_id: str
    user_id: str
    personality_id: str
    response_limit: int
    responses_used: int
    created_at: datetime
    expires_at: datetime
    opening: str | None = Field(description="the personality's opening line")


class MessageBody(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(title="Message")

    message_id: str
    role: Literal["user", "assistant"]
    text: str
    created_at: datetime
    provider: str | None


class MessageList(BaseModel):
    """A page of messages, oldest first."""

    items: list[MessageBody]
    next: str | None = Field(description="pass it as `after` for what follows")


class AnswerBody(BaseModel):
    """A reply."""

    model_config = ConfigDict(title="Answer")

    session_id: str
    message_id: str
    response: str
    responses_used: int
    responses_left: int
    provider: str


class PersonalityBody(BaseModel):
    """Whom one can talk to."""

    model_config = ConfigDict(title="Personality")

    id: str
    name: str
    description: str
    opening: str


class PersonalityList(BaseModel):
    """Every personality."""

    items: list[PersonalityBody]
    next: str | None


class HealthBody(BaseModel):
    """The process serves; what it depends on stands beside."""

    model_config = ConfigDict(extra="allow", title="Health")

    status: Literal["healthy"]
    service: Literal["chatify_chatbot"]
    version: str
    provider: dict[str, Any]
    store: dict[str, Any]


class ReadyBody(BaseModel):
    """Whether sessions and messages can be had now. dependencies: name -> state."""

    model_config = ConfigDict(title="Ready")

    status: Literal["ready", "not_ready"]
    service: Literal["chatify_chatbot"]
    dependencies: dict[str, dict[str, Any]]


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
