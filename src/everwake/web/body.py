"""Bodies of requests: bounded, in time, and JSON where that is wanted."""

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from everwake.web.gate import BODY_LIMIT_BYTES
from everwake.web.problems import Problem

__all__ = ["read_body", "read_object"]

BODY_WITHIN_S = 10.0
# Hanging up on somebody who is still sending resets the connection, and the answer is lost with it.
THROWN_AWAY_BYTES = 1024 * 1024


async def read_body(request: Request) -> bytes:
    """A bounded body that arrives in time.

    Raises:
        Problem: 413 or 408.
    """
    parts: list[bytes] = []
    arrived_bytes = 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for part in request.stream():
                arrived_bytes += len(part)
                if arrived_bytes <= BODY_LIMIT_BYTES:
                    parts.append(part)
                elif arrived_bytes > THROWN_AWAY_BYTES:
                    break
    except (TimeoutError, ClientDisconnect):
        raise Problem(
            408, "body_too_slow", "The body did not arrive in time.", headers={"Connection": "close"}
        ) from None
    if arrived_bytes > BODY_LIMIT_BYTES:
        said = f"The body is larger than {BODY_LIMIT_BYTES} bytes."
        raise Problem(413, "body_too_large", said, headers={"Connection": "close"})
    return b"".join(parts)


async def read_object(request: Request) -> dict[str, Any]:
    """A JSON object; an empty body is an empty one.

    Raises:
        Problem: 422 for anything else, 413, 408.
    """
    raw = await read_body(request)
    try:
        found = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Problem(422, "body_not_json", "Send a JSON object.")
    return found
