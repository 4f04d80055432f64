"""Errors as RFC 9457 problem documents: one shape for every answer that is not the one asked for.

Problem                an answer for a client: status, stable code, what happened, what to do
"""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from everwake.fleet.naming import near
from everwake.web.answers import json_bytes
from everwake.web.door import HistoryUnavailable

__all__ = ["MEDIA_TYPE", "Problem", "answer", "handlers", "no_service"]

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """status: HTTP status.   code: stable name, for programs.   detail: for people; holds no secret.   headers: go with it."""

    def __init__(self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code, self.detail = status, code, detail
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """The document itself."""
        title = self.code.replace("_", " ").capitalize()
        return {
            "type": f"urn:everwake:problem:{self.code}",
            "title": title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }


def no_service(name: str, known: Iterable[str]) -> Problem:
    """Nobody has that name."""
    hint = near(name, known)
    return Problem(
        404, "service_not_found", f"There is no service named {name[:63]!r} in this fleet: {hint.rstrip('.')}."
    )


def answer(problem: Problem) -> Response:
    """The answer for a problem."""
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(json_bytes(problem.body), problem.status, headers, media_type=MEDIA_TYPE)


async def _told(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return answer(problem)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, HTTPException)
    code, detail = {
        404: ("not_found", "There is nothing at this address; /docs lists what there is."),
        405: ("method_not_allowed", "This address does not answer that method."),
    }.get(refusal.status_code, ("invalid_request", str(refusal.detail)))
    return answer(Problem(refusal.status_code, code, detail, headers=dict(refusal.headers or {})))


async def _no_history(request: Request, trouble: Exception) -> Response:
    said = f"The history cannot be read now: {trouble}. What the keeper knows by heart is still answered."
    return answer(Problem(503, "history_unavailable", said, headers={"Retry-After": "5"}))


handlers: dict[Any, Any] = {Problem: _told, HTTPException: _refused, HistoryUnavailable: _no_history}
