"""DNS: does the name resolve, and to the addresses it should?"""

import ipaddress
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from everwake.checks._kind import CheckKind, Tape, Unmet
from everwake.fleet.schema import Service, setting
from everwake.model import Failure, FailureKind, Phase

__all__ = ["KIND", "Spec", "observe", "settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Which name, asked of the system's resolver as every other check asks it."""

    name: str = setting(default="", reads="host", help="the name; the service's own host when left out")
    family: Literal["any", "ipv4", "ipv6"] = setting(default="any", help="which addresses count")
    addresses: tuple[str, ...] = setting(default=(), reads="texts", help="all of these must be among the answer")


def settled(spec: Spec, service: Service) -> Spec:
    """The spec with the service's own host where none is given."""
    return replace(spec, name=spec.name or urlsplit(service.url).hostname or "")


async def observe(spec: Spec, tape: Tape) -> Failure | None:
    """Resolve and compare."""
    with tape.phase(Phase.DNS):
        found = await tape.dialer.resolve(spec.name)
    wanted_version = {"any": (4, 6), "ipv4": (4,), "ipv6": (6,)}[spec.family]
    addresses = [ip for text in found if (ip := ipaddress.ip_address(text.partition("%")[0])).version in wanted_version]
    tape.excerpt = "\n".join(map(str, addresses))[:2_000]
    if not addresses:
        raise Unmet(FailureKind.DNS_NO_SUCH_NAME, Phase.DNS, f"no {spec.family} address")
    missing = [text for text in spec.addresses if ipaddress.ip_address(text) not in addresses]
    if missing:
        return Failure(
            kind=FailureKind.ANSWER, phase=Phase.EXPECT, detail=f"{', '.join(missing)} not in the answer"[:300]
        )
    return None


KIND = CheckKind(name="dns", help=__doc__, spec=Spec, observe=observe, settled=settled)
