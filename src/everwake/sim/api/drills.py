"""Private routes, for `everwake sim break` and for whoever looks at the stand-in itself: below `/sim`, not of Render's API.

GET  /sim/drills   what can be broken, and what is
POST /sim/drills   {"service": "<id or name>", "how": "<name of a drill, or heal>"} -> what was done
GET  /sim/state    hours used, services and what they stand at
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from everwake.sim.api import asking
from everwake.sim.api.desk import Desk, json_answer
from everwake.sim.records import Service
from everwake.sim.verbs import Refused

__all__ = ["DrillRoutes", "Drills"]


class Drills(Protocol):
    """Whoever can break a service on purpose. Values are JSON."""

    def listed(self) -> Sequence[Mapping[str, object]]:
        """One row for each drill: `how`, `what` it changes, the `cause` it should be called, the `remedy` or who can cure it."""

    def broken(self, owner_id: str) -> Mapping[str, str]:
        """Id of a service -> the drill that it is broken by."""

    async def fire(self, service_id: str, how: str) -> Mapping[str, object]:
        """Break it, or `heal` it; what was done, as JSON. Raises Refused: 404 no such drill, 409 cannot be done to it now."""

    def state(self, owner_id: str) -> Mapping[str, object]:
        """More of what the platform itself knows, e.g. its speed; {} when there is nothing to add."""
        ...


class DrillRoutes:
    """The private routes. drills: None where nothing can be broken."""

    def __init__(self, desk: Desk, drills: Drills | None) -> None:
        self._desk, self._workspace, self._drills = desk, desk.workspace, drills

    @property
    def routes(self) -> list[Route]:
        """Below `/sim`."""
        return [
            Route("/drills", self.every),
            Route("/drills", self.fire, methods=["POST"]),
            Route("/state", self.state),
        ]

    async def every(self, request: Request) -> Response:
        """What can be broken, and what is."""
        if self._drills is None:
            return json_answer({"drills": [], "broken": {}})
        broken = self._drills.broken(self._desk.owner(request).id)
        return json_answer({"drills": [dict(each) for each in self._drills.listed()], "broken": dict(broken)})

    async def fire(self, request: Request) -> Response:
        """Break one, or heal it."""
        body = await asking.body_of(request)
        named, how = (body.get("service"), body.get("how")) if isinstance(body, dict) else (None, None)
        if not isinstance(named, str) or not isinstance(how, str):
            raise Refused(400, "send service and how")
        if self._drills is None:
            raise Refused(404, "this platform has no drills")
        return json_answer(dict(await self._drills.fire(self._service(request, named).id, how)))

    def _service(self, request: Request, named: str) -> Service:
        every = self._workspace.services(self._desk.owner(request).id)
        for each in every:
            if named in (each.id, each.name):
                return each
        known = ", ".join(each.name for each in every[:20])
        raise Refused(404, f"no service {named[:64]}; there are: {known}")

    async def state(self, request: Request) -> Response:
        """The platform from inside."""
        owner = self._desk.owner(request)
        services: dict[str, Any] = {}
        for each in self._workspace.services(owner.id):
            latest = next(iter(self._workspace.deploys(each.id)), None)
            services[each.name] = {
                "id": each.id,
                "url": self._workspace.url(each.id),
                "plan": each.plan,
                "suspenders": sorted(each.suspenders),
                "instances": [one.id for one in self._workspace.instances(each.id)],
                "deploy": None if latest is None else {"id": latest.id, "status": latest.status.value},
            }
        more = dict(self._drills.state(owner.id)) if self._drills is not None else {}
        hours = round(self._workspace.hours_used(owner.id), 6)
        return json_answer({**more, "owner": owner.id, "hours_used": hours, "services": services})
