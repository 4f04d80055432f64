"""Which platform a command talks to, and which of its services a name means.

A live `up.json` says it (a simulator runs here), else the fleet file (`[platform.render]`), else RENDER_API_KEY alone.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from everwake.app.reach import is_alive
from everwake.checks import specs
from everwake.clock import SystemClock
from everwake.errors import Misused
from everwake.fleet.load import load
from everwake.fleet.redact import is_random, is_secret_name
from everwake.fleet.schema import Fleet, Secret, Service
from everwake.fleet.secrets import Partly
from everwake.model import PlatformService
from everwake.platforms import Access, Connection, platforms

__all__ = ["Reached", "access_of", "connect", "reach", "secrets_of", "simulated"]

# What is shorter is a word of any log: "true", "8000".
SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """An open door to a platform. fleet: the file's, None where there is none.   ids: of services by name, where known."""

    platform: Connection
    fleet: Fleet | None = None
    ids: Mapping[str, str] = field(default_factory=dict)

    async def find(self, name: str) -> PlatformService:
        """The service that a person means by `name`: of the fleet file, of `up.json`, or of the platform itself.

        Raises:
            Finding: there is none, or more than one.
            OutOfReach: the platform does not answer.
        """
        id, host = self.ids.get(name), None
        described = _described(self.fleet, name)
        if id is None and described is not None:
            id, host = described.platform_id, urlsplit(described.url).hostname
        if id is None and name.startswith("srv-"):
            id = name
        return await self.platform.find(id=id, name=name, host=host)


def _described(fleet: Fleet | None, name: str) -> Service | None:
    return next((service for service in fleet.services if service.name == name), None) if fleet else None


def secrets_of(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The values of a service's variables, or parts of them, that no line of its log may show."""
    from everwake.doctor.examination import study

    long = {key: value for key, value in variables.items() if len(value) >= SHORTEST_SECRET}
    found = [value for key, value in long.items() if is_secret_name(key) or is_random(value)]
    return tuple(dict.fromkeys([*found, *study(variables).secrets]))


def simulated(data: Path) -> dict[str, Any] | None:
    """The `up.json` of a simulator that runs with this data folder; None when there is none."""
    with suppress(OSError, ValueError):
        said = json.loads((data / "up.json").read_bytes())
        if isinstance(said, dict) and isinstance(said.get("platform"), dict) and is_alive(said.get("pid")):
            return said
    return None


def access_of(fleet: Fleet | None, name: str, environ: Mapping[str, str]) -> Access | None:
    """How the platform `name` is reached: as the fleet file says, else with the key in its own variable; None without a key."""
    kind = platforms().get(name)
    written = fleet.platforms.get(name) if fleet else None
    if written is not None and written.api_key is not None:
        return Access(key=written.api_key, url=written.url or "")
    found = environ.get(kind.key_variable, "").strip() if kind else ""
    if kind is None or not found:
        return None
    return Access(key=Secret(found, f"env {kind.key_variable}"), url=(written.url or "") if written else "")


def connect(name: str, access: Access) -> Connection:
    """The platform of that name, nothing opened yet. Raises Misused."""
    kind = platforms().get(name)
    if kind is None:
        raise Misused(f"no platform is called {name[:40]}", hint=f"known are {', '.join(sorted(platforms()))}")
    return kind.connect(access, SystemClock())


def _fleet(file: Path | None, environ: Mapping[str, str]) -> Fleet | None:
    resolver = Partly(environ, lambda where: where[:1] == ("platform",))
    return load(file, environ, specs(), resolver=resolver) if file is not None and file.exists() else None


@asynccontextmanager
async def reach(
    fleet_file: Path | None, data: Path, environ: Mapping[str, str], service: str = ""
) -> AsyncIterator[Reached]:
    """The platform that `service` runs on, for as long as the block lasts. fleet_file: None where there is none yet.

    Raises:
        Misused: none is known, or its key is not there.
        BadFleet: there is a fleet file, and it has mistakes.
    """
    said = simulated(data)
    if said is not None:
        at = said["platform"]
        access = Access(key=Secret(str(at.get("key", "")), f"{data / 'up.json'}"), url=str(at.get("url", "")))
        known = said.get("services")
        ids = (
            {str(name): str(one["id"]) for name, one in known.items() if "id" in one} if isinstance(known, dict) else {}
        )
        async with connect("sim", access) as platform:
            yield Reached(platform=platform, ids=ids)
        return
    fleet = _fleet(fleet_file, environ)
    described = _described(fleet, service)
    name = (
        described.platform
        if described and described.platform
        else next(iter(fleet.platforms if fleet else ()), "render")
    )
    if described is not None and described.platform is None and not (fleet and fleet.platforms):
        raise Misused(f"{fleet_file} names no platform for {service}", hint='add platform = "render" to it')
    found = access_of(fleet, name, environ)
    if found is None:
        variable = platforms()[name].key_variable if name in platforms() else "its key"
        written = f'[platform.{name}] api_key = {{ env = "{variable}" }}'
        hint = f"set {variable}" + (f", or write {written} into {fleet_file}" if fleet_file else "")
        raise Misused(f"there is no key for the platform {name}", hint=hint)
    async with connect(name, found) as platform:
        yield Reached(platform=platform, fleet=fleet)
