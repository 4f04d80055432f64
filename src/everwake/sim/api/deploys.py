"""Deploys: list, create, cancel, roll back."""

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from everwake.sim.api import asking, wire
from everwake.sim.api.desk import Desk, json_answer
from everwake.sim.records import Deploy, DeployStatus
from everwake.sim.verbs import Refused

__all__ = ["Deploys"]


class Deploys:
    """Routes of a service's deploys."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._workspace = desk, desk.workspace

    @property
    def routes(self) -> list[Route]:
        """Below `/v1`."""
        return [
            Route("/services/{serviceId}/deploys", self.every),
            Route("/services/{serviceId}/deploys", self.create, methods=["POST"]),
            Route("/services/{serviceId}/deploys/{deployId}", self.one),
            Route("/services/{serviceId}/deploys/{deployId}/cancel", self.cancel, methods=["POST"]),
            Route("/services/{serviceId}/rollback", self.rollback, methods=["POST"]),
        ]

    async def every(self, request: Request) -> Response:
        """The newest first."""
        service = self._desk.service(request)
        statuses = asking.choices(request, "status", DeployStatus)
        windows = [
            (asking.when(request, f"{what}After"), asking.when(request, f"{what}Before"))
            for what in ("created", "updated", "finished")
        ]

        def fits(it: Deploy) -> bool:
            times = (it.created_at, it.updated_at, it.finished_at)
            return (not statuses or it.status in statuses) and all(map(_within, times, windows))

        found = [it for it in self._workspace.deploys(service.id) if fits(it)]
        return json_answer(asking.one_page(request, found, lambda it: it.id, lambda it: {"deploy": wire.deploy(it)}))

    async def one(self, request: Request) -> Response:
        """One deploy."""
        service = self._desk.service(request)
        return json_answer(wire.deploy(self._workspace.deploy(service.id, request.path_params["deployId"])))

    async def create(self, request: Request) -> Response:
        """Of the latest commit, or of the one named."""
        service = self._desk.service(request)
        body = await asking.body_of(request, optional=True)
        if not isinstance(body, dict):
            raise Refused(400, "send an object")
        clear = body.get("clearCache", "do_not_clear")
        if clear not in ("clear", "do_not_clear"):
            raise Refused(400, "invalid clearCache: clear or do_not_clear")
        if body.get("imageUrl") is not None:
            raise Refused(400, "the service is not made from an image")
        commit = body.get("commitId")
        if commit is not None and not isinstance(commit, str):
            raise Refused(400, "invalid commitId: a text")
        made = await self._workspace.create_deploy(service.id, clear_cache=clear == "clear", commit_id=commit or None)
        return json_answer(wire.deploy(made), 201)

    async def cancel(self, request: Request) -> Response:
        """Stop one that runs."""
        service = self._desk.service(request)
        return json_answer(
            wire.deploy(await self._workspace.cancel_deploy(service.id, request.path_params["deployId"]))
        )

    async def rollback(self, request: Request) -> Response:
        """Deploy again what an earlier one brought."""
        service = self._desk.service(request)
        body = await asking.body_of(request)
        target = body.get("deployId") if isinstance(body, dict) else None
        if not isinstance(target, str):
            raise Refused(400, "send the deployId to roll back to")
        return json_answer(wire.deploy(await self._workspace.rollback(service.id, target)), 201)


def _within(at: datetime | None, window: tuple[datetime | None, datetime | None]) -> bool:
    after, before = window
    if at is None:
        return after is None and before is None
    return (after is None or at > after) and (before is None or at < before)
