"""`everwake init`: from a platform's key to a fleet file, what is wrong with the variables, and the free hours."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from everwake.app.budgeting import access_in, hours_of, inside_of
from everwake.app.fleet_file import Kept, kept, text_of
from everwake.app.platform import reach, simulated
from everwake.app.rehearsing import KEY_FILE
from everwake.budget.hours import Hours
from everwake.doctor.context import Context
from everwake.doctor.examination import Finding as Found
from everwake.doctor.fleet_wide import study_fleet
from everwake.errors import Finding, Misused
from everwake.model import PlatformService
from everwake.platforms import Connection

__all__ = ["Asked", "Begun", "begin"]

AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """out: the fleet file to write.   data: folder of a live `up.json`.   environ: for the key.   overwrite: though it exists."""

    out: Path
    data: Path
    environ: Mapping[str, str] = field(repr=False)
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What there is. services: all that the key sees; kept: those that were written.   findings: by service.

    hours: None where no service is free.   replaced: the fleet file of before, kept under this name.
    """

    platform: str
    services: tuple[PlatformService, ...]
    kept: tuple[Kept, ...]
    findings: Mapping[str, tuple[Found, ...]]
    hours: Hours | None
    replaced: Path | None = None


async def begin(asked: Asked) -> Begun:
    """List the services, write the file, examine every variable, count the hours.

    Raises:
        Misused: there is a fleet file already; no key.
        Finding: the key sees no service that could be watched.
        OutOfReach: the platform does not answer.
    """
    if asked.out.exists() and not asked.overwrite:
        raise Misused(
            f"{asked.out} exists already",
            hint="name another with --out, or --force to write it anew (it is kept as .bak)",
        )
    async with reach(None, asked.data, asked.environ) as reached:
        platform = reached.platform
        services = tuple(await platform.services())
        variables = await _variables(platform, services)
        found = kept(services, variables)
        if not found:
            count = len(services)
            raise Finding(
                f"the key sees {count} service{'' if count == 1 else 's'}, and none that is reached from outside"
            )
        hours = await hours_of(platform, services, inside=await inside_of(access_in(asked.data)))
    access = _access(platform.name, asked)
    text = text_of(
        asked.out.resolve().parent.name or "fleet", found, platform=platform.name, access=access,
        head="Written by `everwake init`; everything that can be set: docs/everwake-toml.md.\n"
        'Whether a chat is answered shows only in one: add [[service.check]], kind = "chat" (docs/checks.md).',
    )  # fmt: skip
    replaced = None
    if asked.out.exists():
        replaced = asked.out.with_name(asked.out.name + ".bak")
        asked.out.replace(replaced)
    asked.out.write_text(text, encoding="utf-8")
    contexts = {
        one.name: Context.of({"platform": platform.name, "environment": _environment(variables, one.name)})
        for one in found
    }
    studies = study_fleet(
        {one.name: variables.get(one.name, {}) for one in found}, {one.name: one.url for one in found}, contexts
    )
    return Begun(
        platform=platform.name, services=services, kept=found, hours=hours, replaced=replaced,
        findings={name: study.findings for name, study in studies.items()},
    )  # fmt: skip


def _access(platform: str, asked: Asked) -> Mapping[str, object]:
    """`[platform.<name>]`: where the key is, never the key itself."""
    said = simulated(asked.data)
    if platform == "sim" and said is not None:
        return {"url": said["platform"]["url"], "api_key": {"file": str((asked.data / KEY_FILE).resolve())}}
    return {"api_key": {"env": "RENDER_API_KEY"}}


def _environment(variables: Mapping[str, Mapping[str, str]], name: str) -> str:
    """What a service says it is; one that is deployed and says nothing is production."""
    return variables.get(name, {}).get("ENVIRONMENT", "") or "production"


async def _variables(platform: Connection, services: tuple[PlatformService, ...]) -> Mapping[str, Mapping[str, str]]:
    """Of every service, by its name; of one that has none to give (a static site may not), nothing."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(service: PlatformService) -> Mapping[str, str]:
        async with at_once:
            try:
                return await platform.variables(service.id)
            except Finding:
                return {}

    found = await asyncio.gather(*map(one, services))
    return {service.name: values for service, values in zip(services, found, strict=True)}
