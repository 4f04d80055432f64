"""`/api/v1/hours` and the routes by which somebody who is about to use a service has it woken. docs/hours.md says how."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from everwake.budget import telling
from everwake.web import answers
from everwake.web.door import KeeperDoor
from everwake.web.problems import Problem, no_service

__all__ = ["HOLD_MOST_S", "HoursApi"]

HOLD_S = 600
HOLD_MOST_S = 3_600
URL_CHARS = 500


class HoursApi:
    """Of one keeper."""

    def __init__(self, door: KeeperDoor) -> None:
        self._door = door

    @property
    def routes(self) -> list[Route]:
        """Of this part of the API."""
        return [
            Route("/api/v1/hours", self.hours, methods=["GET"]),
            Route("/api/v1/services/{name}/wake", self.wake, methods=["POST"]),
            Route("/api/v1/wake", self.wake_by_url, methods=["POST"]),
        ]

    async def hours(self, request: Request) -> Response:
        """The free hours, by platform, as they were counted last."""
        found = self._door.free_hours()
        body = {
            "counted_at": answers.when(found.counted_at),
            "platforms": {name: telling.document(hours) for name, hours in found.hours.items()},
            "missing": dict(found.missing),
        }
        return _json(body)

    async def wake(self, request: Request) -> Response:
        """Wake a service, what it needs first."""
        return self._wake(request.path_params["name"], request)

    async def wake_by_url(self, request: Request) -> Response:
        """The same for who knows only where the service answers."""
        url = request.query_params.get("url", "")
        if not url or len(url) > URL_CHARS:
            raise Problem(422, "invalid_request", "url: where the service answers, such as https://host")
        name = self._door.named_by(url)
        if name is None:
            raise Problem(404, "service_not_found", "No service of this fleet answers there.")
        return self._wake(name, request)

    def _wake(self, name: str, request: Request) -> Response:
        hold_s = _hold_s(request.query_params.get("hold", ""))
        try:
            woken = self._door.wake(name, hold_s)
        except KeyError:
            raise no_service(name, self._door.names) from None
        return _json({"service": name, "waking": list(woken), "hold_s": hold_s}, 202)


def _hold_s(text: str) -> float:
    if not text:
        return HOLD_S
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 0 < int(text) <= HOLD_MOST_S:
        raise Problem(422, "invalid_request", f"hold: whole seconds from 1 to {HOLD_MOST_S}")
    return int(text)


def _json(body: object, status: int = 200) -> Response:
    return Response(answers.json_bytes(body), status, {"Cache-Control": "no-store"}, media_type="application/json")
