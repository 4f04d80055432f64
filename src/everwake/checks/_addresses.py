"""Names to addresses to connections, with the fleet's rule on private addresses kept on the way.

The rule looks at the address that is connected to, not at the name: a name that answers differently a second time (DNS
rebinding), a redirect, an IPv4 address inside an IPv6 one do not get past it.
"""

import asyncio
import ipaddress
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from everwake.checks._kind import Tape, Unmet
from everwake.model import FailureKind, Phase

__all__ = ["Dialer", "is_private"]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_private(address: str) -> bool:
    """Whether an address is not on the public Internet: private, loopback, link-local, reserved, or not an address at all."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(ip.packed[-4:])
        if inner is not None:
            return is_private(str(inner))
    return not ip.is_global or ip.is_multicast


@dataclass(slots=True, kw_only=True)
class Dialer:
    """Opens connections for all checks but HTTP. allow_private: whether private addresses may be connected to.

    Names are resolved by the system's resolver in threads of its own: one that hangs must not hold up those of anybody else.
    """

    allow_private: bool = True
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=16, thread_name_prefix="everwake-names")
    )

    def close(self) -> None:
        """Let the threads end; one that still waits for a resolver ends with it."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def resolve(self, host: str, port: int = 0) -> tuple[str, ...]:
        """The addresses of a name, IPv4 first as the system orders them, without doubles. Raises socket.gaierror."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    def check_rule(self, addresses: tuple[str, ...], phase: Phase = Phase.CONNECT) -> None:
        """Raises Unmet when one of the addresses may not be connected to."""
        if not self.allow_private:
            for address in addresses:
                if is_private(address):
                    raise Unmet(FailureKind.ADDRESS_REFUSED, phase, f"{address} is not a public address")

    async def dial(
        self, tape: Tape, host: str, port: int, tls: ssl.SSLContext | None = None, *, limit_bytes: int = 65_536
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, with its phases on the tape. tls: verified for `host`. The caller closes the writer."""
        with tape.phase(Phase.DNS):
            addresses = await self.resolve(host, port)
        self.check_rule(addresses)
        with tape.phase(Phase.CONNECT):
            reader, writer = await _connect(addresses, port, tape.left_s, limit_bytes)
        if tls is not None:
            try:
                with tape.phase(Phase.TLS):
                    await writer.start_tls(tls, server_hostname=host)
            except BaseException:
                writer.transport.abort()
                raise
        return reader, writer


async def _connect(
    addresses: tuple[str, ...], port: int, left_s: float, limit_bytes: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The first address that answers; each but the last gets only its share of the time, so a dead one cannot eat it all."""
    for n, address in enumerate(addresses, 1):
        is_last = n == len(addresses)
        try:
            async with asyncio.timeout(None if is_last else left_s / len(addresses) / 2):
                return await asyncio.open_connection(address, port, limit=limit_bytes)
        except OSError:  # TimeoutError is one
            if is_last:
                raise
    raise Unmet(FailureKind.DNS_FAILED, Phase.DNS, "the name has no address")
