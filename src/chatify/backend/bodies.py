"""The bodies that come in and go out, as docs/backend.md names them; times are RFC 3339 UTC."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chatify.backend.orchestrator import moment
from chatify.backend.outbox import ChatSession, Message
from chatify.problems import Problem
from chatify.said import PersonalityId, Text, UserId

__all__ = [
    "AnsweredBody", "HealthBody", "IncomingMessage", "MessageList", "NewSession", "PersonalityList", "QueuedBody",
    "SessionBody", "answered_body", "failed_problem", "message_body", "session_body",
]  # fmt: skip


class NewSession(BaseModel):
    """Begin a conversation. user_id may be left out where the user is signed in."""

    user_id: UserId | None = None
    personality_id: PersonalityId | None = None


class IncomingMessage(BaseModel):
    """What the user says. message_id: the client's own; the same id again is the same message."""

    message: Text = Field(examples=["Hello"], description="1 to 4,000 characters, not all blank")
    message_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,100}$", examples=["m-1"])] | None = None


class SessionBody(BaseModel):
    """A session. What only the chatbot knows is null until it made its side."""

    model_config = ConfigDict(title="Session")

    session_id: str
    personality_id: str
    status: Literal["ready", "waking"]
    response_limit: int | None
    responses_used: int
    opening: str | None
    created_at: str
    expires_at: str | None


class AnsweredBody(BaseModel):
    """The reply was there in time."""

    model_config = ConfigDict(title="Answered")

    session_id: str
    message_id: str
    status: Literal["answered"]
    response: str
    responses_used: int
    responses_left: int
    provider: str


class QueuedBody(BaseModel):
    """Accepted; the reply comes later."""

    model_config = ConfigDict(title="Queued")

    session_id: str
    message_id: str
    status: Literal["queued"]
    chatbot: Literal["awake", "waking", "unknown"]


class MessageBody(BaseModel):
    """A message and what became of it."""

    model_config = ConfigDict(title="Message")

    message_id: str
    message: str
    status: Literal["queued", "answered", "failed"]
    response: str | None
    provider: str | None
    responses_used: int | None
    responses_left: int | None
    problem: dict[str, Any] | None
    created_at: str
    answered_at: str | None


class MessageList(BaseModel):
    """A page of messages, oldest first."""

    items: list[MessageBody]
    next: str | None = Field(description="pass it as `after` for what follows")


class PersonalityList(BaseModel):
    """Whom one can talk to. stale: the chatbot could not be asked just now."""

    items: list[dict[str, Any]]
    next: str | None
    stale: bool


class HealthBody(BaseModel):
    """The process serves; what it depends on stands beside."""

    model_config = ConfigDict(extra="allow", title="Health")

    status: Literal["healthy"]
    service: Literal["chatify_backend"]


def session_body(session: ChatSession) -> dict[str, Any]:
    """`session` as it is told."""
    made = session.made
    return {
        "session_id": session.id, "personality_id": session.personality_id,
        "status": "waking" if made is None else "ready", "response_limit": made.response_limit if made else None,
        "responses_used": session.answered, "opening": made.opening if made else None, "created_at": moment(session.created_at),
        "expires_at": made.expires_at if made else None,
    }  # fmt: skip


def message_body(message: Message) -> dict[str, Any]:
    """`message` as a list tells it."""
    told = message.outcome or {}
    return {
        "message_id": message.id, "message": message.text, "status": message.status, "response": told.get("response"),
        "provider": told.get("provider"), "responses_used": told.get("responses_used"),
        "responses_left": told.get("responses_left"), "problem": told.get("problem"),
        "created_at": moment(message.created_at),
        "answered_at": None if message.settled_at is None else moment(message.settled_at),
    }  # fmt: skip


def answered_body(session_id: str, message_id: str, told: dict[str, Any]) -> dict[str, Any]:
    """A reply. told: an outcome, or the event that carried it."""
    return {
        "session_id": session_id, "message_id": message_id, "status": "answered", "response": told["response"],
        "responses_used": told["responses_used"], "responses_left": told["responses_left"], "provider": told["provider"],
    }  # fmt: skip


def failed_problem(message_id: str, document: dict[str, Any]) -> Problem:
    """A message's final refusal, to be raised."""
    own = {"type", "title", "status", "code", "detail"}
    more = {key: value for key, value in document.items() if key not in own}
    return Problem(
        int(document["status"]), str(document["code"]), str(document.get("detail", "")),
        more={**more, "message_id": message_id},
    )  # fmt: skip
