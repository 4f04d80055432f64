"""The whole simulated platform: store, engine, edge, drills and control API, from a blueprint, as one thing to enter."""

import asyncio
import json
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from everwake.clock import SystemClock
from everwake.errors import DidNotStart, Misused
from everwake.ports import Clock
from everwake.sim import own_blueprint, ports, redis
from everwake.sim.blueprint import Blueprint, parse
from everwake.sim.books import new_id
from everwake.sim.drilling import Drilling
from everwake.sim.edge.server import Edge
from everwake.sim.life import Rules
from everwake.sim.pace import Pace
from everwake.sim.platform import ROUTED, RUNS, Platform, Settings
from everwake.sim.processes.fleet import Fleet, Patience, Witness
from everwake.sim.processes.group import Group
from everwake.sim.records import Deploy, Owner
from everwake.sim.resolving import Missing, Reach, resolve
from everwake.sim.store import Store
from everwake.sim.syncing import Place, moved, synced

__all__ = ["Asked", "Simulator"]

TALLY_S = 1.0
LOOK_S = 0.1
PORT_RACES = 3
BLUEPRINT_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a simulator is asked for. blueprint: a render.yaml, None for this distribution's own.   data: its folder.

    port: of the control API; the edge and the services take the free ones behind it.   speed: of the platform's time.
    surroundings: variables that any process needs.   given: values of what is `sync: false`, by "KEY" or "service.KEY".
    stores: connection strings of Key Value services by name, "*" for all; a Redis of its own runs for any other.
    elsewhere: URLs of services that run outside of the simulator, by name; these are not run here.
    decided: variables by service that are written over the blueprint's.
    """

    data: Path
    blueprint: Path | None = None
    port: int = 8700
    speed: float = 1.0
    surroundings: Mapping[str, str] = field(default_factory=dict, repr=False)
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    stores: Mapping[str, str] = field(default_factory=dict, repr=False)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    decided: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    deploys_on_write: bool = False
    rules: Rules = field(default_factory=Rules)
    real_rules: Rules | None = None


class Simulator:
    """`async with` it: the platform runs, and answers at `document`. Leaving it stops all; killed, its group's guardian does.

    group: entered already; whoever has the data folder's claim gives it.   witness: told of a Redis of its own.
    missing: variables that nobody gave a value.   notes: what of the blueprint is left aside.
    """

    platform: Platform
    drilling: Drilling
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()

    def __init__(self, asked: Asked, group: Group, witness: Witness, clock: Clock | None = None) -> None:
        self._asked = asked
        self._group = group
        self._witness = witness
        self._clock = clock or SystemClock()
        self._stack = AsyncExitStack()
        self._api_url = ""
        self._edge_port = 0

    async def __aenter__(self) -> Self:
        """Start it; services that are new are being deployed when this returns (`settled` waits for them).

        Raises:
            BadBlueprint, Misused: the blueprint, the folder or a port cannot be used; nothing is left running.
        """
        async with AsyncExitStack() as stack:
            await self._started(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def owner(self) -> Owner:
        """The one workspace."""
        return next(iter(self.platform.books.owners.values()))

    @property
    def document(self) -> dict[str, Any]:
        """Its part of `up.json`: platform, edge and services."""
        services = {
            each.name: {"id": each.id, "url": self.platform.url(each.id)}
            for each in self.platform.services(self.owner.id)
        }
        return {
            "platform": {"url": self._api_url, "key": self.owner.key},
            "edge": f"http://{ports.HOST}:{self._edge_port}",
            "services": services,
        }

    async def settled(self) -> Mapping[str, Deploy]:
        """The newest deploy of each service that runs, by name, once every one has ended. Whoever calls sets the deadline."""
        while True:
            newest = {
                each.name: next(iter(self.platform.deploys(each.id)))
                for each in self.platform.services(self.owner.id) if each.type in RUNS and self.platform.deploys(each.id)
            }  # fmt: skip
            if not any(deploy.status.is_running for deploy in newest.values()):
                return newest
            await asyncio.sleep(LOOK_S)

    # --- starting, in order ------------------------------------------------------------------------------------------------

    async def _started(self, stack: AsyncExitStack) -> None:
        asked = self._asked
        file, blueprint = self._read()
        self.notes = blueprint.notes
        try:
            asked.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            why = f"cannot use {asked.data} as data folder: {error.strerror}"
            raise Misused(why, hint="name another with --data") from None
        free = ports.free_from(asked.port)
        listener = stack.enter_context(_listening(free))
        store = stack.enter_context(Store(asked.data / "platform.sqlite3"))
        if not store.read(Owner):
            # Not in the form of a real key, so that nobody takes it for one.
            key = f"sim_{secrets.token_urlsafe(24)}"
            store.write([Owner(id=new_id("tea"), name="Rehearsal", email="owner@example.com", key=key)])
        settings = Settings(
            data=asked.data, source=file.parent, pace=Pace(asked.speed), rules=asked.rules, real=asked.real_rules,
            surroundings=asked.surroundings, deploys_on_write=asked.deploys_on_write,
        )  # fmt: skip
        self.platform = platform = Platform(store, self._group, self._clock, settings)
        edge = await stack.enter_async_context(Edge(platform, self._clock))
        self._edge_port = await _open(edge, None, free)
        places = await self._opened(edge, blueprint, free)
        stores = await self._stores(stack, blueprint, free)
        reach = {**asked.elsewhere, **{name: f"http://{ports.HOST}:{place.port}" for name, place in places.items()}}
        known = {
            **{f"service {name}": url for name, url in reach.items()},
            **{f"store {name}": url for name, url in stores.items()},
        }
        moved(platform.books, json.loads(store.fact("reach") or "{}"), known)
        await stack.enter_async_context(platform)
        self.drilling = await stack.enter_async_context(Drilling(platform, self._edge_port))
        generated = _Generated(store.fact("generated"))
        resolved = resolve(
            blueprint, Reach(services=reach, stores=stores), self._given, generated.made
        )  # fmt: skip
        self.missing = resolved.missing
        resolved = replace(
            resolved, env={name: {**env, **asked.decided.get(name, {})} for name, env in resolved.env.items()}
        )
        before = store.fact("synced")
        after = await synced(platform, self.owner.id, blueprint, resolved, places, known, before)
        platform.books.put(facts={"reach": json.dumps(known), "synced": after, "generated": generated.text})
        platform.do(self._tallied(edge))
        await self._served(stack, listener)

    def _read(self) -> tuple[Path, Blueprint]:
        file = self._asked.blueprint or own_blueprint.file()
        try:
            with file.open("rb") as opened:
                text = opened.read(BLUEPRINT_BYTES + 1).decode("utf-8")
        except OSError as error:
            raise Misused(f"cannot read {file}: {error.strerror}", hint="name another with --blueprint") from None
        except UnicodeDecodeError:
            raise Misused(f"{file} is not UTF-8 text", hint="name another with --blueprint") from None
        blueprint = parse(text, str(file))
        here = tuple(each for each in blueprint.services if each.name not in self._asked.elsewhere)
        return file.resolve(), replace(blueprint, services=here)

    async def _opened(self, edge: Edge, blueprint: Blueprint, free: Iterator[int]) -> dict[str, Place]:
        """The id and the edge's port of every service that it serves, where possible the port of before. A new service has its
        id from here, so that its port is ours from this moment on: one that is only found free may be gone a second later."""
        books = self.platform.books
        places: dict[str, Place] = {}
        for service in books.services.values():
            if service.type in ROUTED:
                port = await _open(edge, service.id, chain([service.port], free))
                if port != service.port:
                    books.put(replace(service, port=port))
                places[service.name] = Place(service.id, port)
        for draft in blueprint.services:
            if draft.type in ROUTED and draft.name not in places:
                service_id = new_id("srv")
                places[draft.name] = Place(service_id, await _open(edge, service_id, free))
        return places

    async def _stores(self, stack: AsyncExitStack, blueprint: Blueprint, free: Iterator[int]) -> dict[str, str]:
        """Where each Key Value service answers; those that nobody gave share one Redis of the simulator's own."""
        given = self._asked.stores
        found = {name: given.get(name) or given.get("*", "") for name in blueprint.stores}
        if not all(found.values()):
            url = await self._own_redis(stack, free)
            found = {name: each or url for name, each in found.items()}
        return found

    async def _own_redis(self, stack: AsyncExitStack, free: Iterator[int]) -> str:
        for race in range(1, PORT_RACES + 1):
            own = redis.own(next(free), self._asked.data, self._asked.surroundings)
            self._witness.say(f"starting {own.said} on port {own.program.port}")
            async with AsyncExitStack() as tried:
                fleet = await tried.enter_async_context(
                    Fleet(self._group, self._asked.data / "logs", self._witness, Patience(start_s=30.0))
                )
                try:
                    await fleet.start([own.program])
                except DidNotStart:
                    if race == PORT_RACES or ports.is_free(own.program.port):
                        raise
                    continue  # somebody took the port between the look and the start
                stack.push_async_exit(tried.pop_all())
                return own.url
        raise AssertionError("the last race returns or raises")

    def _given(self, service: str, variable: str) -> str | None:
        given = self._asked.given
        return given.get(f"{service}.{variable}", given.get(variable)) or None

    async def _served(self, stack: AsyncExitStack, listener: socket.socket) -> None:
        """The control API. Its libraries are imported here, while the services start."""
        from everwake.sim.api.app import create
        from everwake.sim.api.serving import serving

        app = create(self.platform, drills=self.drilling, clock=self._clock)
        self._api_url = await stack.enter_async_context(serving(app, listener))

    async def _tallied(self, edge: Edge) -> None:
        """What went through the edge, told to the platform's metrics."""
        before = edge.traffic()
        while True:
            await asyncio.sleep(TALLY_S)
            now = edge.traffic()
            for service_id, traffic in now.items():
                old = before.get(service_id)
                statuses = {
                    status: count - (old.statuses.get(status, 0) if old else 0)
                    for status, count in traffic.statuses.items()
                }
                sent_bytes = traffic.bytes_out - (old.bytes_out if old else 0)
                if sent_bytes or any(statuses.values()):
                    self.platform.went(service_id, {status: n for status, n in statuses.items() if n}, sent_bytes)
            before = now


class _Generated:
    """Secrets of `generateValue`: those of the first start, for ever."""

    def __init__(self, text: str | None) -> None:
        self._made: dict[str, str] = json.loads(text) if text else {}

    def made(self, where: str, key: str) -> str:
        return self._made.setdefault(f"{where}.{key}", secrets.token_urlsafe(32))

    @property
    def text(self) -> str:
        return json.dumps(self._made)


def _listening(free: Iterator[int]) -> socket.socket:
    for port in free:
        try:
            return socket.create_server((ports.HOST, port))
        except OSError:
            continue  # taken since it was looked at
    raise Misused(f"no port of {ports.HOST} is free", hint="name a lower --port")


async def _open(edge: Edge, service_id: str | None, free: Iterator[int]) -> int:
    """Listen for a service (None: for all, by Host) on the first of these ports that can be had."""
    for port in free:
        with suppress(Misused):
            return await (edge.open_shared(port) if service_id is None else edge.open(service_id, port))
    raise Misused(f"no port of {ports.HOST} is free for the edge", hint="name a lower --port")
