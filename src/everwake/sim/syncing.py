"""A blueprint brought onto the platform: what is new is added, what has changed is changed, what its owner wrote since stays.

Addresses are this machine's and may differ from run to run (a port was taken, a Redis has a new password). That is no change of
anybody's configuration, so the old address is replaced by the new one wherever it stands, in old deploys too.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from everwake.sim.blueprint import Blueprint, ServiceDraft
from everwake.sim.books import Books, new_id
from everwake.sim.platform import RUNS, Platform
from everwake.sim.records import Broken, Commit, Deploy, EnvGroup, Service, Trigger
from everwake.sim.resolving import Resolved

__all__ = ["Place", "moved", "synced"]

_OWN_COMMANDS = ("chatify", "everwake")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the edge answers for a service: its id, and a port of loopback."""

    id: str
    port: int


def moved(books: Books, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Every address of `before` is now the one of the same name: written in one transaction."""
    moves = {before[name]: url for name, url in now.items() if before.get(name) and before[name] != url}
    if not moves:
        return

    def mended(env: Mapping[str, Any]) -> dict[str, Any]:
        return {key: _replaced(value, moves) if isinstance(value, str) else value for key, value in env.items()}

    records: list[Service | EnvGroup | Deploy | Broken] = []
    for service in books.services.values():
        records.append(replace(service, env=mended(service.env)))
        records += [replace(each, env=mended(each.env)) for each in reversed(books.deploys(service.id))]
    records += [replace(each, env=mended(each.env)) for each in books.groups.values()]
    records += [replace(each, variables=mended(each.variables)) for each in books.broken.values()]
    books.put(*records)


def _replaced(text: str, moves: Mapping[str, str]) -> str:
    # Two services may have swapped their ports, so no replacement may see what another has written.
    marks = {old: f"\0{n}\0" for n, old in enumerate(sorted(moves, key=len, reverse=True))}
    for old, mark in marks.items():
        text = text.replace(old, mark)
    for old, mark in marks.items():
        text = text.replace(mark, moves[old])
    return text


async def synced(
    platform: Platform,
    owner_id: str,
    blueprint: Blueprint,
    resolved: Resolved,
    places: Mapping[str, Place],
    addresses: Mapping[str, str],
    known: str | None,
) -> str:
    """Bring it in; what to pass as `known` the next time. places: by service, of those that the edge serves.

    addresses: as given to `moved`.   known: of the time before.
    """
    books = platform.books
    digests: dict[str, str] = {} if known is None else json.loads(known)
    names = {url: name for name, url in addresses.items()}
    groups = {each.name: each for each in books.groups.values() if each.owner_id == owner_id}
    for name, env in resolved.groups.items():
        now = books.now()
        if name not in groups:
            groups[name] = EnvGroup(
                id=new_id("evg"), owner_id=owner_id, name=name, created_at=now, updated_at=now, env=dict(env)
            )  # fmt: skip
            books.put(groups[name])
        elif digests.get(f"group {name}") != _digest(env, names):
            books.put(replace(groups[name], updated_at=now, env={**groups[name].env, **env}))
        digests[f"group {name}"] = _digest(env, names)
    services = {each.name: each for each in platform.services(owner_id)}
    for draft in blueprint.services:
        env = resolved.env[draft.name]
        digest = _digest({**env, "": repr(replace(draft, line=0, env=()))}, names)
        linked = tuple(groups[name].id for name in draft.groups if name in groups)
        old = services.get(draft.name)
        if old is None:
            await platform.add(_service(draft, owner_id, env, linked, places.get(draft.name), books))
        elif digests.get(f"service {draft.name}") != digest:
            await _changed(platform, old, draft, env, linked)
        digests[f"service {draft.name}"] = digest
    return json.dumps(digests)


async def _changed(
    platform: Platform, old: Service, draft: ServiceDraft, env: Mapping[str, str], groups: tuple[str, ...]
) -> None:
    books = platform.books
    broken = books.broken.get(old.id)
    if broken is not None:  # what a drill has changed stays so until it is healed
        before = {key: env[key] for key in broken.variables if key in env}
        books.put(replace(broken, variables={**broken.variables, **before}))
        env = {key: value for key, value in env.items() if key not in broken.variables}
    settings = _settings(draft)
    if broken is not None and broken.health_check_path is not None:
        del settings["health_check_path"]
    books.put(books.touched(old, **settings, env={**old.env, **env}, groups=groups))
    if old.type in RUNS and not old.suspenders:
        await platform.create_deploy(old.id, trigger=Trigger.BLUEPRINT)


def _service(
    draft: ServiceDraft,
    owner_id: str,
    env: Mapping[str, str],
    groups: tuple[str, ...],
    place: Place | None,
    books: Books,
) -> Service:
    now = books.now()
    commit = Commit(id=secrets.token_hex(20), message="As the blueprint has it", created_at=now)
    return Service(
        id=place.id if place else new_id("srv"), owner_id=owner_id, name=draft.name, type=draft.type, created_at=now,
        updated_at=now, port=place.port if place else 0,
        env=dict(env), groups=groups, commits=(commit,), **_settings(draft),
    )  # fmt: skip


def _settings(draft: ServiceDraft) -> dict[str, Any]:
    return {
        "plan": draft.plan, "runtime": draft.runtime or "python", "region": draft.region, "repo": draft.repo,
        "branch": draft.branch, "root_dir": draft.root_dir, "build_command": draft.build_command,
        "pre_deploy_command": draft.pre_deploy_command, "start_command": draft.start_command,
        "health_check_path": draft.health_check_path, "publish_path": draft.publish_path, "auto_deploy": draft.auto_deploy,
        "max_shutdown_delay_s": draft.max_shutdown_delay_s, "num_instances": draft.num_instances,
        "ours": draft.start_command.partition(" ")[0] in _OWN_COMMANDS,
    }  # fmt: skip


def _digest(values: Mapping[str, str], names: Mapping[str, str]) -> str:
    """Of what a person wrote. names: of addresses, which stand for these."""
    plain = {key: _replaced(value, names) for key, value in values.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
