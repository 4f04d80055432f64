"""`/api/v1/*`: what the keeper knows, and the few things people may ask of it. docs/keeper-api.md has examples."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from everwake.ports import Clock
from everwake.watch.view import ServiceView
from everwake.web import answers, queries
from everwake.web.door import KeeperDoor, Resolution, Uptime
from everwake.web.live import EventStream, Hub
from everwake.web.problems import Problem, no_service

__all__ = ["Api", "each_service"]

SLICE = 50
Answer = Callable[[Request], Coroutine[Any, Any, Response]]


async def each_service(door: KeeperDoor) -> AsyncIterator[ServiceView]:
    """Every service, in the order of the file. With thousands of them the loop gets its turns in between.

    Let go of each before the next: so much in memory at once would cost more than making it.
    """
    for n, name in enumerate(door.names):
        if n % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        try:
            yield door.service(name)
        except KeyError:  # the fleet was taken anew meanwhile
            continue


class Api:
    """The endpoints of one keeper."""

    def __init__(self, door: KeeperDoor, hub: Hub, uptimes: Callable[[], Mapping[str, Uptime]], clock: Clock) -> None:
        self._door, self._hub, self._uptimes, self._clock = door, hub, uptimes, clock

    @property
    def routes(self) -> list[Route]:
        """Of this API."""
        reads: dict[str, Answer] = {
            "/fleet": self.fleet,
            "/services": self.services,
            "/services/{name}": self.service,
            "/services/{name}/observations": self.observations,
            "/services/{name}/diagnosis": self.diagnosis,
            "/incidents": self.incidents,
            "/incidents/{incident}": self.incident,
            "/log": self.log,
        }
        writes: dict[str, Answer] = {
            "/services/{name}/check": self.check,
            "/checks": self.check_all,
            "/monitoring/start": self.start,
            "/monitoring/stop": self.stop,
        }
        return [
            *(Route(f"/api/v1{path}", answer, methods=["GET"]) for path, answer in reads.items()),
            *(Route(f"/api/v1{path}", answer, methods=["POST"]) for path, answer in writes.items()),
            Route("/api/v1/events", self.events, methods=["GET"]),
        ]

    # --- now ----------------------------------------------------------------------------------------------------------

    async def fleet(self, request: Request) -> Response:
        """Everything."""
        door, head, services = self._door, answers.Head(), []
        async for view in each_service(door):
            head.add(view.title, view.state, view.next_check_at)
            services.append(answers.json_bytes(self._service(view)))
        rest = answers.json_bytes(head.body(door.name, door.monitoring, door.trouble, door.switch))
        return _json(b'%s,"services":[%s]}' % (rest[:-1], b",".join(services)))

    async def services(self, request: Request) -> Response:
        """Services, a page at a time; the cursor is the name of the last one."""
        most, behind = queries.limit(request.query_params, queries.MOST_ITEMS), queries.cursor(request.query_params)
        names = list(self._door.names)
        if behind is not None and behind not in names:
            raise queries.wrong_cursor()
        first = 0 if behind is None else names.index(behind) + 1
        shown = set(names[first : first + most])
        items = [
            answers.json_bytes(self._service(view)) async for view in each_service(self._door) if view.name in shown
        ]
        following = answers.json_bytes(names[first + most - 1] if first + most < len(names) else None)
        return _json(b'{"items":[%s],"next":%s}' % (b",".join(items), following))

    async def service(self, request: Request) -> Response:
        """One service."""
        return _json(self._service(self._view(request)))

    def _service(self, view: ServiceView) -> dict[str, Any]:
        return answers.service(view, self._uptimes().get(view.name))

    def _view(self, request: Request) -> ServiceView:
        name = request.path_params["name"]
        try:
            return self._door.service(name)
        except KeyError:
            raise no_service(name, self._door.names) from None

    async def events(self, request: Request) -> ASGIApp:
        """Server-sent events."""
        if self._hub.is_full:
            raise Problem(503, "too_many_readers", "Too many live views are open.", headers={"Retry-After": "10"})
        last_id = request.headers.get("last-event-id") or request.query_params.get("last_event_id", "")
        return EventStream(self._hub.events(last_id[:100]))

    # --- the past -----------------------------------------------------------------------------------------------------

    async def observations(self, request: Request) -> Response:
        """What was seen of one service: looks, hours or days."""
        view, query = self._view(request), request.query_params
        span = queries.span(query, self._clock.now())
        most, cursor = queries.limit(query, 1_000), queries.cursor(query)
        if span.resolution is not Resolution.RAW:
            rolled = await self._door.rollups(view.name, span.resolution, since=span.since, until=span.until)
            items, following = [answers.rollup(one) for one in rolled], None
        else:
            try:
                page = await self._door.observations(
                    view.name, since=span.since, until=span.until, limit=most, cursor=cursor
                )
            except ValueError:
                raise queries.wrong_cursor() from None
            items, following = [answers.observation(one) for one in page.items], page.next
        return _json({"items": items, "next": following, "resolution": span.resolution.value})

    async def incidents(self, request: Request) -> Response:
        """Open and closed ones, newest first."""
        query = request.query_params
        most, cursor = queries.limit(query), queries.cursor(query)
        try:
            page = await self._door.incidents(service=query.get("service"), limit=most, cursor=cursor)
        except ValueError:
            raise queries.wrong_cursor() from None
        return _json({"items": [answers.incident(one) for one in page.items], "next": page.next})

    async def incident(self, request: Request) -> Response:
        """One incident."""
        wanted = request.path_params["incident"]
        # The keeper knows what is open even before the disk does.
        found = next((one for one in self._door.open_incidents() if one.id == wanted), None)
        found = found or await self._door.incident(wanted)
        if found is None:
            raise Problem(404, "incident_not_found", "There is no incident of that id.")
        return _json(answers.incident(found))

    async def log(self, request: Request) -> Response:
        """The activity log, newest first."""
        query = request.query_params
        most, cursor = queries.limit(query), queries.cursor(query)
        try:
            page = await self._door.log(service=query.get("service"), limit=most, cursor=cursor)
        except ValueError:
            raise queries.wrong_cursor() from None
        return _json({"items": [answers.line(one) for one in page.items], "next": page.next})

    async def diagnosis(self, request: Request) -> Response:
        """Why a service is not as it should be, as far as is known."""
        view = self._view(request)
        open_one = next((one for one in self._door.open_incidents() if one.id == view.incident), None)
        return _json(answers.diagnosis(view, open_one))

    # --- control ------------------------------------------------------------------------------------------------------

    async def check(self, request: Request) -> Response:
        """Look at one service now. With `?wait=30` the answer comes with what was seen, or after that many seconds."""
        view, wait_s = self._view(request), queries.wait_s(request.query_params)
        if wait_s == 0:
            return _json({"looks": self._door.check_now(view.name)}, 202)
        try:
            async with asyncio.timeout(wait_s):
                seen = await self._door.look(view.name)
        except TimeoutError:
            return _json({"looks": 1}, 202)
        service = self._service(self._view(request))
        return _json({"looks": 1, "observation": answers.observation(seen), "service": service})

    async def check_all(self, request: Request) -> Response:
        """Look at everything now."""
        return _json({"looks": self._door.check_all()}, 202)

    async def start(self, request: Request) -> Response:
        """Begin to watch again."""
        changed = self._door.start_monitoring()
        return _json({"monitoring": self._door.monitoring, "changed": changed})

    async def stop(self, request: Request) -> Response:
        """Watch nothing any more, and let go of every heartbeat."""
        changed = self._door.stop_monitoring()
        return _json({"monitoring": self._door.monitoring, "changed": changed})


def _json(body: Any, status: int = 200) -> Response:
    raw = body if isinstance(body, bytes) else answers.json_bytes(body)
    return Response(raw, status, {"Cache-Control": "no-store"}, media_type="application/json")
