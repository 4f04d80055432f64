"""What one look saw, in words for a person. Pure."""

from collections.abc import Iterator
from datetime import datetime

from everwake.model import Failure, FailureKind, Observation, Phase

__all__ = ["document", "lines", "routing"]

_PHASE = {
    Phase.DNS: "looking up the name",
    Phase.CONNECT: "connecting",
    Phase.TLS: "agreeing on TLS",
    Phase.FIRST_BYTE: "waiting for the answer to begin",
    Phase.TRANSFER: "reading the answer",
    Phase.EXPECT: "comparing the answer with what is expected",
    Phase.UPGRADE: "opening the WebSocket",
    Phase.BEAT: "waiting for a beat",
    Phase.LOGIN: "signing in",
    Phase.COMMAND: "asking",
    Phase.SESSION: "making a session",
    Phase.MESSAGE: "sending a message",
    Phase.REPLY: "waiting for the reply",
}
_KIND = {
    FailureKind.DNS_NO_SUCH_NAME: "the name does not exist; is it mistyped, or was the service deleted?",
    FailureKind.DNS_FAILED: "the name could not be looked up; the resolver is in trouble",
    FailureKind.NO_ROUTE: "there is no route to it",
    FailureKind.ADDRESS_REFUSED: "it has a private address, which this fleet does not allow",
    FailureKind.REFUSED: "the connection was refused: the machine is there, nothing listens on that port",
    FailureKind.RESET: "the connection was reset",
    FailureKind.TIMEOUT: "it took too long",
    FailureKind.CLOSED_EARLY: "it hung up before the answer was whole",
    FailureKind.CERTIFICATE_EXPIRED: "its certificate has expired",
    FailureKind.CERTIFICATE_EXPIRING: "its certificate ends soon",
    FailureKind.CERTIFICATE_WRONG_HOST: "its certificate is for another host",
    FailureKind.CERTIFICATE_UNTRUSTED: "its certificate comes from nobody this machine trusts",
    FailureKind.TLS_FAILED: "no TLS connection came about",
    FailureKind.TOO_LARGE: "the answer is larger than the limit",
    FailureKind.HEADERS_TOO_LARGE: "the headers are larger than the limit",
    FailureKind.BAD_ENCODING: "the body is compressed and cannot be unpacked",
    FailureKind.BAD_PROTOCOL: "what came is not the protocol that was asked for",
    FailureKind.TOO_MANY_REDIRECTS: "it redirects in circles, or too often",
    FailureKind.STATUS: "the status is not an expected one",
    FailureKind.HEADER: "a header is not as expected",
    FailureKind.JSON: "the JSON is not as expected",
    FailureKind.TEXT: "the expected text is missing",
    FailureKind.SLOW: "all is as expected, only slower than wanted",
    FailureKind.BEAT_MISSED: "a beat stayed away",
    FailureKind.LINE_CLOSED: "the line was closed",
    FailureKind.LINE_REJECTED: "the WebSocket was not accepted",
    FailureKind.AUTH: "it does not let us in",
    FailureKind.ANSWER: "it answered, and said no",
    FailureKind.INTERNAL: "a bug or limit of Everwake's own; this says nothing about the service",
}
# Seen at Render's edge in 2026-07 unless said otherwise; the longest beginning that fits counts.
_ROUTING = {
    "no-server": "the host is bound to nothing: the service was deleted, the name is mistyped, or nothing is live",
    "no-deploy": "no instance is ready: never deployed, every deploy failed, or one is being deployed now",
    "suspend-by-user": "its owner suspended the service; probing cannot wake it",
    "suspend": "Render suspended the service (free hours used up, billing or policy); probing cannot wake it",
    "hibernate-pending-wake": "it is asleep and waking now; that takes 19-90 s",
    "hibernate-wake-error": "the edge gave up waking it; once is bad luck, again and again it cannot start",
    "hibernate-rate-limited": "it is asleep, and wake-ups are throttled; leave it alone for a while",
    "dynamic-hibernate-error": "it is asleep or starting cold",
    "dynamic-free-error": "a deploy is live on a free plan, and its instance gave no answer: it crashed or is starting",
    "dynamic-paid-error": "a deploy is live on a paid plan, and its instance gave no answer: it crashed or is starting",
    "rate-limited": "the edge throttles requests to it",
    "static-no-asset": "it is a static site, and has no such file",
    "rewrite-error": "a rewrite rule of the site leads to something that does not answer",
}


def routing(value: str) -> str | None:
    """What Render's edge says with the header `x-render-routing`; None for a value we have not seen."""
    fitting = [known for known in _ROUTING if value.startswith(known)]
    return _ROUTING[max(fitting, key=len)] if fitting else None


def lines(seen: Observation, now: datetime) -> Iterator[str]:
    """One look, the most important first."""
    ms = round(seen.took_s * 1000)
    answer = f"{seen.status} after {ms} ms" if seen.status is not None else f"after {ms} ms"
    if seen.failure is None:
        yield f"as expected: {answer}"
    else:
        yield _failed(seen.failure, answer)
    if seen.phases:
        yield "time: " + ", ".join(f"{_PHASE[phase]} {spent_s * 1000:.0f} ms" for phase, spent_s in seen.phases.items())
    if seen.redirects:
        yield f"redirects followed: {seen.redirects}"
    if "x-render-routing" in seen.headers:
        value = seen.headers["x-render-routing"]
        yield f"x-render-routing {value}: {routing(value) or 'a value not known to us'}"
    elif seen.headers.get("x-render-origin-server"):
        yield "x-render-origin-server: the answer came from the service itself, not from Render's edge"
    if "retry-after" in seen.headers:
        yield f"retry-after: it asks to be left alone for {seen.headers['retry-after']} (seconds, or until then)"
    if "location" in seen.headers:
        yield f"location: it points to {seen.headers['location']}"
    if seen.certificate_expires_at is not None:
        days = (seen.certificate_expires_at - now).days
        when = f"ends in {days} days" if days >= 0 else f"ended {-days} days ago"
        yield f"certificate: {when} ({seen.certificate_expires_at:%Y-%m-%d})"
    if seen.failure is not None and seen.excerpt:
        yield f"it says: {' '.join(seen.excerpt.split())[:200]}"


def _failed(failure: Failure, answer: str) -> str:
    text = f"failed while {_PHASE[failure.phase]}, {answer}: {_KIND[failure.kind]}"
    return f"{text} ({failure.detail})" if failure.detail else text


def document(seen: Observation) -> dict[str, object]:
    """One look as JSON, in the words of the API."""
    failure = seen.failure
    return {
        "check": seen.check,
        "at": seen.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ok": failure is None,
        "status": seen.status,
        "took_ms": round(seen.took_s * 1000, 1),
        "failure": None
        if failure is None
        else {"kind": failure.kind.value, "phase": failure.phase.value, "detail": failure.detail},
        "phases_ms": {phase.value: round(spent_s * 1000, 1) for phase, spent_s in seen.phases.items()},
        "headers": dict(seen.headers),
        "redirects": seen.redirects,
        "certificate_expires_at": None
        if seen.certificate_expires_at is None
        else seen.certificate_expires_at.isoformat().replace("+00:00", "Z"),
    }
