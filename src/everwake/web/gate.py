"""The gate in front of everything: host, origin, sign-in, the size of a body, the headers every answer carries. Pure ASGI."""

import logging
import math
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from everwake.ports import Clock
from everwake.web.auth import COOKIE, Attempts, Doorkeeper
from everwake.web.problems import Problem, answer

__all__ = ["BODY_LIMIT_BYTES", "Gate"]

log = logging.getLogger(__name__)

BODY_LIMIT_BYTES = 16_384
_READS = ("GET", "HEAD", "OPTIONS")
# Open to everybody who reaches the port; docs/keeper-api.md says what they tell.
_PUBLIC = ("/health", "/status", "/login")
_PUBLIC_UNDER = ("/badge/", "/static/")

_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        b"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Gate:
    """Lets in who may come in. Whatever nobody expected is logged with its traceback and answered as a problem."""

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, attempts: Attempts, clock: Clock) -> None:
        self._app, self._doorkeeper, self._attempts, self._clock = app, doorkeeper, attempts, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        is_picture = scope["path"].startswith("/badge/")

        async def dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                site = b"cross-origin" if is_picture else b"same-origin"
                message["headers"] = [*message["headers"], *_HEADERS, (b"cross-origin-resource-policy", site)]
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (refusal or self._app)(scope, receive, dressed)
        except Exception:
            log.exception("request.failed", extra={"method": scope["method"], "path": scope["path"][:200]})
            if started:  # half an answer cannot be mended; the server cuts the connection
                raise
            await answer(Problem(500, "internal_error", "Something unexpected happened; it is logged."))(
                scope, receive, dressed
            )

    def _refusal(self, scope: Scope) -> Response | None:
        headers = _headers(scope)
        path, method = scope["path"], scope["method"]
        if path != "/health" and not self._doorkeeper.is_own_host(headers.get("host", "")):
            # A platform's own health check may call us by a name that nobody knows.
            said = "This keeper is not reached by that name. Add it to allowed_hosts under [keeper]."
            return answer(Problem(421, "host_not_allowed", said))
        if method not in _READS and not self._doorkeeper.may_write(headers, scope["scheme"]):
            return answer(Problem(403, "origin_not_allowed", "Another site's page may not change anything here."))
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length[:20]) > BODY_LIMIT_BYTES:
            said = f"The body is larger than {BODY_LIMIT_BYTES} bytes."
            return answer(Problem(413, "body_too_large", said, headers={"Connection": "close"}))
        if path in _PUBLIC or path.startswith(_PUBLIC_UNDER) or not self._doorkeeper.asks:
            return None
        return self._unknown_person(scope, headers)

    def _unknown_person(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        if self._doorkeeper.is_signed_in(_cookie(headers), self._clock.now()):
            return None
        authorization = headers.get("authorization")
        if authorization is not None:
            address, now_s = (scope.get("client") or ("", 0))[0], self._clock.monotonic()
            wait_s = self._attempts.wait_s(address, now_s)
            if wait_s > 0:
                return answer(too_often(wait_s))
            if self._doorkeeper.is_token(authorization):
                return None
            self._attempts.failed(address, now_s)
        elif scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            where = scope["path"]
            return RedirectResponse("/login" if where == "/" else f"/login?next={quote(where, safe='/')}", 303)
        said = "Sign in at /login, or send `Authorization: Bearer <token>`."
        return answer(Problem(401, "unauthorized", said, headers={"WWW-Authenticate": 'Bearer realm="everwake"'}))


def too_often(wait_s: float) -> Problem:
    """For somebody who was wrong too often."""
    wait = str(math.ceil(wait_s))
    return Problem(429, "too_many_attempts", f"Wrong too often; try again in {wait} s.", headers={"Retry-After": wait})


def _headers(scope: Scope) -> dict[str, str]:
    """By lower-case name. What is sent twice is joined: two hosts or origins are then none that we know."""
    headers: dict[str, str] = {}
    for raw_name, raw in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
