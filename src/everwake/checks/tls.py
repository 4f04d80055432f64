"""TLS: is the certificate good, for this name, and for how much longer?"""

import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlsplit

from everwake.checks._kind import CheckKind, Tape
from everwake.fleet.schema import Service, setting
from everwake.model import Failure, FailureKind, Phase

__all__ = ["KIND", "Spec", "observe", "settled", "trust"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Where to shake hands, and how long the certificate must still be good."""

    host: str = setting(default="", reads="host", help="name or address; the service's own when left out")
    port: int = setting(default=443, ge=1, le=65_535, help="TCP port")
    days_left: int = setting(default=14, ge=0, le=3_650, help="degraded when the certificate ends in fewer days")
    ca_file: str | None = setting(default=None, reads="path", help="authorities to trust instead of the machine's")


def settled(spec: Spec, service: Service) -> Spec:
    """The spec with the service's own host where none is given."""
    return replace(spec, host=spec.host or urlsplit(service.url).hostname or "")


@lru_cache(maxsize=64)
def trust(ca_file: str | None) -> ssl.SSLContext:
    """A context that verifies chain and name. Kept: reading the machine's authorities takes 20 ms."""
    return ssl.create_default_context(cafile=ca_file)


async def observe(spec: Spec, tape: Tape) -> Failure | None:
    """Shake hands, verified, and look at the date."""
    _, writer = await tape.dialer.dial(tape, spec.host, spec.port, trust(spec.ca_file))
    try:
        certificate = writer.get_extra_info("peercert") or {}
    finally:
        writer.transport.abort()
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    tape.certificate_expires_at = ends
    days = (ends - tape.clock.now()).total_seconds() / 86_400
    if days >= spec.days_left:
        return None
    detail = f"the certificate ends in {days:.1f} days, expected {spec.days_left} or more"
    return Failure(kind=FailureKind.CERTIFICATE_EXPIRING, phase=Phase.EXPECT, detail=detail)


KIND = CheckKind(name="tls", help=__doc__, spec=Spec, observe=observe, settled=settled)
