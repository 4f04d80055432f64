"""`/metrics`: the keeper in the words of Prometheus (text format 0.0.4, prometheus.io/docs/instrumenting/exposition_formats).

Written by hand, in slices: the client library makes an object of every sample, 140,000 of them for 10,000 services, in one go of
half a second, and what looks are due meanwhile would be late (bench/web.py).
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from everwake.model import State
from everwake.watch.view import ServiceView
from everwake.web.door import Numbers, Uptime

__all__ = ["CONTENT_TYPE", "Exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Name -> type and help. Of a service each is told with its label `service`; as many series as the fleet file has services.
_OF_SERVICES = {
    "everwake_service_up": ("gauge", "1 only while a service is up"),
    "everwake_service_state": ("gauge", "1 for the state it is in"),
    "everwake_service_latency_seconds": ("gauge", "How long the last answer took"),
    "everwake_service_last_look_timestamp_seconds": ("gauge", "When the last look began"),
    "everwake_service_incident_open": ("gauge", "1 while an incident is open"),
    "everwake_service_uptime_ratio": ("gauge", "Share of the time it was up"),
    "everwake_heartbeat_connected": ("gauge", "1 while the line is held"),
    "everwake_heartbeat_missed": ("gauge", "Beats missed in a row"),
    "everwake_heartbeat_last_beat_timestamp_seconds": ("gauge", "When the last beat came"),
    "everwake_looks_total": ("counter", "Looks since the keeper started"),
    "everwake_looks_failed_total": ("counter", "Looks that were not good"),
    "everwake_incidents_total": ("counter", "Incidents opened since the keeper started"),
}


class Exposition:
    """One scrape: `add` every service, then `text`. incidents: opened since the keeper started, by service."""

    def __init__(self, numbers: Numbers, incidents: dict[str, int]) -> None:
        self._numbers, self._incidents = numbers, incidents
        self._lines: dict[str, list[str]] = {name: [] for name in _OF_SERVICES}

    def add(self, view: ServiceView, uptime: Uptime) -> None:
        """One service."""
        label = f'service="{_escaped(view.name)}"'
        for name, value in self._values(view):
            self._lines[name].append(f"{name}{{{label}}} {value!r}")
        state, ratio = "everwake_service_state", "everwake_service_uptime_ratio"
        self._lines[state].append(f'{state}{{{label},state="{view.state.value}"}} 1')
        self._lines[ratio] += [
            f'{ratio}{{{label},span="{span}"}} {share!r}' for span, share in uptime.items() if share is not None
        ]

    def _values(self, view: ServiceView) -> Iterator[tuple[str, float]]:
        yield "everwake_service_up", int(view.state is State.UP)
        yield "everwake_service_incident_open", int(view.incident is not None)
        yield "everwake_looks_total", self._numbers.looks.get(view.name, 0)
        yield "everwake_looks_failed_total", self._numbers.failed.get(view.name, 0)
        yield "everwake_incidents_total", self._incidents.get(view.name, 0)
        if view.latency_ms is not None:
            yield "everwake_service_latency_seconds", view.latency_ms / 1000
        if view.checked_at is not None:
            yield "everwake_service_last_look_timestamp_seconds", view.checked_at.timestamp()
        if view.heartbeat is not None:
            yield "everwake_heartbeat_connected", int(view.heartbeat.connected)
            yield "everwake_heartbeat_missed", view.heartbeat.missed
            if view.heartbeat.last_beat_at is not None:
                yield "everwake_heartbeat_last_beat_timestamp_seconds", view.heartbeat.last_beat_at.timestamp()

    def text(self, *, version: str, monitoring: bool, readers: int) -> bytes:
        """The whole of it."""
        parts: list[str] = []
        for name, kind, about, value in self._of_the_keeper(monitoring, readers):
            parts.append(f"# HELP {name} {about}\n# TYPE {name} {kind}\n{name} {value!r}\n")
        build = "everwake_build_info"
        parts.append(
            f'# HELP {build} What runs here\n# TYPE {build} gauge\n{build}{{version="{_escaped(version)}"}} 1\n'
        )
        for name, (kind, about) in _OF_SERVICES.items():
            parts.append(f"# HELP {name} {about}\n# TYPE {name} {kind}\n")
            parts += [f"{line}\n" for line in self._lines[name]]
        return "".join(parts).encode()

    def _of_the_keeper(self, monitoring: bool, readers: int) -> Iterator[tuple[str, str, str, float]]:
        numbers = self._numbers
        yield "everwake_monitoring", "gauge", "1 while the fleet is being watched", int(monitoring)
        yield "everwake_looks_running", "gauge", "Looks under way", numbers.running
        yield "everwake_live_readers", "gauge", "Open live views", readers
        yield "everwake_history_buffered_rows", "gauge", "Rows waiting for the disk", numbers.history_buffered
        yield "everwake_history_lost_rows_total", "counter", "Rows dropped as the buffer was full", numbers.history_lost
        yield "process_cpu_seconds_total", "counter", "CPU time of this process", time.process_time()
        resident_bytes = _resident_bytes()
        if resident_bytes is not None:
            yield "process_resident_memory_bytes", "gauge", "Memory of this process", resident_bytes


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _resident_bytes() -> int | None:
    """None where the system does not tell without another library."""
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError):
            return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGESIZE")
    return None
