"""`everwake verify`: the seven criteria of one service or of the fleet, beside the keeper that runs, or without one."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from everwake.app.diagnosing import Doors
from everwake.app.evidence import News, Verified, gathered
from everwake.app.fleet_found import fleet_required
from everwake.app.reach import RunningKeeper, running_keeper
from everwake.checks import Checks
from everwake.clock import SystemClock
from everwake.fleet.naming import no_service
from everwake.fleet.schema import Fleet, Service
from everwake.model import State
from everwake.ports import Clock
from everwake.verify.criteria import KeeperSaid

__all__ = ["Asked", "News", "Verified", "verify"]

AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be verified. service: None for the whole fleet.   soak_s: how long each has to stay up, >= 0."""

    service: str | None
    soak_s: float
    fleet: Path
    data: Path
    environ: Mapping[str, str] = field(repr=False)


async def verify(asked: Asked, told: Callable[[News], None]) -> tuple[Verified, ...]:
    """Look until everything that can be known is: as long as the soak takes, or shorter where something is not met.

    told: called about twice a second for every service.

    Raises:
        BadFleet, Misused: the fleet file, or no service of that name.
    """
    fleet = fleet_required(
        asked.fleet, asked.data, asked.environ, lambda where: where[:1] in (("service",), ("platform",))
    )
    services = fleet.services if asked.service is None else (_named(asked.service, fleet),)
    token = fleet.keeper.token
    keeper = running_keeper(asked.data, token if token is not None and token.is_known else None)
    clock = SystemClock()
    at_once = asyncio.Semaphore(AT_ONCE)
    async with AsyncExitStack() as stack:
        doors = await stack.enter_async_context(Doors(fleet, asked.environ))
        checks = await stack.enter_async_context(Checks(clock, allow_private=fleet.keeper.allow_private))

        async def one(service: Service) -> Verified:
            async with at_once:
                said = None if keeper is None else partial(_said_by, keeper, service.name, clock)
                return await gathered(service, fleet, asked.soak_s, checks, doors, said, clock, told)

        return tuple(await asyncio.gather(*map(one, services)))


def _named(name: str, fleet: Fleet) -> Service:
    try:
        return fleet.service(name)
    except KeyError:
        raise no_service(name, (one.name for one in fleet.services)) from None


async def _said_by(keeper: RunningKeeper, name: str, clock: Clock) -> KeeperSaid | None:
    known = await asyncio.to_thread(keeper.service, name)
    return None if known is None else _said(known, clock.now())


def _said(known: Mapping[str, Any], now: datetime) -> KeeperSaid:
    """What a keeper's own API says of a service; a word it does not use means nothing is known."""
    try:
        state = State(str(known.get("state")))
    except ValueError:
        state = State.UNKNOWN
    since: datetime | None = None
    with suppress(ValueError):
        since = datetime.fromisoformat(str(known.get("since")))
    cause = known.get("cause")
    return KeeperSaid(at=now, state=state, since=since, cause=cause[:100] if isinstance(cause, str) else None)
