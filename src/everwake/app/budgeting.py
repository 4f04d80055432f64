"""Free hours: gathered from the platform's own count, else from our history, else assumed; and watched while a keeper runs."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from everwake.app.diagnosing import Doors
from everwake.app.fleet_found import fleet_found
from everwake.app.platform import access_of, reach, simulated
from everwake.budget.hours import Hours, put_together, scaled
from everwake.budget.ledger import Source, Usage, month_of, of_counts, of_states
from everwake.clock import SystemClock
from everwake.errors import EverwakeError, Finding, Misused, OutOfReach
from everwake.fleet.schema import Fleet, Secret, Service
from everwake.fleet.windows import ALWAYS, ON_DEMAND
from everwake.history.moves import moves_in
from everwake.model import PlatformService, State
from everwake.platforms import Access, Connection, platforms

__all__ = ["Asked", "Counted", "Inside", "access_in", "budget", "hours_of", "inside_of", "of_fleet"]

AT_ONCE = 8
ASK_S = 10.0
# Who is asked when it was suspended: they all were at the same time.
ASKED_WHEN = 3
SUSPENDED = frozenset({"suspender_added", "service_suspended"})
Moves = Mapping[str, Sequence[tuple[datetime, State]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What a simulated platform tells of its hours. at: by its calendar.   speed: how many of its hours pass in one of ours.

    read_at: when that was, by our clock.
    """

    used_h: float
    allowance_h: float
    speed: float
    at: datetime
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The hours of every platform that has free services, by its name. missing: why another could not be asked, by name."""

    hours: Mapping[str, Hours]
    missing: Mapping[str, str] = field(default_factory=dict)


def access_in(data: Path) -> Access | None:
    """How the simulator is reached that runs with this data folder; None when there is none."""
    at = (simulated(data) or {}).get("platform")
    if not isinstance(at, dict):
        return None
    return Access(key=Secret(str(at.get("key", "")), "up.json"), url=str(at.get("url", "")))


async def inside_of(access: Access | None) -> Inside | None:
    """`GET /sim/state` of a simulator; None where the address is none of one, or does not answer.

    Its hours run `speed` times as fast as ours, so the count of instances that its API gives cannot be used as it is.
    """
    if access is None:
        return None
    import httpx

    parts = urlsplit(access.url)
    url = urlunsplit((parts.scheme, parts.netloc, "/sim/state", "", ""))
    try:
        async with httpx.AsyncClient(timeout=ASK_S, trust_env=False) as client:
            answer = await client.get(url, headers={"Authorization": f"Bearer {access.key.reveal()}"})
            said = answer.json()
        return Inside(
            used_h=float(said["hours_used"]),
            allowance_h=float(said["free_hours"]),
            speed=float(said["speed"]),
            at=datetime.fromisoformat(said["calendar"]),
            read_at=SystemClock().now(),
        )
    except (httpx.HTTPError, ValueError, TypeError, KeyError, OSError):
        return None


async def hours_of(
    platform: Connection,
    services: Sequence[PlatformService],
    *,
    awake: Mapping[str, str] | None = None,
    needed_by: Mapping[str, int] | None = None,
    moves: Moves | None = None,
    inside: Inside | None = None,
    now: datetime | None = None,
) -> Hours | None:
    """Hours that the free web services of a workspace used this month, and how long they last; None where none is free.

    awake, needed_by, moves: by the platform's name of the service; always awake where `awake` says nothing.   moves: what our
    history saw, for what the platform does not count.   inside: of a simulator.

    Raises:
        OutOfReach: the platform does not answer.
    """
    free = [one for one in services if one.plan == "free" and one.type == "web_service"]
    if not free:
        return None
    now = now or SystemClock().now()
    since, _ = month_of(now)
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(service: PlatformService) -> Usage:
        async with at_once:
            return await _usage(platform, service, since, now, (moves or {}).get(service.name, ()))

    usages = tuple(await asyncio.gather(*map(one, free)))
    wanted = {service.name: (awake or {}).get(service.name, ALWAYS) for service in free if not _is_stopped(service)}
    zone = next((plan.rpartition(" ")[2] for plan in wanted.values() if "/" in plan), "UTC")
    cut_off = [service for service in free if service.name in wanted and "billing" in service.suspenders]
    suspended = tuple(service.name for service in cut_off)
    ended_at = await _suspended_at(platform, cut_off, since) if cut_off else None
    if inside is None:
        return put_together(
            usages, wanted, now, zone=zone, needed_by=needed_by, suspended=suspended, ended_at=ended_at
        )  # fmt: skip
    if ended_at is not None:
        ended_at = inside.at - (inside.read_at - ended_at) * inside.speed
        ended_at = ended_at if ended_at >= month_of(inside.at)[0] else None
    return put_together(
        scaled(usages, inside.used_h), wanted, inside.at, zone=zone, needed_by=needed_by,
        allowance_h=inside.allowance_h, speed=inside.speed, suspended=suspended, ended_at=ended_at,
    )  # fmt: skip


async def _suspended_at(platform: Connection, services: Sequence[PlatformService], since: datetime) -> datetime | None:
    """When the platform suspended these, all at once, for the hours: its own word, None where it has none."""
    if "events" not in platform.verbs:
        return None
    for service in services[:ASKED_WHEN]:
        try:
            events = await platform.events(service.id, since)
        except EverwakeError:
            continue
        for event in events:
            if event.type in SUSPENDED and event.details.get("actor", "billing") == "billing":
                return event.at
    return None


def _is_stopped(service: PlatformService) -> bool:
    """Whether its owner stopped it. Who is suspended because the hours are used up goes on next month, and would have gone on."""
    return "user" in service.suspenders


async def _usage(
    platform: Connection,
    service: PlatformService,
    since: datetime,
    now: datetime,
    moves: Sequence[tuple[datetime, State]],
) -> Usage:
    begin = max(since, service.created_at) if service.created_at else since
    try:
        counts = await platform.instance_counts(service.id, begin, now) if "instance_counts" in platform.verbs else ()
    except Finding:
        counts = ()
    if counts:
        return of_counts(service.name, counts, begin, now)
    if moves:
        return of_states(service.name, moves, begin, now)
    # Nobody counted: it may have run since the month began, or since it was made.
    most_h = max(0.0, (now - begin).total_seconds()) / 3600
    return Usage(service=service.name, used_h=most_h, low_h=0.0, high_h=most_h, source=Source.ASSUMED)


# --- of a fleet -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where to look. fleet: the fleet file, which need not exist.   data: folder of the history and of a live `up.json`."""

    fleet: Path
    data: Path
    environ: Mapping[str, str] = field(repr=False)


