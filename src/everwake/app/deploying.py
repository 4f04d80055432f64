"""`everwake deploy`: one deploy, followed to its end; when it fails, the line that failed it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from everwake.app.platform import secrets_of
from everwake.clock import SystemClock
from everwake.fleet.redact import redact_with
from everwake.model import DeployRecord, Diagnosis, PlatformLine, PlatformService
from everwake.platforms import intend
from everwake.ports import Platform

__all__ = ["Deployed", "deploy", "said_during"]

# The platform's own last words come a moment after the deploy has ended.
LAST_WORDS = timedelta(seconds=5)
MOST_LINES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """How a deploy ended. lines: what it said, oldest first; only of one that failed.   diagnosis: why, of one that failed."""

    service: PlatformService
    record: DeployRecord
    took_s: float
    lines: tuple[PlatformLine, ...] = ()
    diagnosis: Diagnosis | None = None


async def deploy(
    platform: Platform,
    service: PlatformService,
    *,
    clear_cache: bool,
    follow: bool,
    seen: Callable[[DeployRecord], None],
    why: Callable[[PlatformService, DeployRecord, tuple[PlatformLine, ...]], Diagnosis],
) -> Deployed:
    """Deploy the latest commit. seen: told of every status; why: asked about one that failed.

    Raises:
        Finding, OutOfReach: as the platform's verbs do.
    """
    clock = SystemClock()
    began_s, at = clock.monotonic(), clock.now()
    record = await platform.deploy(
        service.id, intention=intend(f"cli.{secrets.token_hex(4)}", at), clear_cache=clear_cache
    )
    seen(record)
    if follow:
        async for each in platform.follow(service.id, record.id):
            if each.status != record.status:
                seen(each)
            record = each
    took_s = clock.monotonic() - began_s
    if not record.has_failed:
        return Deployed(service=service, record=record, took_s=took_s)
    lines = await said_during(
        platform, service.id, record, clock.now(), secrets_of(await platform.variables(service.id))
    )
    return Deployed(service=service, record=record, took_s=took_s, lines=lines, diagnosis=why(service, record, lines))


async def said_during(
    platform: Platform, id: str, record: DeployRecord, now: datetime, hidden: tuple[str, ...] = ()
) -> tuple[PlatformLine, ...]:
    """What a service says between the begin of a deploy and its end, masked. id: the platform's.   hidden: known secrets."""
    since = record.created_at or now - timedelta(minutes=15)
    lines = await platform.logs(id, since, (record.finished_at or now) + LAST_WORDS, MOST_LINES)
    return tuple(
        PlatformLine(
            id=line.id,
            at=line.at,
            text=redact_with(line.text, hidden, 2_000),
            type=line.type,
            level=line.level,
            instance=line.instance,
        )
        for line in lines
    )
