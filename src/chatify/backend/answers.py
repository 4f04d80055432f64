"""What came back from the chatbot, as values; and how bytes on the wire become them.

Between us and the chatbot stands an edge (the platform's proxy), which answers in the chatbot's place while it is asleep,
restarting or gone. Only a problem document with one of our codes, or the very body asked for, is taken for the chatbot's own
word; everything else is `NotThere`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

__all__ = [
    "NO_SUCH_HOST",
    "Answered",
    "Created",
    "EventStream",
    "NotThere",
    "Refused",
    "Reply",
    "TooMuch",
    "read_answer",
    "read_created",
]

LONGEST_RETRY_AFTER_S = 3600.0
NO_SUCH_HOST = "no_such_host"
EVENT_LIMIT_BYTES = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The reply to a message."""

    response: str
    responses_used: int
    responses_left: int
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A session the chatbot made."""

    session_id: str
    personality_id: str
    response_limit: int
    opening: str | None
    expires_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The chatbot itself said no. problem: its document, with `status`, `code` and `detail`."""

    status: int
    code: str
    problem: Mapping[str, Any] = field(default_factory=dict)
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotThere:
    """Nothing of the chatbot's own came back. why: `refused` `timeout` `broken` `edge` `not_ours`, or `no_such_host`: its name
    belongs to nobody; status: the edge's."""

    why: str
    status: int | None = None
    retry_after_s: float | None = None


Reply = Answered | Refused | NotThere


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds asked for by a Retry-After header (RFC 9110 10.2.3: seconds or a date), 0 to an hour. now: Unix seconds."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(float(text), LONGEST_RETRY_AFTER_S)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - datetime.fromtimestamp(now, UTC)).total_seconds(), 0.0), LONGEST_RETRY_AFTER_S)


def read_answer(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Reply:
    """An answer to a message. headers: any mapping that finds names whatever their case."""
    if status == 200 and (found := _object(body)) is not None:
        return _answered(found) or NotThere(why="not_ours", status=200)
    return _no(status, headers, body, now)


def read_created(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Created | Refused | NotThere:
    """An answer to the making of a session."""
    if status == 200 and (found := _object(body)) is not None:
        session_id, personality_id, limit = (
            found.get("session_id"), found.get("personality_id"), found.get("response_limit")
        )  # fmt: skip
        opening, expires_at = found.get("opening"), found.get("expires_at")
        if isinstance(session_id, str) and session_id and isinstance(personality_id, str) and _is_count(limit):
            return Created(
                session_id=session_id, personality_id=personality_id, response_limit=limit,
                opening=opening if isinstance(opening, str) else None,
                expires_at=expires_at if isinstance(expires_at, str) else None,
            )  # fmt: skip
        return NotThere(why="not_ours", status=200)
    return _no(status, headers, body, now)


def read_event(name: str, data: str) -> str | Answered | Refused | None:
    """One event of a streamed reply: a delta's text, the end (`Answered` or `Refused`), None for what means nothing to us."""
    found = _object(data.encode())
    if found is None:
        return None
    if name == "delta":
        text = found.get("text")
        return text if isinstance(text, str) else None
    if name == "done":
        return _answered(found)
    if name == "error":
        return _refused(found, None)
    return None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _answered(found: Mapping[str, Any]) -> Answered | None:
    response, provider = found.get("response"), found.get("provider")
    used, left = found.get("responses_used"), found.get("responses_left")
    if not isinstance(response, str) or not isinstance(provider, str) or not _is_count(used) or not _is_count(left):
        return None
    return Answered(response=response, responses_used=used, responses_left=left, provider=provider)


def _refused(found: Mapping[str, Any], retry_after_s: float | None) -> Refused | None:
    status, code = found.get("status"), found.get("code")
    if not isinstance(code, str) or not code or not isinstance(status, int) or not 400 <= status <= 599:
        return None
    told_s = found.get("retry_after_s")  # a stream's problem has no header to say it in
    if retry_after_s is None and _is_count(told_s):
        retry_after_s = min(float(min(told_s, 10**6)), LONGEST_RETRY_AFTER_S)
    return Refused(status=status, code=code, problem=dict(found), retry_after_s=retry_after_s)


def _no(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Refused | NotThere:
    wait_s = retry_after(headers.get("Retry-After"), now)
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/problem+json":
        found = _object(body)
        refused = _refused(found, wait_s) if found is not None else None
        if refused is not None and refused.status == status:
            return refused
    # Render's edge says so of a name that no service has (seen 2026-07): waiting does not help.
    if status == 404 and headers.get("x-render-routing", "") == "no-server":
        return NotThere(why=NO_SUCH_HOST, status=status)
    return NotThere(why="not_ours" if status < 400 else "edge", status=status, retry_after_s=wait_s)


class TooMuch(Exception):  # noqa: N818
    """More bytes than a reply may have."""


class EventStream:
    """Server-sent events out of chunks of bytes (WHATWG HTML 9.2.6, as far as the chatbot uses it).

    Raises `TooMuch` when one event grows over `limit_bytes`; what comes after an event's blank line is kept for later.
    """

    __slots__ = ("_buffer", "_limit_bytes")

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._buffer = b""
        self._limit_bytes = limit_bytes

    def feed(self, chunk: bytes) -> list[tuple[str, str]]:
        """The events that `chunk` completes, as (name, data); comments and nameless events are left out."""
        # A chunk may end between CR and LF: that lone CR waits for its partner.
        text = self._buffer + chunk
        held = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *events, rest = text.split(b"\n\n")
        self._buffer = rest + held
        if len(self._buffer) > self._limit_bytes or any(len(event) > self._limit_bytes for event in events):
            raise TooMuch
        return [found for event in events if (found := _event(event)) is not None]


def _event(block: bytes) -> tuple[str, str] | None:
    name, data = "", []
    for line in block.decode("utf-8", "replace").split("\n"):
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "data":
            data.append(value)
    return (name, "\n".join(data)) if name and data else None
