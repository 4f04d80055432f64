"""`/metrics`: the keeper in the words of Prometheus. The client library is loaded by the first scrape, not before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everwake.model import State
from everwake.watch.view import ServiceView
from everwake.web.door import Numbers, Uptime

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["CONTENT_TYPE", "Scrape", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Everything one scrape tells. incidents: opened since the keeper started, by service."""

    version: str
    monitoring: bool
    services: Sequence[ServiceView]
    uptimes: Mapping[str, Uptime]
    numbers: Numbers
    incidents: Mapping[str, int]
    readers: int


def exposition(scrape: Scrape) -> bytes:
    """The text of one scrape. It takes milliseconds for thousands of services: call it in a thread.

    Labels are names of services, states and spans: as many as the fleet file has, escaped by the library.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Told(scrape))
    return generate_latest(registry)


class _Told:
    """A collector (`prometheus_client.registry.Collector`) of one scrape."""

    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    def collect(self) -> Iterable["Metric"]:
        yield from self._of_the_keeper()
        yield from self._of_services()

    def _of_the_keeper(self) -> Iterable["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        told, numbers = self._scrape, self._scrape.numbers
        yield InfoMetricFamily("everwake_build", "What runs here", value={"version": told.version})
        yield GaugeMetricFamily("everwake_monitoring", "1 while the fleet is being watched", value=told.monitoring)
        yield GaugeMetricFamily("everwake_looks_running", "Looks under way", value=numbers.running)
        yield GaugeMetricFamily("everwake_live_readers", "Open live views", value=told.readers)
        yield GaugeMetricFamily(
            "everwake_history_buffered_rows", "Rows waiting for the disk", value=numbers.history_buffered
        )
        yield CounterMetricFamily(
            "everwake_history_lost_rows", "Rows dropped as the buffer was full", value=numbers.history_lost
        )
        by_service = {
            "everwake_looks": ("Looks since the keeper started", numbers.looks),
            "everwake_looks_failed": ("Looks that were not good", numbers.failed),
            "everwake_incidents": ("Incidents opened since the keeper started", told.incidents),
        }
        for name, (about, counts) in by_service.items():
            family = CounterMetricFamily(name, about, labels=["service"])
            for view in told.services:
                family.add_metric([view.name], counts.get(view.name, 0))
            yield family

    def _of_services(self) -> Iterable["Metric"]:
        from prometheus_client.core import GaugeMetricFamily

        told = self._scrape
        up = GaugeMetricFamily("everwake_service_up", "1 only while a service is up", labels=["service"])
        state = GaugeMetricFamily("everwake_service_state", "1 for the state it is in", labels=["service", "state"])
        latency = GaugeMetricFamily(
            "everwake_service_latency_seconds", "How long the last answer took", labels=["service"]
        )
        looked = GaugeMetricFamily(
            "everwake_service_last_look_timestamp_seconds", "When the last look began", labels=["service"]
        )
        troubled = GaugeMetricFamily(
            "everwake_service_incident_open", "1 while an incident is open", labels=["service"]
        )
        held = GaugeMetricFamily("everwake_heartbeat_connected", "1 while the line is held", labels=["service"])
        missed = GaugeMetricFamily("everwake_heartbeat_missed", "Beats missed in a row", labels=["service"])
        beat = GaugeMetricFamily(
            "everwake_heartbeat_last_beat_timestamp_seconds", "When the last beat came", labels=["service"]
        )
        uptime = GaugeMetricFamily(
            "everwake_service_uptime_ratio", "Share of time it was up", labels=["service", "span"]
        )
        for view in told.services:
            name = [view.name]
            up.add_metric(name, view.state is State.UP)
            state.add_metric([view.name, view.state.value], 1)
            troubled.add_metric(name, view.incident is not None)
            if view.latency_ms is not None:
                latency.add_metric(name, view.latency_ms / 1000)
            if view.checked_at is not None:
                looked.add_metric(name, view.checked_at.timestamp())
            if view.heartbeat is not None:
                held.add_metric(name, view.heartbeat.connected)
                missed.add_metric(name, view.heartbeat.missed)
                if view.heartbeat.last_beat_at is not None:
                    beat.add_metric(name, view.heartbeat.last_beat_at.timestamp())
            for span, share in told.uptimes.get(view.name, {}).items():
                if share is not None:
                    uptime.add_metric([view.name, span], share)
        yield from (up, state, latency, looked, troubled, held, missed, beat, uptime)
