"""Measurements: what the simulated platform has of processor, memory, requests, bandwidth and instances."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from everwake.sim.api import asking, wire
from everwake.sim.api.desk import Desk, json_answer
from everwake.sim.records import PLAN_MEMORY_BYTES, Service
from everwake.sim.verbs import Metric, Refused, Sample, Series

__all__ = ["Metrics"]

# Cores by plan (render.com/pricing, read 2026-11).
_CORES = {"free": 0.1, "starter": 0.5, "standard": 1.0, "pro": 2.0}
_MEASURED = {
    "cpu": Metric.CPU,
    "memory": Metric.MEMORY,
    "bandwidth": Metric.BANDWIDTH,
    "http-requests": Metric.HTTP_REQUESTS,
    "instance-count": Metric.INSTANCE_COUNT,
}
# Asked for by dashboards; there is nothing of them here.
_UNMEASURED = ("cpu-target", "memory-target", "http-latency", "disk-usage", "disk-capacity", "active-connections")


class Metrics:
    """Routes of metrics."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._workspace = desk, desk.workspace

    @property
    def routes(self) -> list[Route]:
        """Below `/v1`."""
        return [
            *(Route(f"/metrics/{name}", self._measured(metric)) for name, metric in _MEASURED.items()),
            *(Route(f"/metrics/{name}", self.nothing) for name in _UNMEASURED),
            Route("/metrics/memory-limit", self._limited(lambda it: PLAN_MEMORY_BYTES.get(it.plan, 2**29), "byte")),
            Route("/metrics/cpu-limit", self._limited(lambda it: _CORES.get(it.plan, 1.0), "cpu")),
        ]

    def _services(self, request: Request) -> list[Service]:
        ids = asking.several(request, "resource") or asking.several(request, "service")
        if not ids:
            raise Refused(400, "say which resource")
        return [self._desk.service(request, each) for each in ids]

    def _measured(self, metric: Metric) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            said = request.query_params.get("resolutionSeconds", "60")
            if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", said) or float(said) < 30:
                raise Refused(400, "invalid resolutionSeconds: 30 or more")
            until = asking.when(request, "endTime") or self._desk.clock.now()
            since = asking.when(request, "startTime") or until - timedelta(hours=1)
            instances = asking.several(request, "instance")
            found = [
                series
                for service in self._services(request)
                for series in self._workspace.metric(metric, service.id, since, until, round(float(said)))
                if not instances or series.labels.get("instance") in instances
            ]
            return json_answer([wire.metric(each) for each in found])

        return answer

    def _limited(self, limit: Callable[[Service], float], unit: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            now = self._desk.clock.now()
            found = [
                Series(unit=unit, labels={"resource": it.id}, samples=(Sample(now, limit(it)),))
                for it in self._services(request)
            ]
            return json_answer([wire.metric(each) for each in found])

        return answer

    async def nothing(self, request: Request) -> Response:
        """No series."""
        self._services(request)
        return json_answer([])
