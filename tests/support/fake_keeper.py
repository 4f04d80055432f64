"""A keeper without a network behind the real web app: every service, look, incident and line is what a test says.

The page cannot tell it from a real one: it is `everwake.web.app` over HTTP on a free loopback port, with a door that is
moved by hand (`fake_door`). Times are around now, for browsers have a clock of their own.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from everwake.fleet.schema import Keeper
from everwake.model import (
    Action,
    Failure,
    FailureKind,
    Incident,
    Level,
    LogLine,
    Observation,
    Phase,
    State,
)
from everwake.watch.view import Heart, Seen, ServiceView
from everwake.web.app import create
from everwake.web.door import SPANS, Resolution, Rollup, Uptime
from everwake.web.serving import listen, serving
from tests.support.fake_door import FakeDoor

__all__ = ["BAD_VARIABLE", "FakeKeeper", "ago", "fake_keeper", "strip_of"]

BAD_VARIABLE = Failure(
    kind=FailureKind.STATUS,
    phase=Phase.EXPECT,
    detail="502 instead of 200; x-render-routing: no-deploy",
)


def ago(**spans: float) -> datetime:
    return datetime.now(UTC) - timedelta(**spans)


def strip_of(states: str, every_s: float = 180.0, ms: float = 300.0) -> tuple[Seen, ...]:
    """`"uuud"`: a look for each letter, the last one just now."""
    meant = {"u": State.UP, "d": State.DOWN, "w": State.WAKING, "a": State.ASLEEP, "g": State.DEGRADED, "p": State.PAUSED,
             "?": State.UNKNOWN}  # fmt: skip
    last = datetime.now(UTC)
    return tuple(
        Seen(
            last - timedelta(seconds=every_s * (len(states) - 1 - n)),
            meant[letter],
            round(ms * (1 + 0.2 * ((n * 37 % 11) / 11 - 0.5))) if letter in "ug" else None,
        )
        for n, letter in enumerate(states)
    )


class FakeKeeper(FakeDoor):
    """Move it with `add`, `set`, `say`, `tell`; what was asked for is counted in `asked`."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.hours: list[Rollup] = []
        self.port = 0
        self._running: contextlib.AsyncExitStack | None = None
        self.settings = Keeper()
        for name in names:
            self.add(name)

    # --- what a test says ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def add(self, name: str, **given: Any) -> ServiceView:
        now = datetime.now(UTC)
        state = given.get("state", State.UP)
        self.views[name] = ServiceView(
            **{
                "name": name, "title": name.replace("-", " ").capitalize(), "url": f"https://{name}.onrender.com", "group": None,
                "state": state, "since": now - timedelta(days=6, hours=4), "cause": None, "failure": None,
                "latency_ms": 204.0, "status": 200, "checked_at": now, "next_check_at": now + timedelta(seconds=150),
                "checking": False, "heartbeat": None, "incident": None, "strip": strip_of("u" * 60, ms=204.0), **given,
            }
        )  # fmt: skip
        return self.views[name]

    def fall(
        self, name: str, failure: Failure = BAD_VARIABLE, cause: str | None = None, status: int | None = 502
    ) -> Incident:
        """The service goes down with evidence, an incident opens, and the log says so."""
        view = self.views[name]
        strip = (*view.strip[6:], *strip_of("d" * 6, every_s=5))
        self.set(
            name, state=State.DOWN, since=ago(seconds=108), failure=failure, cause=cause, status=status, strip=strip,
            incident=f"inc-{name}",
        )  # fmt: skip
        first = Observation(
            service=name, check="http", at=ago(seconds=108), took_s=0.2, failure=failure, status=status,
            headers={"x-render-routing": "no-deploy"}, excerpt="<html>Bad gateway</html>",
        )  # fmt: skip
        incident = Incident(id=f"inc-{name}", service=name, opened_at=ago(seconds=108), cause=cause, first=first)
        self.tell(incident)
        self.say(
            f"{view.title} Service responded with error: {status} ({cause or failure.kind.value})", Level.ERROR, name
        )
        return incident

    def heal(self, incident: Incident) -> None:
        """And it is back."""
        done = (
            Action(
                at=ago(seconds=100), remedy="fix-variables", step="BACKEND_CORS_ORIGINS", by="keeper", outcome="mended"
            ),
            Action(at=ago(seconds=20), remedy="redeploy", step="deploy", by="keeper", outcome="live"),
        )
        self.tell(replace(incident, closed_at=datetime.now(UTC), actions=done))
        self.set(
            incident.service,
            state=State.UP,
            since=datetime.now(UTC),
            failure=None,
            cause=None,
            status=200,
            incident=None,
        )
        self.say(
            f"{self.views[incident.service].title} Service is alive! (200 - 312ms)", Level.SUCCESS, incident.service
        )

    def say(self, text: str, level: Level = Level.INFO, service: str | None = None) -> None:
        line = LogLine(at=datetime.now(UTC), level=level, text=text, service=service)
        self.lines.append(line)
        for listener in list(self.listeners):
            listener.said(line)

    def reload(self, *names: str) -> None:
        """The same services, told anew."""
        for listener in list(self.listeners):
            listener.reloaded()

    # --- a real server ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen; the second time on the same port as before."""
        stack = contextlib.AsyncExitStack()
        listener = await _listen(self.port)
        self.port = listener.getsockname()[1]
        self.app = create(self, self.settings)
        await stack.enter_async_context(serving(self.app, listener))
        self._running = stack

    async def stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.aclose()

    # --- KeeperDoor ---------------------------------------------------------------------------------------------------

    def service(self, name: str) -> ServiceView:
        """Not counted in `asked`, which tells what a person asked for: the page looks whenever it likes."""
        return self.views[name]

    def start_monitoring(self) -> bool:
        return self._monitor(True)

    def stop_monitoring(self) -> bool:
        return self._monitor(False)

    def _monitor(self, wanted: bool) -> bool:
        self.asked["start" if wanted else "stop"] += 1
        if self.monitoring == wanted:
            return False
        self.monitoring = wanted
        self.say(
            f"Architecture monitoring {'started' if wanted else 'stopped'}", Level.INFO if wanted else Level.WARNING
        )
        for name, view in self.views.items():
            heart = view.heartbeat and replace(view.heartbeat, connected=wanted)
            state = State.UP if wanted else State.PAUSED
            next_at = datetime.now(UTC) + timedelta(seconds=150) if wanted else None
            self.set(name, state=state, heartbeat=heart, next_check_at=next_at, since=datetime.now(UTC))
        return True

    def check_now(self, name: str) -> int:
        view = self.views[name]
        self.asked[f"check {name}"] += 1
        self.set(
            name, checked_at=datetime.now(UTC), latency_ms=187.0, strip=(*view.strip[1:], *strip_of("u", ms=187.0))
        )
        self.say(f"{view.title} Service is alive! (200 - 187ms)", Level.SUCCESS, name)
        return 1

    def check_all(self) -> int:
        self.asked["check all"] += 1
        return sum(self.check_now(name) for name in list(self.views))

    async def look(self, name: str) -> Observation:
        self.check_now(name)
        return Observation(service=name, check="http", at=datetime.now(UTC), took_s=0.187, status=200)

    async def uptimes(self) -> Mapping[str, Uptime]:
        self._read()
        return {name: dict(zip(SPANS, (1.0, 0.9998, 0.99962, 0.9991), strict=True)) for name in self.views}

    async def rollups(
        self, service: str, resolution: Resolution, *, since: datetime, until: datetime
    ) -> tuple[Rollup, ...]:
        self._read()
        return tuple(one for one in self.hours if since <= one.at < until)


