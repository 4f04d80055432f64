"""What a request asks for: lists, times, limits, bodies; a mistake is told as 400 with the name of the parameter."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from starlette.requests import Request

from everwake.sim.api import wire
from everwake.sim.verbs import Refused

__all__ = ["body_of", "choices", "key_of", "limit", "new_value", "one_page", "several", "when"]

BODY_LIMIT_BYTES = 1_048_576
DEFAULT_LIMIT, MOST = 20, 100
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
_Item = TypeVar("_Item")
_Name = TypeVar("_Name", bound=StrEnum)


def several(request: Request, name: str) -> tuple[str, ...]:
    """A list, written `a,b` (as the description says) or as the parameter repeated (as the official client does)."""
    parts = [part for value in request.query_params.getlist(name) for part in value.split(",") if part]
    return tuple(dict.fromkeys(parts[:100]))


def choices(request: Request, name: str, kind: type[_Name]) -> tuple[_Name, ...]:
    """A list of names of an enum."""
    try:
        return tuple(kind(each) for each in several(request, name))
    except ValueError:
        raise Refused(400, f"invalid {name}: one of {', '.join(kind)}") from None


def limit(request: Request) -> int:
    """Items of a page: 1..100, 20 when not said."""
    said = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch(r"[0-9]{1,4}", said) or not 1 <= int(said) <= MOST:
        raise Refused(400, f"invalid limit: a number from 1 to {MOST}")
    return int(said)


def when(request: Request, name: str) -> datetime | None:
    """A time: RFC 3339, or seconds since 1970 as some parameters are described."""
    said = request.query_params.get(name)
    if not said:
        return None
    try:
        if re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,9})?", said):
            return datetime.fromtimestamp(float(said), UTC)
        # A `+` that was not quoted comes as a space.
        at = datetime.fromisoformat(said[:64].replace(" ", "+") if "T" in said else said[:64])
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise Refused(400, f"invalid {name}: a time such as 2026-01-01T11:30:00Z") from None


def one_page(
    request: Request, items: Iterable[_Item], key: Callable[[_Item], str], show: Callable[[_Item], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The page behind `cursor`, each item as `show` has it, with its own cursor."""
    most, every = limit(request), list(items)
    first = 0
    if said := request.query_params.get("cursor"):
        first = 1 + _place(every, key, said)
    return [{**show(each), "cursor": wire.cursor(key(each))} for each in every[first : first + most]]


def _place(items: Sequence[_Item], key: Callable[[_Item], str], cursor: str) -> int:
    try:
        wanted = base64.urlsafe_b64decode(cursor[:1_000].encode() + b"==").decode()
    except (ValueError, binascii.Error):
        raise Refused(400, "invalid cursor") from None
    for place, each in enumerate(items):
        if key(each) == wanted:
            return place
    raise Refused(400, "invalid cursor")


async def body_of(request: Request, *, optional: bool = False) -> Any:
    """The JSON of a request; {} when there is none and none is needed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise Refused(413, "the body is larger than 1 MiB")
    if not body.strip() and optional:
        return {}
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "send application/json")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None


def key_of(said: object) -> str:
    """The name of a variable."""
    if not isinstance(said, str) or not _KEY.fullmatch(said):
        raise Refused(400, "invalid key: letters, digits, _, - and ., not a digit first")
    return said


def new_value(body: object, generate: Callable[[], str]) -> str:
    """`{"value": ".."}` or `{"generateValue": true}`."""
    if isinstance(body, dict):
        if isinstance(value := body.get("value"), str) and "\0" not in value:
            return value
        if body.get("generateValue") is True:
            return generate()
    raise Refused(400, "send a value (a string), or generateValue: true")
