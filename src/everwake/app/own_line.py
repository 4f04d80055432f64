"""Our own line: can this machine look up names, has it a route out, did its clock jump or was it asleep?

Nobody foreign is asked. Names are those of the fleet; a route is asked of the system by connecting UDP sockets, which sends
nothing.
"""

import asyncio
import errno
import ipaddress
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from everwake.clock import SystemClock
from everwake.fleet.schema import Fleet
from everwake.watch.vantage import Probe

__all__ = ["OwnLineProbe"]

PROBE_S = 2.5
HOSTS_MOST = 4
RECENT_S = 30.0
JUMP_S = 5.0
TICK_S = 0.5
# Addresses for documentation (RFC 5737, RFC 3849): a machine with a default route has one to them; nothing is sent.
_SOMEWHERE = ("192.0.2.1", "2001:db8::1")
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
# macOS says "no such name" also when it cannot ask anybody.
_SAYS_NO_NAME = (socket.EAI_NONAME,) if sys.platform.startswith("linux") else ()

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]


@dataclass(slots=True)
class _Moment:
    wall_s: float
    mono_s: float
    boot_s: float


class OwnLineProbe:
    """What can be known of ourselves. resolve: name -> addresses, raising OSError. Call `tick` at every look."""

    def __init__(self, fleet: Fleet, clock: SystemClock, resolve: Resolve) -> None:
        self.fleet = fleet
        self._clock, self._resolve = clock, resolve
        self._known: dict[str, tuple[str, ...]] = {}
        self._last = self._moment()
        self._jump_s, self._slept_s, self._moved_at_s = 0.0, 0.0, float("-inf")

    def tick(self, *, now: bool = False) -> None:
        """Compare the clocks, twice a second at most: what happened is told by `probe` for the next half minute."""
        if not now and self._clock.monotonic() - self._last.mono_s < TICK_S:
            return
        last, self._last = self._last, self._moment()
        passed_s = self._last.mono_s - last.mono_s
        slept_s = self._last.boot_s - last.boot_s - passed_s
        jump_s = self._last.wall_s - last.wall_s - passed_s - slept_s
        if slept_s > JUMP_S or abs(jump_s) > JUMP_S:
            self._jump_s, self._slept_s, self._moved_at_s = jump_s, slept_s, self._last.mono_s

    async def probe(self) -> Probe:
        """Look at ourselves; ends within 3 s. A fleet that is all on this machine never speaks against it."""
        self.tick(now=True)
        hosts = sorted({host for service in self.fleet.services if not _is_here(host := _host(service.url))})
        if not hosts:
            return Probe()
        names = [host for host in hosts if not _is_address(host)]
        resolves = await self._resolves(names[:HOSTS_MOST])
        addresses = [host for host in hosts if _is_address(host)]
        addresses += [address for name in names for address in self._known.get(name, ())]
        is_recent = self._clock.monotonic() - self._moved_at_s < RECENT_S
        return Probe(
            resolves=resolves,
            has_route=_has_route(addresses[:HOSTS_MOST] or _SOMEWHERE),
            clock_jump_s=self._jump_s if is_recent else 0.0,
            slept_s=self._slept_s if is_recent else 0.0,
        )

    async def _resolves(self, names: Iterable[str]) -> bool | None:
        """Whether a resolver answers: one name that is known, or one said not to exist, is an answer."""
        answers = await asyncio.gather(*(self._one(name) for name in names))
        if any(answers):
            return True
        return False if any(answer is False for answer in answers) else None

    async def _one(self, name: str) -> bool | None:
        try:
            async with asyncio.timeout(PROBE_S):
                self._known[name] = await self._resolve(name)
        except socket.gaierror as error:
            return error.errno in _SAYS_NO_NAME
        except OSError:  # TimeoutError is one
            return False
        return True

    def _moment(self) -> _Moment:
        clock = self._clock
        return _Moment(clock.now().timestamp(), clock.monotonic(), clock.awake_and_asleep_s())


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _has_route(addresses: Iterable[str]) -> bool | None:
    """Whether the system has a route to one of them; None when it does not say."""
    answers = [_route_to(address) for address in addresses]
    if any(answers):
        return True
    return False if any(answer is False for answer in answers) else None


def _route_to(address: str) -> bool | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect((address, 9))
    except OSError as error:
        return False if error.errno in _NO_ROUTE else None
    return True
