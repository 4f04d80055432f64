"""Chat: a whole conversation - a session, a message, a reply that is not empty."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import quote

from everwake.checks import http
from everwake.checks._expect import at_path
from everwake.checks._kind import CheckKind, Tape, Unmet
from everwake.checks._transfer import Answer, Manner, header_lines
from everwake.fleet.schema import Secret, Service, setting
from everwake.model import Failure, FailureKind, Phase

__all__ = ["KIND", "Spec", "observe", "settled"]

BODY_BYTES: Final = 262_144
# How the mission's services are spoken to: straight, or through the backend that queues for a sleeping chatbot.
_PATHS: Final = {
    "chatbot": ("/api/v1/chatbot/session", "/api/v1/chatbot/session/{session_id}/message"),
    "backend": ("/api/v1/chat/sessions", "/api/v1/chat/sessions/{session_id}/messages"),
}
# Where a service of another make may put these.
_SESSION_AT: Final = ("session_id", "id")
_REPLY_AT: Final = ("response", "reply", "text", "message.text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Whom to talk to, as whom, and what to say."""

    url: str = setting(default="", reads="url", help="scheme://host[:port]; the service's own when left out")
    through: Literal["chatbot", "backend"] = setting(default="chatbot", help="whose paths are used")
    session_path: str = setting(default="", reads="route", help="POST here makes a session, instead of the usual path")
    message_path: str = setting(
        default="", reads="route", help="POST here says something, with {session_id}; GET lists the messages"
    )
    user_id: str = setting(default="everwake", help="the user who talks")
    personality_id: str = setting(default="general-assistant", help="the personality that answers")
    message: str = setting(default="Are you there?", help="what is said; a real provider bills for it")
    headers: Mapping[str, str | Secret] | None = setting(
        default=None, reads="map", help='headers to send, such as Authorization = { env = "TOKEN" }'
    )
    poll_s: float = setting(
        default=1.0, ge=0.05, le=60, reads="seconds", key="poll", help="pause between looks for a queued reply"
    )
    ca_file: str | None = setting(default=None, reads="path", help="authorities to trust instead of the machine's")


def settled(spec: Spec, service: Service) -> Spec:
    """The spec with the service's own address where none is given."""
    return replace(spec, url=spec.url or service.url)


async def observe(spec: Spec, tape: Tape) -> Failure | None:
    """Make a session, say something, wait for the reply: at once, or queued (202) and then found among the messages."""
    session_path, message_path = _PATHS[spec.through]
    with tape.phase(Phase.SESSION):
        who = {"user_id": spec.user_id, "personality_id": spec.personality_id}
        made = await _call(spec, tape, spec.session_path or session_path, who)
        session_id = _first_text(made, _SESSION_AT)
        if not session_id:
            raise Unmet(FailureKind.JSON, Phase.SESSION, "the session has no id")
        if spec.through == "backend" and isinstance(made, dict) and made.get("status") == "waking":
            await _is_somewhere(spec, tape)
    path = (spec.message_path or message_path).replace("{session_id}", quote(session_id, safe=""))
    with tape.phase(Phase.MESSAGE):
        said = await _call(spec, tape, path, {"message": spec.message})
        is_queued = tape.status == 202
    with tape.phase(Phase.REPLY):
        while is_queued:
            await tape.clock.sleep(spec.poll_s)
            if reply := _reply_among(await _call(spec, tape, path, None)):
                tape.excerpt = reply[: http.EXCERPT_CHARS]
                return None
        if not (reply := _first_text(said, _REPLY_AT)):
            raise Unmet(FailureKind.ANSWER, Phase.REPLY, "the reply is empty")
        tape.excerpt = reply[: http.EXCERPT_CHARS]
    return None


async def _is_somewhere(spec: Spec, tape: Tape) -> None:
    """A chatbot that sleeps is waited for; one whose address leads to nobody does not come, and the backend knows it."""
    health = await _call(spec, tape, "/health", None)
    chatbot = health.get("chatbot") if isinstance(health, dict) else None
    if isinstance(chatbot, dict) and str(chatbot.get("detail") or "").startswith("no_such_host"):
        raise Unmet(FailureKind.ANSWER, Phase.SESSION, "the address that it has for its chatbot leads to nobody")


async def _call(spec: Spec, tape: Tape, path: str, body: Mapping[str, str] | None) -> Any:
    """POST a JSON body, or GET without one, and answer the JSON that comes back. Raises Unmet."""
    usual = (
        {"accept": "application/json"}
        if body is None
        else {"accept": "application/json", "content_type": "application/json"}
    )
    manner = Manner(
        method="GET" if body is None else "POST",
        headers=header_lines(spec.headers, **usual),
        body=None if body is None else json.dumps(body).encode(),
        # A provider may think for long before, and between, the words it streams.
        transfer_s=None,
        redirects=0,
        body_limit_bytes=BODY_BYTES,
        keep_bytes=BODY_BYTES,
        ca_file=spec.ca_file,
    )
    answer = await tape.looker.ask(spec.url + path, manner, tape.left_s)
    phases = tape.phases
    http.write_down(answer, tape)
    tape.phases = phases
    _check(answer, tape.now)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Unmet(FailureKind.JSON, tape.now, "the answer is not JSON") from None


def _check(answer: Answer, phase: Phase) -> None:
    if answer.failure is not None:
        where = f"{answer.failure.phase}: {answer.failure.detail}"
        raise Unmet(answer.failure.kind, phase, where[:300])
    if not 200 <= answer.status <= 299:
        kind = FailureKind.AUTH if answer.status in (401, 403) else FailureKind.STATUS
        raise Unmet(kind, phase, f"status {answer.status}")


def _first_text(document: Any, paths: tuple[str, ...]) -> str:
    for path in paths:
        try:
            found = at_path(document, path)
        except KeyError:
            continue
        if isinstance(found, str) and found.strip():
            return found
    return ""


def _reply_among(document: Any) -> str:
    """What was said after our message: an opening line, said before it, is no reply."""
    items = document.get("items") if isinstance(document, dict) else document
    reply, has_asked = "", False
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and item.get("role") == "user":
            reply, has_asked = "", True
        elif has_asked:
            reply = reply or _first_text(item, ("text", "response", "content"))
    return reply


KIND = CheckKind(name="chat", help=__doc__, spec=Spec, observe=observe, settled=settled)
