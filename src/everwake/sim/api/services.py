"""Owners, services and their instances."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from everwake.sim.api import asking, wire
from everwake.sim.api.desk import Desk, json_answer, nothing
from everwake.sim.records import Service, ServiceType
from everwake.sim.verbs import Refused, ServicePatch

__all__ = ["Services"]


class _Suspended(StrEnum):
    YES = "suspended"
    NO = "not_suspended"


class Services:
    """Routes of owners and services."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._workspace = desk, desk.workspace

    @property
    def routes(self) -> list[Route]:
        """Below `/v1`."""
        return [
            Route("/users", self.user),
            Route("/owners", self.owners),
            Route("/owners/{ownerId}", self.owner),
            Route("/owners/{ownerId}/members", self.members),
            Route("/services", self.every),
            Route("/services/{serviceId}", self.one),
            Route("/services/{serviceId}", self.patch, methods=["PATCH"]),
            Route("/services/{serviceId}/suspend", self.suspend, methods=["POST"]),
            Route("/services/{serviceId}/resume", self.resume, methods=["POST"]),
            Route("/services/{serviceId}/restart", self.restart, methods=["POST"]),
            Route("/services/{serviceId}/instances", self.instances),
            Route("/services/{serviceId}/custom-domains", self.none_of_these),
            Route("/services/{serviceId}/secret-files", self.none_of_these),
        ]

    async def user(self, request: Request) -> Response:
        """Who the key belongs to."""
        owner = self._desk.owner(request)
        return json_answer({"id": owner.id.replace("own-", "usr-"), "email": owner.email, "name": owner.name})

    async def owners(self, request: Request) -> Response:
        """The one workspace that the key opens."""
        owner = self._desk.owner(request)
        names, emails = asking.several(request, "name"), asking.several(request, "email")
        fits = (not names or owner.name in names) and (not emails or owner.email in emails)
        found = [owner] if fits else []
        return json_answer(asking.one_page(request, found, lambda it: it.id, lambda it: {"owner": wire.owner(it)}))

    async def owner(self, request: Request) -> Response:
        """The same by id."""
        return json_answer(wire.owner(self._own(request)))

    async def members(self, request: Request) -> Response:
        """Its only member."""
        owner = self._own(request)
        member = {
            "userId": owner.id.replace("own-", "usr-"),
            "name": owner.name,
            "email": owner.email,
            "status": "active",
            "role": "ADMIN",
            "mfaEnabled": False,
        }
        return json_answer([member])

    def _own(self, request: Request) -> Any:
        owner = self._desk.owner(request)
        if request.path_params["ownerId"] != owner.id:
            raise Refused(404, "owner not found")
        return owner

    async def every(self, request: Request) -> Response:
        """Those of the workspace that pass every filter."""
        types = asking.choices(request, "type", ServiceType)
        suspended = asking.choices(request, "suspended", _Suspended)
        names, regions = asking.several(request, "name"), asking.several(request, "region")
        runtimes, environments = asking.several(request, "env"), asking.several(request, "environmentId")
        windows = (
            (asking.when(request, "createdAfter"), asking.when(request, "createdBefore")),
            (asking.when(request, "updatedAfter"), asking.when(request, "updatedBefore")),
        )

        def fits(it: Service) -> bool:
            is_suspended = _Suspended.YES if it.suspenders else _Suspended.NO
            return (
                (not names or it.name in names)
                and (not types or it.type in types)
                and (not suspended or is_suspended in suspended)
                and (not regions or it.region in regions)
                and (not runtimes or it.runtime in runtimes)
                and not environments
                and _within(it.created_at, windows[0])
                and _within(it.updated_at, windows[1])
            )

        seen = self._desk.owners_asked_for(asking.several(request, "ownerId"), request)
        found = [it for it in self._workspace.services(self._desk.owner(request).id) if seen and fits(it)]
        return json_answer(
            asking.one_page(request, found, lambda it: it.id, lambda it: {"service": self._desk.shown(it)})
        )

    async def one(self, request: Request) -> Response:
        """One service."""
        return json_answer(self._desk.shown(self._desk.service(request)))

    async def patch(self, request: Request) -> Response:
        """Change what is named."""
        service = self._desk.service(request)
        change = _patch(await asking.body_of(request))
        return json_answer(self._desk.shown(await self._workspace.patch_service(service.id, change)))

    async def suspend(self, request: Request) -> Response:
        """By its owner."""
        await self._workspace.suspend(self._desk.service(request).id)
        return nothing(202)

    async def resume(self, request: Request) -> Response:
        """Undo that."""
        await self._workspace.resume(self._desk.service(request).id)
        return nothing(202)

    async def restart(self, request: Request) -> Response:
        """New instances."""
        await self._workspace.restart(self._desk.service(request).id)
        return nothing(200)

    async def instances(self, request: Request) -> Response:
        """Those that run."""
        return json_answer([wire.instance(it) for it in self._workspace.instances(self._desk.service(request).id)])

    async def none_of_these(self, request: Request) -> Response:
        """What the simulated platform has none of; asked for all the same."""
        self._desk.service(request)
        asking.limit(request)
        return json_answer([])


def _within(at: datetime, window: tuple[datetime | None, datetime | None]) -> bool:
    after, before = window
    return (after is None or at > after) and (before is None or at < before)


def _patch(body: object) -> ServicePatch:
    """`servicePATCH`: of what it names, the parts that the simulated platform has; the others are passed over."""
    if not isinstance(body, dict):
        raise Refused(400, "send an object")
    details = _object(body, "serviceDetails")
    commands = _object(details, "envSpecificDetails")
    delay = details.get("maxShutdownDelaySeconds")
    if delay is not None and (isinstance(delay, bool) or not isinstance(delay, int) or not 1 <= delay <= 300):
        raise Refused(400, "invalid maxShutdownDelaySeconds: a whole number from 1 to 300")
    auto = _text(body, "autoDeploy")
    if auto not in (None, "yes", "no"):
        raise Refused(400, "invalid autoDeploy: yes or no")
    return ServicePatch(
        name=_text(body, "name"),
        branch=_text(body, "branch"),
        repo=_text(body, "repo"),
        root_dir=_text(body, "rootDir"),
        auto_deploy=None if auto is None else auto == "yes",
        build_command=_text(commands, "buildCommand") or _text(details, "buildCommand"),
        pre_deploy_command=_text(details, "preDeployCommand"),
        start_command=_text(commands, "startCommand") or _text(commands, "dockerCommand"),
        health_check_path=_text(details, "healthCheckPath"),
        max_shutdown_delay_s=None if delay is None else float(delay),
        plan=_text(details, "plan"),
        runtime=_text(details, "runtime"),
    )


def _object(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(400, f"invalid {name}: an object")
    return value


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is None or (isinstance(value, str) and len(value) <= 10_000 and "\0" not in value):
        return value if isinstance(value, str) else None
    raise Refused(400, f"invalid {name}: a text")
