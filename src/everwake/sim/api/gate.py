"""In front of the API: the key, how often it is used, what it accepts, and one shape for every error. Pure ASGI."""

import json
import logging
import secrets
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from everwake.ports import Clock
from everwake.sim.api.limits import Limits, Meter, Standing
from everwake.sim.records import Owner
from everwake.sim.verbs import Refused

__all__ = ["Gate", "problem", "refused", "unknown"]

log = logging.getLogger(__name__)


def problem(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error as Render's API writes it: `{"id", "message"}`."""
    body = {"id": f"err-{secrets.token_hex(10)}", "message": message}
    return Response(json.dumps(body), status, headers, media_type="application/json")


class Gate:
    """Lets in who has a key, as often as the limits allow; what nobody expected is logged and answered with 500.

    The owner of the key is `request.state.owner`.
    """

    def __init__(self, app: ASGIApp, owner: Callable[[str], Owner | None], clock: Clock, limits: Limits) -> None:
        self._app, self._owner, self._clock, self._meter = app, owner, clock, Meter(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started, is_socket = False, scope["type"] == "websocket"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        owner = self._owner(_bearer(headers.get("authorization", "")))
        standing: Standing | None = None

        async def dressed(message: Message) -> None:
            nonlocal started
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                started = True
                if standing is not None:
                    message["headers"] = [*message["headers"], *_told(standing)]
            await send(message)

        if owner is None:
            await self._answer(problem(401, "Unauthorized"), scope, receive, dressed)
            return
        if scope["path"].startswith("/v1/"):
            method = "GET" if is_socket else scope["method"]
            standing = self._meter.count(owner.id, method, scope["path"][3:], self._clock.monotonic())
            if standing.is_over:
                headers_too = {"Retry-After": str(standing.reset_s)}
                await self._answer(problem(429, "rate limit exceeded", headers_too), scope, receive, dressed)
                return
        if not is_socket and not _accepts_json(headers.get("accept", "")):
            await self._answer(problem(406, "this API answers in application/json"), scope, receive, dressed)
            return
        scope.setdefault("state", {})["owner"] = owner
        try:
            await self._app(scope, receive, dressed)
        except Exception:
            log.exception("sim.api.failed", extra={"path": scope["path"][:200]})
            if started or is_socket:  # half an answer cannot be mended; the server cuts the connection
                raise
            await self._answer(problem(500, "Internal Server Error"), scope, receive, dressed)

    async def _answer(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        await response(scope, receive, send)


def _bearer(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _told(standing: Standing) -> list[tuple[bytes, bytes]]:
    return [
        (b"ratelimit-limit", str(standing.limit).encode()),
        (b"ratelimit-remaining", str(standing.remaining).encode()),
        (b"ratelimit-reset", str(standing.reset_s).encode()),
    ]


def _accepts_json(accept: str) -> bool:
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return not accept.strip() or any(each in ("*/*", "application/*", "application/json") for each in kinds)


async def refused(request: Request, refusal: Exception) -> Response:
    """For an answer that is no."""
    assert isinstance(refusal, Refused)
    return problem(refusal.status, refusal.message)


async def unknown(request: Request, error: Any) -> Response:
    """For an address or a method that there is not."""
    said = {404: "not found", 405: "method not allowed"}.get(error.status_code, str(error.detail))
    return problem(error.status_code, said, dict(error.headers or {}))
