"""A keeper without a network: the whole `KeeperDoor` in memory, moved by the test. Its time stands still (`NOW`)."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from everwake.errors import Finding
from everwake.model import (
    Failure,
    FailureKind,
    Incident,
    Level,
    LogLine,
    Observation,
    Phase,
    RemedyRun,
    RunState,
    State,
)
from everwake.ports import Switch
from everwake.remedy.plan import Act, Wait
from everwake.remedy.standing import Planned, Standing
from everwake.watch.view import Heart, Seen, ServiceView
from everwake.web.door import SPANS, HistoryUnavailable, HoursKnown, Listener, Numbers, Page, Resolution, Rollup, Uptime

__all__ = ["NOW", "REFUSED", "FakeDoor", "line", "look", "view"]

T = TypeVar("T")
NOW = datetime(2026, 1, 1, 11, 30, tzinfo=UTC)
REFUSED = Failure(kind=FailureKind.REFUSED, phase=Phase.CONNECT, detail="nobody listens")

STRIP = tuple(Seen(NOW - timedelta(seconds=180 * n), State.UP, 300.4) for n in range(59, -1, -1))


def view(name: str, **given: Any) -> ServiceView:
    return ServiceView(
        **{
            "name": name, "title": name.capitalize(), "url": f"https://{name}.example", "group": None, "state": State.UP,
            "since": NOW - timedelta(hours=2), "cause": None, "failure": None, "latency_ms": 300.4, "status": 200,
            "checked_at": NOW, "next_check_at": NOW + timedelta(minutes=3), "checking": False,
            "heartbeat": Heart(connected=True, connected_at=NOW, last_beat_at=NOW), "incident": None,
            "strip": STRIP,
            **given,
        }
    )  # fmt: skip


def line(text: str, level: Level = Level.INFO, service: str | None = None, at: datetime = NOW) -> LogLine:
    return LogLine(at=at, level=level, text=text, service=service)


def look(service: str, at: datetime = NOW, failure: Failure | None = None, **given: Any) -> Observation:
    given = {
        "check": "http",
        "took_s": 0.3,
        "status": 200,
        "phases": {Phase.DNS: 0.01},
        "headers": {"server": "x"},
    } | given
    return Observation(service=service, at=at, failure=failure, **given)


class FakeDoor:
    """Change it through `set`, `say`, `tell`; everything asked for is in `asked`."""

    def __init__(self, *names: str) -> None:
        self.name, self.monitoring = "blabbin", True
        self.trouble: tuple[str, ...] = ()
        self.views: dict[str, ServiceView] = {name: view(name) for name in names}
        self.known: dict[str, Incident] = {}
        self.lines: list[LogLine] = []
        self.seen: list[Observation] = []
        self.has_history = True
        self.known_hours = HoursKnown()
        self.red = Switch()
        self.repairs: dict[str, Standing] = {}
        self.planned: dict[str, Planned] = {}
        self.asked: Counter[str] = Counter()
        self.listeners: list[Listener] = []
        self.answers_looks = True
        self._moments = count(1)

    # --- for the test -------------------------------------------------------------------------------------------------

    def set(self, name: str, **given: Any) -> None:
        self.views[name] = replace(self.views.get(name) or view(name), **given)
        for listener in list(self.listeners):
            listener.changed(name)

    def say(self, text: str, **given: Any) -> None:
        said = line(text, at=NOW + timedelta(seconds=next(self._moments)), **given)
        self.lines.append(said)
        for listener in list(self.listeners):
            listener.said(said)

    def tell(self, incident: Incident) -> None:
        self.known[incident.id] = incident
        for listener in list(self.listeners):
            listener.told(incident)

    def reload(self, *names: str) -> None:
        self.views = {name: self.views.get(name) or view(name) for name in names}
        for listener in list(self.listeners):
            listener.reloaded()

    # --- KeeperDoor ---------------------------------------------------------------------------------------------------

    @property
    def names(self) -> Sequence[str]:
        return list(self.views)

    def service(self, name: str) -> ServiceView:
        self.asked["service"] += 1
        return self.views[name]

    def open_incidents(self) -> tuple[Incident, ...]:
        return tuple(one for one in self.known.values() if one.closed_at is None)

    def numbers(self) -> Numbers:
        return Numbers(looks=dict.fromkeys(self.views, 7), failed=dict.fromkeys(self.views, 2), running=1)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def free_hours(self) -> HoursKnown:
        return self.known_hours

    def named_by(self, url: str) -> str | None:
        return next((name for name, view in self.views.items() if view.url == url.rstrip("/")), None)

    def wake(self, name: str, hold_s: float) -> Sequence[str]:
        _ = self.views[name]
        self.asked[f"wake {name}"] += 1
        return [name]

    @property
    def switch(self) -> Switch:
        return self.red

    async def set_switch(self, is_stopped: bool, by: str) -> bool:
        changed, self.red = self.red.is_stopped != is_stopped, Switch(is_stopped=is_stopped, by=by)
        for listener in list(self.listeners):
            listener.changed("")
        return changed

    def repair(self, name: str) -> Standing:
        _ = self.views[name]
        return replace(self.repairs.get(name, Standing(repair="ask", switch=self.red)), switch=self.red)

    async def plan(self, name: str) -> Planned:
        _ = self.views[name]
        self.asked[f"plan {name}"] += 1
        return self.planned.get(name, Planned(decision=Wait(why="it is up")))

    async def begin(self, name: str, by: str) -> RemedyRun:
        self.asked[f"begin {name} by {by}"] += 1
        planned = self.planned.get(name) if name in self.views else None
        if name not in self.views:
            raise KeyError(name)
        if planned is None or not isinstance(planned.decision, Act):
            raise Finding("nothing is to be done: it is up")
        plan = planned.decision
        run = RemedyRun(
            id="rem-1", service=name, incident=f"inc-{name}", playbook=plan.playbook, cause=plan.cause, why=plan.why,
            asked_at=datetime.now(UTC), began_at=datetime.now(UTC), steps=plan.steps, by=by, state=RunState.RUNNING,
            about=plan.about,
        )  # fmt: skip
        self.repairs[name] = Standing(repair="ask", switch=self.red, run=run, decision=plan)
        return run

    def start_monitoring(self) -> bool:
        was, self.monitoring = self.monitoring, True
        return not was

    def stop_monitoring(self) -> bool:
        was, self.monitoring = self.monitoring, False
        return was

    def check_now(self, name: str) -> int:
        assert name in self.views
        self.asked[f"check {name}"] += 1
        return 1

    def check_all(self) -> int:
        return sum(self.check_now(name) for name in self.views)

    async def look(self, name: str) -> Observation:
        self.check_now(name)
        if not self.answers_looks:
            raise TimeoutError
        return look(name)

    async def uptimes(self) -> Mapping[str, Uptime]:
        self._read()
        return {name: dict(zip(SPANS, (1.0, 0.99987, 0.5, None), strict=True)) for name in self.views}

    async def observations(
        self, service: str, *, since: datetime, until: datetime, limit: int, cursor: str | None
    ) -> Page[Observation]:
        self._read()
        found = [one for one in self.seen if one.service == service and since <= one.at < until]
        return _page(found, limit, cursor)

    async def rollups(
        self, service: str, resolution: Resolution, *, since: datetime, until: datetime
    ) -> tuple[Rollup, ...]:
        self._read()
        return (Rollup(at=NOW, looks=20, failed=1, uptime=0.95, p50_ms=300.0, p95_ms=400.0),)

    async def incidents(self, *, service: str | None, limit: int, cursor: str | None) -> Page[Incident]:
        self._read()
        found = [one for one in self.known.values() if service in (None, one.service)]
        return _page(sorted(found, key=lambda one: one.opened_at, reverse=True), limit, cursor)

    async def incident(self, incident_id: str) -> Incident | None:
        self._read()
        return self.known.get(incident_id)

    async def log(self, *, service: str | None, limit: int, cursor: str | None) -> Page[LogLine]:
        self._read()
        found = [one for one in reversed(self.lines) if service in (None, one.service)]
        return _page(found, limit, cursor)

    def _read(self) -> None:
        if not self.has_history:
            raise HistoryUnavailable("the disk is full")


def _page(found: Sequence[T], limit: int, cursor: str | None) -> Page[T]:
    first = int(cursor or 0)
    following = first + limit
    return Page(tuple(found[first:following]), str(following) if following < len(found) else None)
