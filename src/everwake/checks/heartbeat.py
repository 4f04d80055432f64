"""Heartbeat: a persistent WebSocket with beats both ways; a drop is news at once."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from everwake.checks._addresses import Dialer
from everwake.checks._kind import CheckKind
from everwake.fleet.schema import Secret, Service, setting
from everwake.model import Beat
from everwake.ports import Clock

__all__ = ["KIND", "Spec", "follow", "of_service", "settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Which line to hold. A missed beat is one that is `late_s` overdue."""

    url: str = setting(
        default="", reads="url", help="ws:// or wss:// address or path; the service's heartbeat when left out"
    )
    every_s: float = setting(default=30.0, ge=1, le=3_600, reads="seconds", help="time between two beats")
    late_s: float = setting(default=5.0, ge=0.05, le=600, reads="seconds", help="how late a beat may be")
    token: Secret | None = setting(default=None, reads="secret", help="bearer token of the line")
    ca_file: str | None = setting(default=None, reads="path", help="authorities to trust instead of the machine's")


def settled(spec: Spec, service: Service) -> Spec:
    """The spec with its address filled in: a path belongs to the service's URL, and http becomes ws."""
    if spec.url.startswith(("ws://", "wss://")):
        return spec
    base = service.url.replace("http", "ws", 1) if service.url.startswith("http") else service.url
    return replace(spec, url=base + (spec.url or service.heartbeat or "/ws/keepalive"))


def of_service(service: Service) -> Spec:
    """The line that `heartbeat = ".."` of a service asks for."""
    return settled(Spec(every_s=service.heartbeat_every_s), service)


async def follow(spec: Spec, service: str, dialer: Dialer, clock: Clock) -> AsyncGenerator[Beat, None]:
    """Events of the line for ever."""
    raise NotImplementedError
    yield


KIND = CheckKind(name="heartbeat", help=__doc__, spec=Spec, follow=follow, settled=settled)
