"""What the edge asks the platform about every request; the platform decides, the edge carries bytes."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Refusal", "Routes", "Upstream"]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a request goes: a port of this machine's loopback on which a ready instance listens."""

    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The edge answers itself. routing: value of `x-render-routing`.   body: HTML or text, as the real edge's.

    retry_after_s: `Retry-After`, when there is one.
    """

    status: int
    routing: str
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    retry_after_s: int | None = None


class Routes(Protocol):
    """The platform, as the edge sees it. Service ids are `srv-...`; "" is a host that is bound to nothing."""

    async def route(self, service_id: str, *, wants_html: bool) -> Upstream | Refusal:
        """Where to, after this inbound request has been counted. A sleeping service is woken: the request is held until it is
        ready, or until the edge gives up; a browser (`wants_html`) is refused at once with the loading page."""

    def inbound(self, service_id: str) -> None:
        """Something came in on a connection that is open already: a WebSocket message FROM the client (data frames only)."""

    def service_of(self, host: str) -> str:
        """Id of the service that a Host header (without port) names, e.g. `chatbot.localhost`; "" when nobody's."""

    def unreachable(self, service_id: str) -> Refusal:
        """The instance did not accept the connection, or hung up before it answered."""
        ...