async def _listen(port: int) -> socket.socket:
    """A port that was ours a moment ago may need a moment to be ours again."""
    for _ in range(100):
        with contextlib.suppress(Exception):
            return listen("127.0.0.1", port)
        await asyncio.sleep(0.05)
    return listen("127.0.0.1", port)


def the_chat_fleet() -> FakeKeeper:
    """The mission's three services, with heartbeats, and 90 days of hours."""
    keeper = FakeKeeper()
    for name, title, ms in (
        ("chatbot", "Chatbot", 312.0),
        ("backend", "Backend", 204.0),
        ("redis-service", "Redis", 96.0),
    ):
        heart = (
            Heart(connected=True, connected_at=ago(days=1), last_beat_at=ago(seconds=4))
            if name != "redis-service"
            else None
        )
        keeper.add(name, title=title, latency_ms=ms, strip=strip_of("u" * 60, ms=ms), heartbeat=heart)
    for title, what in (("Backend", "Service is alive! (200 - 204ms)"), ("Chatbot", "WebSocket connected (keeps service alive)"),
                        ("Redis", "Service is alive! (200 - 96ms)"), ("Chatbot", "heartbeat (service alive)")):  # fmt: skip
        keeper.say(f"{title} {what}", Level.SUCCESS)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for hour in range(90 * 24):
        bad = 0.4 if hour % 397 == 5 else 0.97 if hour % 151 == 7 else 1.0
        ms = 250 + 60 * ((hour * 37) % 13) / 13 + (900 if bad < 0.5 else 0)
        keeper.hours.append(
            Rollup(
                at=start - timedelta(hours=hour),
                looks=20,
                failed=0,
                uptime=bad,
                p50_ms=ms,
                p95_ms=ms * 1.6,
                p99_ms=ms * 2,
            )
        )
    keeper.hours.reverse()
    for n in range(30):
        keeper.seen.append(
            Observation(
                service="chatbot", check="http", at=ago(seconds=180 * (30 - n)), took_s=0.31, status=200,
                phases={Phase.DNS: 0.004, Phase.CONNECT: 0.02, Phase.TLS: 0.05, Phase.FIRST_BYTE: 0.2, Phase.TRANSFER: 0.03},
                headers={"server": "cloudflare", "x-render-routing": "ok"}, excerpt='{"status":"healthy"}',
            )
        )  # fmt: skip
    return keeper


@asynccontextmanager
async def fake_keeper(keeper: FakeKeeper | None = None) -> AsyncIterator[FakeKeeper]:
    keeper = keeper or the_chat_fleet()
    await keeper.start()
    try:
        yield keeper
    finally:
        await keeper.stop()
