"""TCP: does host:port accept a connection?"""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from everwake.checks._kind import CheckKind, Tape
from everwake.fleet.schema import Service, setting
from everwake.model import Failure

__all__ = ["KIND", "Spec", "observe", "settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Where to connect to."""

    host: str = setting(default="", reads="host", help="name or address; the service's own when left out")
    port: int = setting(default=0, ge=0, le=65_535, help="TCP port; the service's own when left out or 0")


def settled(spec: Spec, service: Service) -> Spec:
    """The spec with the service's own host and port where none is given."""
    url = urlsplit(service.url)
    port = spec.port or url.port or (80 if url.scheme in ("http", "ws") else 443)
    return replace(spec, host=spec.host or url.hostname or "", port=port)


async def observe(spec: Spec, tape: Tape) -> Failure | None:
    """Connect and hang up."""
    _, writer = await tape.dialer.dial(tape, spec.host, spec.port)
    writer.transport.abort()
    return None


KIND = CheckKind(name="tcp", help=__doc__, spec=Spec, observe=observe, settled=settled)
