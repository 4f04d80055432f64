"""Looking without a keeper that runs: every check once (`everwake once`), or at one service or URL (`everwake check`)."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from everwake.checks import Checks
from everwake.clock import SystemClock
from everwake.errors import Misused
from everwake.fleet.schema import Service
from everwake.model import BeatKind, Failure, FailureKind, Observation, Phase, State
from everwake.watch import state

__all__ = ["Looked", "look_at", "look_at_all", "service_of_url", "waits_for_a_name"]

AT_ONCE = 200
_CALM = (BeatKind.CONNECTED, BeatKind.RECONNECTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One service, looked at once with everything it has. seen: the primary check first."""

    service: Service
    state: State
    cause: str | None
    seen: tuple[Observation, ...]


async def look_at_all(
    services: Sequence[Service],
    *,
    allow_private: bool,
    told: Callable[[tuple[Looked, ...]], None] = lambda looked: None,
) -> tuple[Looked, ...]:
    """Look at every service once, many at a time; in the order given.

    told: hears it before anything is closed, which a name server that does not answer holds up (`waits_for_a_name`).
    """
    at_once = asyncio.Semaphore(AT_ONCE)
    clock = SystemClock()
    async with Checks(clock, allow_private=allow_private) as checks:

        async def one(service: Service) -> Looked:
            async with at_once:
                return await look_at(service, checks, clock)

        looked = tuple(await asyncio.gather(*(one(service) for service in services)))
        told(looked)
        return looked


def waits_for_a_name(looked: Sequence[Looked]) -> bool:
    """Whether a thread still waits for the system's resolver, which cannot be told to stop: seen with libcurl 8, 2026-07."""
    failures = [seen.failure for one in looked for seen in one.seen if seen.failure is not None]
    return any(failure.kind is FailureKind.TIMEOUT and failure.phase is Phase.DNS for failure in failures)


async def look_at(service: Service, checks: Checks, clock: SystemClock) -> Looked:
    """Look at one service with every check it has, side by side."""
    names = ("http", *(f"{check.kind}:{n}" for n, check in enumerate(service.checks)))
    looks = [checks.look(service, name) for name in names]
    beats = [_first_beat(service, checks, clock)] if service.heartbeat else []
    seen = tuple(await asyncio.gather(*looks, *beats))
    # Nobody comes back in three seconds to confirm: what is seen once counts.
    policy = state.Policy(every_s=service.every_s, sleeps=service.sleeps, confirm_s=(), degrade_after=1)
    watch = state.Watch()
    # Another check degrades only who was found well since it began; looks made side by side count as that.
    primary, *others = seen
    for one in (replace(primary, at=max(one.at for one in seen)), *others):
        watch = state.advance(watch, one, policy).watch
    return Looked(service=service, state=watch.state, cause=watch.cause, seen=seen)


async def _first_beat(service: Service, checks: Checks, clock: SystemClock) -> Observation:
    """Connect the heartbeat and wait for its first beat, which a keep-alive server sends at once."""
    at, began_s = clock.now(), clock.monotonic()
    failure: Failure | None = None
    try:
        async with asyncio.timeout(service.timeout_s), aclosing(checks.follow(service)) as beats:
            async for beat in beats:
                if beat.kind not in _CALM:
                    failure = beat.failure
                    break
    except TimeoutError:
        failure = Failure(kind=FailureKind.TIMEOUT, phase=Phase.BEAT, detail=f"no beat within {service.timeout_s:g} s")
    return Observation(
        service=service.name, check="heartbeat", at=at, took_s=clock.monotonic() - began_s, failure=failure
    )


def service_of_url(url: str) -> Service:
    """A service out of a URL: its path is what is asked for, `/health` where it has none. Raises Misused."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host = None
    if "://" not in url:
        raise Misused(f"{url[:80]} is not a URL that can be looked at", hint=f"write http://{url[:80]} or https://..")
    if not host or parts.scheme not in ("http", "https"):
        raise Misused(f"{url[:80]} is not a URL that can be looked at", hint="write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise Misused("the URL carries a user or password", hint="put them into the fleet file, by env or file")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return Service(name=host, url=f"{parts.scheme}://{parts.netloc}", health=path or "/health")
