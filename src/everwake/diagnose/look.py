"""One look at a service over HTTP, as a diagnosis reads it. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from everwake.diagnose._masking import quote
from everwake.model import Evidence, Failure, FailureKind

__all__ = ["Look", "Unwell"]

_OWN_MARKS = ("x-render-origin-server", "x-powered-by", "x-request-id-app", "x-runtime", "x-process-time")
_HEALTH = ("health", "ready", "status", "live", "ping", "alive", "up")
_ILL = frozenset(
    {
        "error",
        "down",
        "unhealthy",
        "disconnected",
        "fail",
        "failed",
        "failing",
        "unavailable",
        "unreachable",
        "degraded",
        "critical",
        "offline",
        "not connected",
        "not_connected",
        "timeout",
        "outage",
        "refused",
        "broken",
        "dead",
        "not ready",
        "not_ready",
        "ko",
        "warn",
    }
)
_CLAIMS = frozenset(
    {
        "ok",
        "healthy",
        "success",
        "connected",
        "ready",
        "up",
        "alive",
        "available",
        "reachable",
        "online",
        "live",
        "isconnected",
        "is_connected",
        "is_healthy",
        "status",
        "operational",
    }
)
# What a thing is called or does says nothing about how it is: a provider by the name of "offline" works.
_TELLS_NOTHING = frozenset(
    {"name", "note", "mode", "provider", "type", "kind", "message", "version", "service", "environment", "id", "detail"}
)
NODES_MOST = 400


@dataclass(frozen=True, slots=True)
class Unwell:
    """A part of a health document that says it is not well. path: dotted, lower case."""

    path: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One request and what came of it. status: None without an answer.   headers: lower-case names.   body: bounded, untrusted.

    elapsed_s: seconds, None when not told.   source: where evidence of it says it comes from.
    """

    url: str
    status: int | None
    method: str = "GET"
    request_headers: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    elapsed_s: float | None = None
    failure: Failure | None = None
    at: datetime | None = None
    certificate_expires_at: datetime | None = None
    check: str = "http"
    source: str = "http"

    @property
    def host(self) -> str:
        """Host of the URL, lower case."""
        try:
            return (urlsplit(self.url).hostname or "").lower()
        except ValueError:
            return ""

    @property
    def path(self) -> str:
        """Path of the URL."""
        try:
            return urlsplit(self.url).path or "/"
        except ValueError:
            return "/"

    @property
    def low(self) -> str:
        """The body in lower case, blanks run together."""
        return " ".join(self.body.lower().split())

    @property
    def is_good(self) -> bool:
        """A 2xx or 3xx that nothing was found wrong with."""
        fine = self.failure is None or self.failure.kind in (FailureKind.SLOW, FailureKind.CERTIFICATE_EXPIRING)
        return fine and self.status is not None and 200 <= self.status < 400

    @property
    def is_preflight(self) -> bool:
        """A browser's question whether another origin may ask."""
        return self.method == "OPTIONS"

    @property
    def is_json(self) -> bool:
        """Whether the body is a JSON document, or says it is one."""
        return "json" in self.headers.get("content-type", "") or self.body.lstrip()[:1] in ("{", "[")

    @property
    def asks_health(self) -> bool:
        """Whether the path is one that services answer checks on."""
        last = self.path.rstrip("/").rpartition("/")[2].lower()
        return any(word in last for word in _HEALTH)

    @property
    def is_own(self) -> bool:
        """Whether the program behind the edge gave the answer, as far as it shows."""
        return self.is_json or any(mark in self.headers for mark in _OWN_MARKS)

    def document(self) -> object:
        """The body as JSON, None where it is none (or was cut)."""
        if self.body.lstrip()[:1] not in ("{", "["):
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def unwell(self) -> tuple[Unwell, ...]:
        """The parts of a health document that say they are not well."""
        return tuple(_unwell(self.document(), "", [NODES_MOST]))

    def cite_status(self) -> Evidence:
        """The status as evidence, or what failed."""
        if self.status is None:
            why = (
                f"{self.failure.kind.value} in {self.failure.phase.value}: {self.failure.detail}"
                if self.failure
                else "no answer"
            )
            return Evidence(source=self.source, quote=quote(why))
        return Evidence(source=f"{self.source}.status", quote=str(self.status))

    def cite_header(self, name: str) -> Evidence:
        """A header as evidence."""
        return Evidence(
            source=self.source if self.source.startswith("log") else f"{self.source}.headers",
            quote=quote(f"{name}: {self.headers.get(name, '')}"),
        )

    def cite_body(self, word: str = "") -> Evidence:
        """The body around a word (lower case) as evidence."""
        low = self.low
        place = max(0, low.find(word) - 60) if word else 0
        return Evidence(source=f"{self.source}.body", quote=quote(" ".join(self.body.split())[place : place + 240]))


def _unwell(node: object, path: str, left: list[int]) -> Iterator[Unwell]:
    left[0] -= 1
    if left[0] < 0 or path.count(".") > 6:
        return
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _unwell(value, f"{path}.{str(name)[:40].lower()}".lstrip("."), left)
    elif isinstance(node, list):
        for value in node[:40]:
            yield from _unwell(value, path, left)
    else:
        last = path.rpartition(".")[2]
        if last in _TELLS_NOTHING:
            return
        if node is False and last.replace("_", "") in {claim.replace("_", "") for claim in _CLAIMS}:
            yield Unwell(path, "false")
        elif isinstance(node, str):
            word = node.strip().lower()
            if word in _ILL or word.startswith(
                ("critical", "error", "fail", "unhealthy", "unavailable", "down", "disconnected")
            ):
                if len(word) < 200:
                    yield Unwell(path, node[:80])
            elif last in ("error", "last_error", "reason") and word and word not in ("none", "null", "ok"):
                yield Unwell(path, node[:80])
            elif not word and "services" in path:
                yield Unwell(path, "empty")
