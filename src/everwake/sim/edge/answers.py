"""What the edge says in its own name, as bytes: the platform's refusals, and its own to what is not a request."""

from datetime import datetime

from everwake.sim.edge.routes import Refusal

__all__ = ["own_answer", "plain", "refused"]

REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def refused(refusal: Refusal, *, at: datetime, request_id: str, keeps: bool, is_head: bool, minor: int = 1) -> bytes:
    """A refusal of the platform: `x-render-routing` says why. is_head: the answer to a HEAD, which has no body."""
    headers = [("x-render-routing", refusal.routing)]
    if refusal.retry_after_s is not None:
        headers.append(("Retry-After", str(refusal.retry_after_s)))
    return own_answer(
        refusal.status, refusal.body, refusal.content_type, headers,
        at=at, request_id=request_id, keeps=keeps, is_head=is_head, minor=minor,
    )  # fmt: skip


def plain(status: int, says: str, *, at: datetime, request_id: str) -> bytes:
    """The edge's word to what is not a request that it can pass on; the connection ends with it."""
    return own_answer(
        status, f"{status} {REASONS.get(status, '')}: {says}\n", "text/plain; charset=utf-8", [],
        at=at, request_id=request_id, keeps=False, is_head=False,
    )  # fmt: skip


def own_answer(
    status: int, body: str, content_type: str, headers: list[tuple[str, str]],
    *, at: datetime, request_id: str, keeps: bool, is_head: bool, minor: int = 1,
) -> bytes:  # fmt: skip
    """An answer that no instance gave, so without `x-render-origin-server`. at: wall time, UTC."""
    content = body.encode()
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}", f"Date: {_date(at)}"]
    if content:
        lines.append(f"Content-Type: {content_type}")
    lines.append(f"Content-Length: {len(content)}")
    lines += [f"{name}: {value}" for name, value in headers]
    if not keeps:
        lines.append("Connection: close")
    elif minor == 0:
        lines.append("Connection: keep-alive")
    lines += [f"rndr-id: {request_id}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if is_head else content)


def _date(at: datetime) -> str:
    # RFC 9110 section 5.6.7, whatever the locale.
    return f"{DAYS[at.weekday()]}, {at.day:02} {MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S} GMT"
