"""`/api/v1/services/{name}/remedy` and `/api/v1/repairs`: what would mend a service, the yes to it, and the big red switch."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from everwake.errors import Finding, OutOfReach
from everwake.remedy.standing import Standing
from everwake.remedy.telling import decision_document, run_document
from everwake.web import answers
from everwake.web.body import read_object
from everwake.web.door import KeeperDoor
from everwake.web.problems import Problem, no_service

__all__ = ["Remedies"]

LONGEST_NAME = 60


class Remedies:
    """The endpoints of one keeper's repairs."""

    def __init__(self, door: KeeperDoor) -> None:
        self._door = door

    @property
    def routes(self) -> list[Route]:
        """Of these."""
        return [
            Route("/api/v1/services/{name}/remedy", self.state, methods=["GET"]),
            Route("/api/v1/services/{name}/remedy", self.act, methods=["POST"]),
            Route("/api/v1/repairs", self.repairs, methods=["GET"]),
            Route("/api/v1/repairs/stop", self.stop, methods=["POST"]),
            Route("/api/v1/repairs/start", self.start, methods=["POST"]),
        ]

    async def state(self, request: Request) -> Response:
        """How repairs stand for one service."""
        name = request.path_params["name"]
        try:
            return _json(_standing(name, self._door.repair(name)))
        except KeyError:
            raise no_service(name, self._door.names) from None

    async def act(self, request: Request) -> Response:
        """`{"plan": true}`: what would be done. `{"yes": true}`: do it; the answer comes as soon as it has begun."""
        name = request.path_params["name"]
        if name not in self._door.names:
            raise no_service(name, self._door.names)
        body = await read_object(request)
        wants = [word for word in ("plan", "yes") if body.get(word) is True]
        if len(wants) != 1:
            raise Problem(
                422, "plan_or_yes", 'Send {"plan": true} to see what would be done, or {"yes": true} to do it.'
            )
        try:
            if wants == ["plan"]:
                planned = await self._door.plan(name)
                return _json({"service": name, **decision_document(planned.decision), "refused": planned.refused})
            run = await self._door.begin(name, _who(request, body))
        except KeyError:
            raise no_service(name, self._door.names) from None
        except Finding as refusal:
            raise Problem(409, "not_begun", " ".join(filter(None, (f"{refusal.message}.", refusal.hint)))) from None
        except OutOfReach as trouble:
            raise _out_of_reach(trouble) from None
        return _json({"service": name, "run": run_document(run)}, 202)

    async def repairs(self, request: Request) -> Response:
        """How the red switch stands, and what is under way."""
        runs = [self._door.repair(name).run for name in self._door.names]
        under_way = [run_document(run) for run in runs if run is not None and run.state.is_open]
        return _json({**answers.switch(self._door.switch), "open": under_way})

    async def stop(self, request: Request) -> Response:
        """The big red switch: nothing is begun any more, and what is under way ends before its next step."""
        return await self._set(request, is_stopped=True)

    async def start(self, request: Request) -> Response:
        """Allow repairs again."""
        return await self._set(request, is_stopped=False)

    async def _set(self, request: Request, *, is_stopped: bool) -> Response:
        try:
            changed = await self._door.set_switch(is_stopped, _who(request, await read_object(request)))
        except OutOfReach as trouble:
            raise _out_of_reach(trouble) from None
        return _json({**answers.switch(self._door.switch), "changed": changed})


def _standing(name: str, standing: Standing) -> dict[str, Any]:
    run = standing.run
    return {
        "service": name,
        "repair": standing.repair,
        "repairs": answers.switch(standing.switch),
        "run": run_document(run) if run is not None else None,
        "thought": decision_document(standing.decision) if standing.decision is not None else None,
        "refused": standing.refused,
    }


def _who(request: Request, body: dict[str, Any]) -> str:
    """Who asks, as they say themselves: for the audit trail, nothing is decided by it."""
    said = body.get("by")
    if isinstance(said, str) and said.strip():
        return "".join(char for char in said.strip()[:LONGEST_NAME] if char.isprintable())
    return "the page" if request.headers.get("sec-fetch-site") == "same-origin" else "the API"


def _out_of_reach(trouble: OutOfReach) -> Problem:
    return Problem(503, "out_of_reach", f"{trouble.message}.", headers={"Retry-After": "5"})


def _json(body: Any, status: int = 200) -> Response:
    return Response(answers.json_bytes(body), status, {"Cache-Control": "no-store"}, media_type="application/json")
