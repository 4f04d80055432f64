"""The OpenAPI document, made when somebody asks for it: the answers of every route, named one by one.

tests/chatify/chatbot/test_openapi.py holds it to the truth.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from chatify.chatbot.bodies import IncomingMessage, NewSession
from chatify.problems import MEDIA_TYPE
from chatify.web import ProblemDocument

__all__ = ["document"]


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


_BASE, _ONE = "/api/v1/chatbot", "/api/v1/chatbot/session/{session_id}"
_REF = "#/components/schemas/{model}"
_KEY = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "description": "1 to 200 visible ASCII characters; the same key, the same reply",
    "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,200}$"},
}  # fmt: skip
_ID = {"name": "session_id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 200}}
_AFTER = {
    "name": "after", "in": "query", "required": False, "schema": {"type": "string", "maxLength": 200},
    "description": "`next` of the page before",
}  # fmt: skip
_LIMIT = {
    "name": "limit", "in": "query", "required": False,
    "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 100},
}  # fmt: skip

# method and path: (what it does, parameters, body, answer, problems)
_ROUTES: Mapping[tuple[str, str], tuple[str, list[Any], type[BaseModel] | None, type[BaseModel] | None, tuple[int, ...]]] = {
    ("get", "/health"): ("The process serves. Waits for nothing.", [], None, HealthBody, ()),
    ("get", "/health/ready"): ("Whether sessions and messages can be had now.", [], None, ReadyBody, ()),
    ("get", f"{_BASE}/personalities"): ("Whom one can talk to.", [], None, PersonalityList, ()),
    ("post", f"{_BASE}/session"): (
        "Begin a conversation.", [], NewSession, SessionBody, (401, 403, 408, 413, 415, 422, 503),
    ),
    ("get", _ONE): ("A session.", [_ID], None, SessionBody, (401, 404, 410, 422, 503)),
    ("delete", _ONE): ("Forget a session and its messages.", [_ID], None, None, (401, 404, 422, 503)),
    ("get", f"{_ONE}/messages"): (
        "Finished messages, oldest first.", [_ID, _AFTER, _LIMIT], None, MessageList, (401, 404, 410, 422, 503),
    ),
    ("post", f"{_ONE}/message"): (
        "Say something and get the reply; with `Accept: text/event-stream` in pieces (`delta`, then `done` or `error`).",
        [_ID, _KEY], IncomingMessage, AnswerBody, (401, 404, 408, 409, 410, 413, 415, 422, 429, 502, 503),
    ),
}  # fmt: skip


def document(title: str, version: str) -> dict[str, Any]:
    """The whole document."""
    bodies = {route[2] for route in _ROUTES.values() if route[2]}
    answers = {route[3] for route in _ROUTES.values() if route[3]} | {ProblemDocument}
    names, definitions = models_json_schema(
        [*((body, "validation") for body in sorted(bodies, key=lambda m: m.__name__)),
         *((answer, "serialization") for answer in sorted(answers, key=lambda m: m.__name__))],
        ref_template=_REF,
    )  # fmt: skip
    paths: dict[str, Any] = {}
    for (method, path), (said, parameters, body, answer, problems) in _ROUTES.items():
        found: dict[str, Any] = {}
        if answer is None:
            found["204"] = {"description": "Done"}
        else:
            found["200"] = {
                "description": said,
                "content": {"application/json": {"schema": names[answer, "serialization"]}},
            }
        if path.endswith("/message"):
            found["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
        if path == "/health/ready":
            found["503"] = found["200"]
        refused = {MEDIA_TYPE: {"schema": names[ProblemDocument, "serialization"]}}
        found |= {str(status): {"description": "Problem document", "content": refused} for status in problems}
        operation: dict[str, Any] = {"summary": said, "responses": found}
        if parameters:
            operation["parameters"] = parameters
        if body is not None:
            content = {"application/json": {"schema": names[body, "validation"]}}
            operation["requestBody"] = {"required": True, "content": content}
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0", "info": {"title": title, "version": version}, "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }  # fmt: skip
