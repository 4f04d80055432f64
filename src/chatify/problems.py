"""Errors as RFC 9457 problem documents: one shape for every answer that is not the one asked for.

Problem                an answer for a client: status, stable code, what happened, what to do
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["Problem"]

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An error that a client is told about.

    status: HTTP status.   code: stable name from the contract, for programs.   detail: for people; holds no secret.
    retry_after_s: whole seconds, becomes `Retry-After`.   more: further members of the document.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        retry_after_s: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.more = dict(more or {})

    @property
    def body(self) -> dict[str, Any]:
        """The document itself."""
        title = self.code.replace("_", " ").capitalize()
        return {
            "type": f"urn:everwake:problem:{self.code}", "title": title, "status": self.status,
            "code": self.code, "detail": self.detail, **self.more,
        }  # fmt: skip

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
