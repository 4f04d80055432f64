"""What the web applications share: problem documents, CORS, a bounded body; pure ASGI, no middleware that buffers.

FastAPI is imported only by who makes an application of it: it is 0.15 s of CPU on a small machine, and the chatbot, which a
waiting user starts, does without (bench/cold_start.py).
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatify.limits import BodyLimit
from chatify.problems import MEDIA_TYPE, Problem
from chatify.settings import Common

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.applications import Starlette

__all__ = ["ProblemDocument", "body_of", "create_app", "dress", "problem_response", "problems"]

M = TypeVar("M", bound=BaseModel)

log = logging.getLogger(__name__)

_CODES = {401: "unauthorized", 404: "not_found", 405: "method_not_allowed", 408: "body_too_slow",
          413: "body_too_large"}  # fmt: skip


class ProblemDocument(BaseModel):
    """RFC 9457: every answer that is not the one asked for."""

    model_config = ConfigDict(extra="allow", title="Problem", defer_build=True)

    type: str = Field(examples=["urn:everwake:problem:session_not_found"])
    title: str
    status: int
    code: str = Field(description="stable name, for programs")
    detail: str = Field(description="what happened, for people")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that may answer problems of these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "Problem document", "content": content} for status in statuses}


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer for a problem."""
    return JSONResponse(
        problem.body, problem.status, headers={**(headers or {}), **problem.headers}, media_type=MEDIA_TYPE
    )


async def _told(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, Problem)
    return problem_response(problem)


async def _invalid(request: Request, failure: Exception) -> JSONResponse:
    from fastapi.exceptions import RequestValidationError

    assert isinstance(failure, RequestValidationError)
    errors: Sequence[Mapping[str, Any]] = failure.errors()
    if not _says_json(request) and any(error["loc"][:1] == ("body",) for error in errors):
        return problem_response(_not_json())
    return problem_response(_unreadable(_as_pydantic_says(error) for error in errors))


def _as_pydantic_says(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """FastAPI's own finding of what is no JSON, in the words of the plain routes."""
    if error["type"] != "json_invalid":
        return error
    return {"loc": ("body",), "msg": f"Invalid JSON: {error['ctx']['error']}"}


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _not_json() -> Problem:
    return Problem(415, "unsupported_media_type", "Send JSON, as `Content-Type: application/json`.")


def _unreadable(errors: Iterable[Mapping[str, Any]]) -> Problem:
    # Where and what, never the input itself: it is somebody's text, and may not even be encodable.
    told = [
        {"where": ".".join(str(part)[:80] for part in error["loc"][:8]), "what": str(error["msg"])[:200]}
        for error in islice(errors, 20)
    ]
    said = "; ".join(f"{one['where']}: {one['what']}" for one in told[:3])
    return Problem(422, "invalid_request", said, more={"errors": told})


async def body_of(request: Request, model: type[M]) -> M:
    """The JSON body of a plain route, as `model`.

    Raises:
        Problem: 415 for what does not say that it is JSON, 422 `invalid_request` for what is not a `model`.
    """
    if not _says_json(request):
        raise _not_json()
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as failure:
        errors = failure.errors(include_url=False, include_input=False, include_context=False)
        raise _unreadable({**error, "loc": ("body", *error["loc"])} for error in errors) from None


async def _refused(request: Request, refusal: Exception) -> JSONResponse:
    assert isinstance(refusal, HTTPException)
    if refusal.status_code == 400:
        # FastAPI says so of a body that is no text or too deeply nested; one that is no JSON is 422. Here all are one thing.
        return problem_response(_unreadable([{"loc": ("body",), "msg": "Invalid JSON: not to be read"}]))
    status = refusal.status_code
    code = _CODES.get(status, "invalid_request" if status < 500 else "internal_error")
    return problem_response(Problem(status, code, str(refusal.detail)), refusal.headers)


class _Faults:
    """The outermost frame of a request: what nobody expected is logged with its traceback and answered as a problem.

    It stands inside CORS, so that a page on another origin can read the answer too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except asyncio.CancelledError:
            # Only the server cancels a request: after SIGTERM, when its time was up.
            if not started:
                stopping = Problem(503, "shutting_down", "The service is being stopped.", retry_after_s=1)
                await problem_response(stopping)(scope, receive, send)
            raise
        except ClientDisconnect:
            return  # it left before its body was whole: nobody is there to be answered, and no fault is ours
        except Exception:
            log.exception("request failed: %s %s", scope["method"], scope["path"][:200])
            if started:  # half an answer cannot be mended; the server cuts the connection
                raise
            await problem_response(Problem(500, "internal_error", "Something unexpected happened; it is logged."))(
                scope, receive, send
            )


def dress(app: "Starlette", settings: Common, *, body_limit_bytes: int = 65_536) -> None:
    """Give `app` what every service has.

    Errors are problem documents throughout: Problem as it says; 404 `not_found`, 405 `method_not_allowed`, 408
    `body_too_slow`, 413 `body_too_large`, 500 `internal_error`.
    """
    app.add_exception_handler(Problem, _told)
    app.add_exception_handler(HTTPException, _refused)
    # Each line wraps those before it: CORS is the outermost.
    app.add_middleware(_Faults)
    app.add_middleware(BodyLimit, limit_bytes=body_limit_bytes)
    if settings.backend_cors_origins:
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.backend_cors_origins),
            allow_methods=["GET", "HEAD", "POST", "DELETE", "OPTIONS"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After"],
            max_age=600,
        )


def create_app(*, title: str, settings: Common, lifespan: Any, body_limit_bytes: int = 65_536) -> "FastAPI":
    """A FastAPI application on which a service hangs its routes, dressed; what does not validate is 422 `invalid_request`,
    a body that does not say that it is JSON 415 `unsupported_media_type`.

    lifespan: an async context manager function of the application.
    """
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError

    # A redirect from /path/ to /path would turn somebody's typing error into two different addresses.
    app = FastAPI(
        title=title, version=version("everwake"), lifespan=lifespan, redoc_url=None, redirect_slashes=False,
        exception_handlers={RequestValidationError: _invalid},
    )  # fmt: skip
    dress(app, settings, body_limit_bytes=body_limit_bytes)
    app.openapi = lambda: _honest(app)  # type: ignore[method-assign]
    return app


def _honest(app: "FastAPI") -> dict[str, Any]:
    """The OpenAPI document with our problem documents in place of FastAPI's own 422."""
    if app.openapi_schema is None:
        document = type(app).openapi(app)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["Problem"] = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        mine = {str(status): answer for status, answer in problems(408, 413, 415, 422).items()}
        for operations in document.get("paths", {}).values():
            for operation in operations.values():
                answers = operation["responses"]
                if "422" in answers:
                    answers["422"] = mine["422"]
                if "requestBody" in operation:
                    answers |= {status: mine[status] for status in ("408", "413", "415")}
        app.openapi_schema = document
    return app.openapi_schema
