"""What a service says and what happens to it: logs in pages, logs as they come, events."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from everwake.sim.api import asking, wire
from everwake.sim.api.desk import Desk, json_answer
from everwake.sim.api.gate import problem
from everwake.sim.verbs import LogPage, LogQuery, Refused

__all__ = ["Logs"]

HOUR = timedelta(hours=1)
LABELS = ("instance", "host", "statusCode", "method", "level", "type")
SEEN_FOR_VALUES = 2_000  # lines that are read to say which values a label has
# Labels of request logs, which the simulated edge does not write: nothing has them.
OF_REQUESTS = ("host", "statusCode", "method", "path", "task", "taskRun", "workflowService", "workflowVersion")


class Logs:
    """Routes of logs and events."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._workspace = desk, desk.workspace

    @property
    def routes(self) -> list[BaseRoute]:
        """Below `/v1`."""
        return [
            Route("/logs", self.every),
            Route("/logs/values", self.values),
            Route("/logs/subscribe", self.not_upgraded),
            WebSocketRoute("/logs/subscribe", self.subscribe),
            Route("/services/{serviceId}/events", self.events),
            Route("/events/{eventId}", self.event),
        ]

    async def every(self, request: Request) -> Response:
        """A page of a window."""
        query, since, until = self._query(request)
        page = LogPage(entries=()) if self._is_about_requests(request) else self._workspace.logs(query)
        return json_answer(wire.log_page(page, since, until))

    async def values(self, request: Request) -> Response:
        """Which values a label has among the latest lines."""
        label = request.query_params.get("label", "")
        if label not in LABELS:
            raise Refused(400, f"invalid label: one of {', '.join(LABELS)}")
        query, _, _ = self._query(request, most=100)
        found: dict[str, None] = {}
        for _ in range(SEEN_FOR_VALUES // 100):
            page = self._workspace.logs(query)
            for each in page.entries:
                value = {"instance": each.instance, "level": each.level, "type": each.type}.get(label, "")
                if value:
                    found[value] = None
            if not page.has_more:
                break
            query = _narrowed(query, page)
        return json_answer(sorted(found)[: asking.limit(request)])

    async def not_upgraded(self, request: Request) -> Response:
        """For a plain GET."""
        raise Refused(400, "this address is for WebSockets")

    async def subscribe(self, socket: WebSocket) -> None:
        """New lines, one text frame each, until the client goes."""
        try:
            query, _, _ = self._query(socket)
        except Refused as refusal:
            await socket.send_denial_response(problem(refusal.status, refusal.message))
            return
        await socket.accept()
        send = asyncio.create_task(self._send(socket, query), name="logs")
        listen = asyncio.create_task(_until_gone(socket), name="logs-client")
        try:
            await asyncio.wait((send, listen), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (send, listen):
                each.cancel()
            ended = await asyncio.gather(send, listen, return_exceptions=True)
        if isinstance(ended[0], Exception) and not isinstance(ended[0], WebSocketDisconnect):
            raise ended[0]

    async def _send(self, socket: WebSocket, query: LogQuery) -> None:
        if self._is_about_requests(socket):
            await asyncio.Event().wait()
        async with aclosing(self._workspace.subscribe(query)) as lines:  # type: ignore[type-var]
            async for each in lines:
                await socket.send_text(json.dumps(wire.log_entry(each)))

    def _query(self, connection: HTTPConnection, most: int | None = None) -> tuple[LogQuery, datetime, datetime]:
        request: Any = connection
        resources = asking.several(request, "resource")
        if not resources:
            raise Refused(400, "say which resource")
        if connection.query_params.get("ownerId") != self._desk.owner(connection).id:
            raise Refused(400, "invalid ownerId: not a workspace of this key")
        services = tuple(self._desk.service(connection, each).id for each in resources)
        direction = connection.query_params.get("direction", "backward")
        if direction not in ("forward", "backward"):
            raise Refused(400, "invalid direction: forward or backward")
        until = asking.when(request, "endTime") or self._desk.clock.now()
        since = asking.when(request, "startTime") or until - HOUR
        query = LogQuery(
            services=services,
            since=since,
            until=until,
            types=asking.several(request, "type"),
            instances=asking.several(request, "instance"),
            levels=asking.several(request, "level"),
            # A comma belongs to a text that is looked for.
            texts=tuple(connection.query_params.getlist("text")[:20]),
            newest_first=direction == "backward",
            limit=most or asking.limit(request),
        )
        return query, since, until

    def _is_about_requests(self, connection: HTTPConnection) -> bool:
        return any(connection.query_params.get(name) for name in OF_REQUESTS)

    # --- events -------------------------------------------------------------------------------------------------------

    async def events(self, request: Request) -> Response:
        """The newest first; of the last hour, when no time is said."""
        service = self._desk.service(request)
        kinds = asking.several(request, "type")
        until = asking.when(request, "endTime") or self._desk.clock.now()
        since = asking.when(request, "startTime") or until - HOUR
        found = [
            it
            for it in self._workspace.events(service.id)
            if since <= it.at <= until and (not kinds or it.type in kinds)
        ]
        return json_answer(asking.one_page(request, found, lambda it: it.id, lambda it: {"event": wire.event(it)}))

    async def event(self, request: Request) -> Response:
        """One event."""
        found = self._workspace.event(request.path_params["eventId"])
        self._desk.service(request, found.service_id)
        return json_answer(wire.event(found))


def _narrowed(query: LogQuery, page: LogPage) -> LogQuery:
    return replace(query, since=page.next_since or query.since, until=page.next_until or query.until)


async def _until_gone(socket: WebSocket) -> None:
    """What a subscriber sends is not looked at."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