async def budget(asked: Asked) -> Counted:
    """The hours of every workspace that the fleet is in; without a fleet file, of the one that the key sees.

    Raises:
        Misused: no platform is known, or there is no key; no service of the fleet names one.
        OutOfReach: no platform answers.
    """
    clock = SystemClock()
    fleet = fleet_found(asked.fleet, asked.data, asked.environ, lambda where: where[:1] == ("platform",))
    if fleet is None or not any(one.platform for one in fleet.services):
        if fleet is not None and simulated(asked.data) is None:
            _must_know_one(fleet, asked)
        return await _of_key(asked)
    moves = await asyncio.to_thread(moves_in, asked.data / "history.sqlite3", month_of(clock.now())[0])
    async with AsyncExitStack() as stack:
        doors = await stack.enter_async_context(Doors(fleet, asked.environ))
        counted = await of_fleet(fleet, doors, asked.environ, moves, clock.now())
    if not counted.hours and counted.missing:
        (name, why), *_ = counted.missing.items()
        raise OutOfReach(f"{name} cannot be asked: {why}")
    return counted


def _must_know_one(fleet: Fleet, asked: Asked) -> None:
    """A key alone is enough, for all that it sees. Without one the services should have named their platform."""
    named = next(iter(fleet.platforms), "render")
    if access_of(fleet, named, asked.environ) is None:
        variable = platforms()[named].key_variable if named in platforms() else "its key"
        raise Misused(
            f"no service of {asked.fleet} names a platform, so there are no free hours to count",
            hint=f'write platform = "{named}" to each service that runs there, and set {variable}',
        )


async def _of_key(asked: Asked) -> Counted:
    async with reach(asked.fleet, asked.data, asked.environ) as reached:
        services = await reached.platform.services()
        inside = await inside_of(access_in(asked.data))
        hours = await hours_of(reached.platform, services, inside=inside)
        return Counted(hours={} if hours is None else {reached.platform.name: hours})


async def of_fleet(fleet: Fleet, doors: Doors, environ: Mapping[str, str], moves: Moves, now: datetime) -> Counted:
    """Every workspace that the fleet's services are in. moves: what our history saw, by the fleet's names."""
    found: dict[str, Hours] = {}
    missing: dict[str, str] = {}
    first = {one.platform: one for one in reversed(fleet.services) if one.platform}
    for name, service in first.items():
        try:
            door = await doors.of(service)
            if door is None:
                missing[name] = "there is no key for it"
                continue
            hours = await _of_workspace(fleet, door, access_of(fleet, name, environ), moves, now)
        except (OutOfReach, Finding, Misused) as wrong:
            missing[name] = wrong.message
            continue
        if hours is not None:
            found[name] = hours
    return Counted(hours=found, missing=missing)


async def _of_workspace(
    fleet: Fleet, door: Connection, access: Access | None, moves: Moves, now: datetime
) -> Hours | None:
    services = await door.services()
    ours = {one.name: _described(fleet, one) for one in services}
    return await hours_of(
        door,
        services,
        # What the fleet file does not name is kept awake by nobody: it runs when somebody comes.
        awake={name: one.awake if one else ON_DEMAND for name, one in ours.items()},
        needed_by={name: sum(one.name in it.depends_on for it in fleet.services) for name, one in ours.items() if one},
        moves={name: moves[one.name] for name, one in ours.items() if one and one.name in moves},
        inside=await inside_of(access) if door.name == "sim" else None,
        now=now,
    )


def _described(fleet: Fleet, service: PlatformService) -> Service | None:
    """What the fleet file says of it: known by its id, else by its host or name."""
    host = urlsplit(service.url).netloc
    for one in fleet.services:
        if one.platform_id == service.id:
            return one
    for one in fleet.services:
        if one.platform_id is None and (one.name == service.name or (host and urlsplit(one.url).netloc == host)):
            return one
    return None
