"""The values of a blueprint's variables: written, generated, given by a person, or taken from another service. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from everwake.sim.blueprint import Blueprint, EnvEntry

__all__ = ["Given", "Missing", "Reach", "Resolved", "resolve"]

_Holder = tuple[str, str]
Given = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where things answer. services: name to "http://host:port".   stores, databases: name to a connection string."""

    services: Mapping[str, str]
    stores: Mapping[str, str] = field(default_factory=dict, repr=False)
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Missing:
    """A variable that nobody gave a value: it is not set. why: in words."""

    where: str
    key: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """env: of each service by name, its own only.   groups: of each env group by name."""

    env: Mapping[str, Mapping[str, str]] = field(repr=False)
    groups: Mapping[str, Mapping[str, str]] = field(repr=False)
    missing: tuple[Missing, ...] = ()


def resolve(blueprint: Blueprint, reach: Reach, given: Given, generate: Callable[[str, str], str]) -> Resolved:
    """Every variable's value. given: asked for what is `sync: false`, by service (or group) and key; None leaves it unset.

    generate: makes the secret of a `generateValue`, of a service (or group) and key.
    """
    return _Resolver(blueprint, reach, given, generate).resolved()


class _Resolver:
    """A holder of variables is ("service" or "group", its name)."""

    def __init__(self, blueprint: Blueprint, reach: Reach, given: Given, generate: Callable[[str, str], str]) -> None:
        self._blueprint = blueprint
        self._reach = reach
        self._given = given
        self._generate = generate
        self._done: dict[tuple[_Holder, str], str | None] = {}
        self._under_way: set[tuple[_Holder, str]] = set()
        self._missing: list[Missing] = []
        holders = [(("group", each.name), each.env) for each in blueprint.groups]
        holders += [(("service", each.name), each.env) for each in blueprint.services]
        self._env: dict[_Holder, dict[str, EnvEntry]] = {
            holder: {entry.key: entry for entry in env} for holder, env in holders
        }

    def resolved(self) -> Resolved:
        found: dict[str, dict[str, Mapping[str, str]]] = {"group": {}, "service": {}}
        for holder, entries in self._env.items():
            values = {key: self._value(holder, entry) for key, entry in entries.items()}
            found[holder[0]][holder[1]] = {key: value for key, value in values.items() if value is not None}
        return Resolved(env=found["service"], groups=found["group"], missing=tuple(self._missing))

    def _value(self, holder: _Holder, entry: EnvEntry) -> str | None:
        at = (holder, entry.key)
        if at not in self._done:
            if at in self._under_way:
                return self._lacks(holder, entry, "its references lead back to itself")
            self._under_way.add(at)
            self._done[at] = self._found(holder, entry)
            self._under_way.discard(at)
        return self._done[at]

    def _found(self, holder: _Holder, entry: EnvEntry) -> str | None:
        if entry.value is not None:
            return entry.value
        if entry.is_generated:
            return self._generate(holder[1], entry.key)
        if entry.is_given:
            value = self._given(holder[1], entry.key)
            return self._lacks(holder, entry, "sync: false, and nobody gave it a value") if value is None else value
        if entry.is_variable:
            return self._variable_of(holder, entry)
        if entry.database:
            url, why = self._reach.databases.get(entry.database), f"the simulator runs no database {entry.database}"
        elif entry.service in self._blueprint.stores:
            url, why = self._reach.stores.get(entry.service), f"the simulator runs no Key Value {entry.service}"
        else:
            url, why = self._reach.services.get(entry.service), f"{entry.service} cannot be reached"
        return self._lacks(holder, entry, why) if url is None else _part(url, entry.wanted)

    def _variable_of(self, holder: _Holder, entry: EnvEntry) -> str | None:
        """A variable of another service: the platform's own, its own, or one of its groups'."""
        url = self._reach.services.get(entry.service, "")
        own = {"RENDER_EXTERNAL_URL": url, "RENDER_EXTERNAL_HOSTNAME": url.partition("://")[2]}
        if entry.wanted in own:
            return own[entry.wanted] or self._lacks(holder, entry, f"{entry.service} cannot be reached from outside")
        groups = next((each.groups for each in self._blueprint.services if each.name == entry.service), ())
        for other in (("service", entry.service), *(("group", name) for name in reversed(groups))):
            found = self._env.get(other, {}).get(entry.wanted)
            if found is not None:
                return self._value(other, found)
        return self._lacks(holder, entry, f"{entry.service} has no variable {entry.wanted}")

    def _lacks(self, holder: _Holder, entry: EnvEntry, why: str) -> str | None:
        self._missing.append(Missing(holder[1], entry.key, why))
        return None


def _part(url: str, wanted: str) -> str:
    """A property of something that answers at a URL."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", str(parts.port or "")
    return {
        "connectionString": url, "connectionPoolString": url, "host": host, "port": port, "hostport": f"{host}:{port}",
        "user": parts.username or "", "password": parts.password or "", "database": parts.path.lstrip("/"),
    }[wanted]  # fmt: skip
