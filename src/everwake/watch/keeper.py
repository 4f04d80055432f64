"""The keeper's loop: looks at every service when it is due, holds the heartbeats, and carries out what the pure parts decide.

It opens no socket and no file itself: looking, following, probing and recording are handed in (`Eyes`, `ports.Recorder`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from everwake.fleet.schema import Fleet, Service
from everwake.model import (
    Beat,
    BeatKind,
    Failure,
    FailureKind,
    Incident,
    LogLine,
    Observation,
    Phase,
    State,
    Transition,
)
from everwake.ports import Clock, Notice, Recorder, Standing
from everwake.watch import incidents, state, vantage, view, words
from everwake.watch.schedule import Schedule, next_on_grid

__all__ = ["Eyes", "Keeper"]

log = logging.getLogger(__name__)

LOOKS_AT_ONCE = 2_000
HOUSEKEEPING_S = 1.0
NOTABLY_LATE_S = 0.005
PRIMARY = "http"


class Eyes(Protocol):
    """How the keeper sees: the checks, as the composition root ties them together."""

    def look(self, service: Service, check: str, patience_s: float | None) -> Awaitable[Observation]:
        """Look once. Never raises but CancelledError; ends within the check's own deadline."""

    def follow(self, service: Service) -> AsyncIterator[Beat]:
        """Hold the persistent line for ever, reconnecting; closing the iterator lets go."""

    def probe(self) -> Awaitable[vantage.Probe]:
        """Look at our own line: names, route. Ends within 3 s."""
        ...


@dataclass(slots=True)
class _Kept:
    """What changes about one service while it is kept."""

    service: Service
    host: str
    policy: state.Policy
    watch: state.Watch
    strip: view.Strip = field(default_factory=view.Strip)
    last: Observation | None = None
    heart: view.Heart | None = None
    looking: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    patience_s: float | None = None
    line: asyncio.Task[None] | None = None
    waiters: list[asyncio.Future[Observation]] = field(default_factory=list)


def _host(service: Service) -> str:
    return urlsplit(service.url).hostname or service.name


def _policy(service: Service) -> state.Policy:
    return state.Policy(every_s=service.every_s, sleeps=service.sleeps, primary=PRIMARY)


def _watch(standing: Standing | None) -> state.Watch:
    if standing is None:
        return state.Watch()
    return state.Watch(state=standing.state, since=standing.since, cause=standing.cause, streak=standing.streak)


class Keeper:
    """Keeps one fleet. Start it with `run`; everything else may be called from the same loop at any time.

    said: called with every line of the activity log, `changed` with the name of every service whose view changed, `told` with
    every incident that opened, changed or closed; each must return at once.
    """

    def __init__(
        self,
        fleet: Fleet,
        eyes: Eyes,
        recorder: Recorder,
        clock: Clock,
        *,
        standings: Iterable[Standing] = (),
        monitoring: bool = True,
        said: Callable[[LogLine], None] = lambda line: None,
        changed: Callable[[str], None] = lambda name: None,
        told: Callable[[Incident], None] = lambda incident: None,
        link: Callable[[Incident], str] = lambda incident: "",
    ) -> None:
        self.fleet = fleet
        self._eyes, self._recorder, self._clock = eyes, recorder, clock
        self._said, self._changed, self._told, self._link = said, changed, told, link
        self._schedule = Schedule()
        self._kept: dict[str, _Kept] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._running_looks = 0
        self._own_line = vantage.OwnLine()
        self._monitoring = monitoring
        self._book = incidents.Book()
        self._depends_on = _depends_on(fleet)
        known = {standing.service: standing for standing in standings}
        still_open = {standing.incident.id for standing in known.values() if standing.incident}
        for service in fleet.services:
            self._adopt(service, known.get(service.name), still_open)
        self._wall_offset_s = clock.now().timestamp() - clock.monotonic()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep watching until `stop`. Cancelling it is fine too."""
        async with asyncio.TaskGroup() as self._tasks:
            if self._monitoring:
                self._begin_monitoring()
            while not self._stopping:
                self._tick()
                await self._until_due()
            self._let_go()
        self._tasks = None

    def stop(self) -> None:
        """Make `run` return after letting go of every line and look."""
        self._stopping = True
        self._wake.set()

    async def _until_due(self) -> None:
        now_s = self._clock.monotonic()
        # With as many looks under way as there may be, the end of one is waited for, not the next one's turn.
        next_s = self._schedule.next_s if self._running_looks < LOOKS_AT_ONCE else None
        until_s = now_s + HOUSEKEEPING_S if next_s is None else min(next_s, now_s + HOUSEKEEPING_S)
        cancel = self._clock.call_at(until_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            cancel()
        self._wake.clear()

    def _tick(self) -> None:
        now_s = self._clock.monotonic()
        self._notice_jump(now_s)
        for key, due_s in self._schedule.due(now_s, max(0, LOOKS_AT_ONCE - self._running_looks)):
            name, _, check = key.partition("\0")
            self._look_soon(self._kept[name], check, now_s - due_s)
        self._pass_time()

    # --- what people can ask for --------------------------------------------------------------------------------------

    @property
    def monitoring(self) -> bool:
        """Whether the fleet is being watched at all."""
        return self._monitoring

    def start_monitoring(self) -> bool:
        """Begin again after a stop; False when it was running."""
        if self._monitoring:
            return False
        self._monitoring = True
        self._begin_monitoring()
        return True

    def stop_monitoring(self) -> bool:
        """Send nothing to anybody any more: heartbeats are closed, services are paused. False when it was stopped."""
        if not self._monitoring:
            return False
        self._monitoring = False
        self._say(words.monitoring(False, self._clock.now()))
        for kept in self._kept.values():
            self._pause(kept)
        return True

    def check_all(self) -> int:
        """Look at everything now; how many looks that is. Works while stopped too."""
        return sum(self.check_now(name) for name in self._kept)

    def check_now(self, name: str) -> int:
        """Look at one service now, with every check it has. Raises KeyError."""
        kept = self._kept[name]
        for check in self._checks(kept.service):
            self._look_soon(kept, check, 0.0)
        return len(self._checks(kept.service))

    async def look(self, name: str) -> Observation:
        """Look at one service now and wait for what its primary check sees. Raises KeyError."""
        kept = self._kept[name]
        waiter: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()
        kept.waiters.append(waiter)
        self.check_now(name)
        return await waiter

    def reload(self, fleet: Fleet) -> None:
        """Take another description of the fleet. Who is in both keeps state, line and turn; nobody is looked at twice."""
        self.fleet, self._depends_on = fleet, _depends_on(fleet)
        wanted = {service.name: service for service in fleet.services}
        for name in [name for name in self._kept if name not in wanted]:
            self._drop(self._kept.pop(name))
        for service in fleet.services:
            kept = self._kept.get(service.name)
            if kept is None:
                kept = self._adopt(service, None)
                if self._monitoring and self._tasks:
                    self._resume(kept)
            elif kept.service != service:
                self._change(kept, service)
        self._kept = {name: self._kept[name] for name in wanted}
        self._wake.set()

    # --- views --------------------------------------------------------------------------------------------------------

    def snapshot(self) -> view.FleetView:
        """How everything stands now."""
        services = tuple(self.service_view(name) for name in self._kept)
        worst, counts = view.overall([service.state for service in services])
        due = [service.next_check_at for service in services if service.next_check_at]
        return view.FleetView(
            name=self.fleet.name,
            state=worst,
            monitoring=self._monitoring,
            counts=counts,
            next_check_at=min(due, default=None),
            trouble=self.trouble,
            services=services,
        )

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong with the keeper itself, in words: its own line, its history."""
        return tuple(text for text in (self._own_line.ours, self._recorder.trouble) if text)

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """All that are open now, in the order in which they opened."""
        return tuple(entry.incident for entry in self._book.open.values())

    @property
    def running_looks(self) -> int:
        """How many looks are under way."""
        return self._running_looks

    def service_view(self, name: str) -> view.ServiceView:
        """How one service stands now. Raises KeyError."""
        kept = self._kept[name]
        entry = self._book.open.get(name)
        last = kept.last
        return view.ServiceView(
            name=name,
            title=kept.service.title,
            url=kept.service.url,
            group=kept.service.group,
            state=kept.watch.state,
            since=kept.watch.since,
            cause=kept.watch.cause,
            failure=kept.watch.failure,
            latency_ms=None if last is None or last.status is None else round(last.took_s * 1000, 1),
            status=None if last is None else last.status,
            checked_at=None if last is None else last.at,
            next_check_at=self._wall_time(self._schedule.at(f"{name}\0{PRIMARY}")),
            checking=PRIMARY in kept.looking,
            heartbeat=kept.heart,
            incident=entry.incident.id if entry else None,
            strip=kept.strip.looks(),
        )

    def _wall_time(self, at_s: float | None) -> datetime | None:
        if at_s is None:
            return None
        return self._clock.now() + timedelta(seconds=at_s - self._clock.monotonic())

    # --- services coming and going ------------------------------------------------------------------------------------

    def _adopt(self, service: Service, standing: Standing | None, still_open: Collection[str] = ()) -> _Kept:
        kept = _Kept(service=service, host=_host(service), policy=_policy(service), watch=_watch(standing))
        if standing is not None:
            kept.last = standing.last
            self._book = incidents.resume(self._book, standing, still_open, self._clock.now())
        if service.heartbeat:
            kept.heart = view.Heart()
        self._kept[service.name] = kept
        return kept

    def _change(self, kept: _Kept, service: Service) -> None:
        old, kept.service, kept.host, kept.policy = kept.service, service, _host(service), _policy(service)
        for check in self._checks(old):
            self._schedule.cancel(f"{old.name}\0{check}")
        if (old.url, old.heartbeat, old.heartbeat_every_s) != (
            service.url,
            service.heartbeat,
            service.heartbeat_every_s,
        ):
            if kept.line is not None:
                kept.line.cancel()
                kept.line = None
            kept.heart = view.Heart() if service.heartbeat else None
        if self._monitoring and self._tasks:
            self._resume(kept)

    def _drop(self, kept: _Kept) -> None:
        for check in self._checks(kept.service):
            self._schedule.cancel(f"{kept.service.name}\0{check}")
        if kept.line is not None:
            kept.line.cancel()

    def _begin_monitoring(self) -> None:
        self._say(words.monitoring(True, self._clock.now()))
        for kept in self._kept.values():
            if kept.watch.state is State.PAUSED:
                self._tell(kept, State.UNKNOWN)
            self._resume(kept)

    def _resume(self, kept: _Kept) -> None:
        """Plan what is not planned yet: a service never seen is looked at now, others in their own turn."""
        now_s = self._clock.monotonic()
        for check in self._checks(kept.service):
            key = f"{kept.service.name}\0{check}"
            if self._schedule.at(key) is None and check not in kept.looking:
                due_s = next_on_grid(key, self._every_s(kept.service, check), now_s)
                is_new = kept.watch.state is not State.UP or kept.last is None
                # Spread over a second: 10,000 first looks in one moment would be a burst of our own making.
                self._schedule.plan(key, now_s + (due_s % 1.0) if is_new else due_s)
        if kept.service.heartbeat and kept.line is None and self._tasks is not None:
            kept.line = self._tasks.create_task(self._hold_line(kept, kept.service))
        self._wake.set()

    def _pause(self, kept: _Kept) -> None:
        self._drop(kept)
        kept.line = None
        if kept.heart is not None:
            kept.heart = replace(kept.heart, connected=False)
        self._tell(kept, State.PAUSED)

    def _let_go(self) -> None:
        for kept in self._kept.values():
            self._drop(kept)
            for waiter in kept.waiters:
                waiter.cancel()

    @staticmethod
    def _checks(service: Service) -> tuple[str, ...]:
        return (PRIMARY, *(f"{check.kind}:{n}" for n, check in enumerate(service.checks)))

    @staticmethod
    def _every_s(service: Service, check: str) -> float:
        return service.every_s if check == PRIMARY else service.checks[int(check.partition(":")[2])].every_s

    # --- looking ------------------------------------------------------------------------------------------------------

    def _look_soon(self, kept: _Kept, check: str, late_s: float) -> None:
        """Start a look, or remember that one is wanted when the same one is under way."""
        if check in kept.looking or self._tasks is None:
            kept.again.add(check)
            return
        if self._running_looks >= LOOKS_AT_ONCE:
            self._schedule.plan(f"{kept.service.name}\0{check}", self._clock.monotonic())
            return
        self._schedule.cancel(f"{kept.service.name}\0{check}")
        kept.looking.add(check)
        self._running_looks += 1
        patience_s, kept.patience_s = (kept.patience_s, None) if check == PRIMARY else (None, kept.patience_s)
        self._tasks.create_task(self._look(kept, check, patience_s, late_s))

    async def _look(self, kept: _Kept, check: str, patience_s: float | None, late_s: float) -> None:
        service = kept.service
        try:
            seen = await self._eyes.look(service, check, patience_s)
        finally:
            kept.looking.discard(check)
            self._running_looks -= 1
            if self._running_looks == LOOKS_AT_ONCE - 1:
                self._wake.set()
        if self._kept.get(service.name) is not kept:
            return
        if late_s > NOTABLY_LATE_S:
            seen = replace(seen, late_s=late_s)
        self._saw(kept, check, seen)
        if check in kept.again:
            kept.again.discard(check)
            self._schedule.plan(f"{service.name}\0{check}", self._clock.monotonic())

    def _saw(self, kept: _Kept, check: str, seen: Observation) -> None:
        self._recorder.looked((seen,))
        now_s = self._clock.monotonic()
        if self._own_line.saw(seen, kept.host, now_s) and self._tasks is not None:
            self._tasks.create_task(self._look_at_ourselves())
        if not self._monitoring:
            self._show(kept, seen)
            return
        if self._own_line.excuses(seen) and kept.watch.state is not State.DOWN:
            # Our own line is down: the look says nothing, and the service is looked at again in its turn.
            self._tell(kept, State.UNKNOWN, "our own line")
            self._plan(kept, check, now_s, None)
            self._show(kept, seen)
            return
        step = state.advance(kept.watch, seen, kept.policy)
        kept.watch = step.watch
        if check == PRIMARY:
            kept.patience_s = step.next.patience_s if step.next else None
        self._plan(kept, check, now_s, step.next)
        self._show(kept, seen)
        if step.move is not None:
            self._moved(kept, step.move, seen)

    def _show(self, kept: _Kept, seen: Observation) -> None:
        if seen.check == PRIMARY:
            kept.last = seen
            ms = None if seen.status is None else seen.took_s * 1000
            kept.strip.add(seen.at, _shown(seen, kept.watch.state), ms)
            waiters, kept.waiters = kept.waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(seen)
        self._say(words.of_look(kept.service, seen, kept.watch.cause))
        self._changed(kept.service.name)

    def _plan(self, kept: _Kept, check: str, now_s: float, wanted: state.Look | None) -> None:
        key, every_s = f"{kept.service.name}\0{check}", self._every_s(kept.service, check)
        if wanted is None or wanted.after_s >= every_s:
            self._schedule.plan(key, next_on_grid(key, every_s, now_s))
        else:
            self._schedule.plan(key, now_s + wanted.after_s)
        if (at_s := self._schedule.at(key)) is not None and at_s <= now_s + 1.0:
            self._wake.set()

    # --- the persistent line ------------------------------------------------------------------------------------------

    async def _hold_line(self, kept: _Kept, service: Service) -> None:
        async for beat in self._eyes.follow(service):
            if self._kept.get(service.name) is not kept or kept.heart is None:
                return
            self._recorder.beat(beat)
            self._felt(kept, beat)

    def _felt(self, kept: _Kept, beat: Beat) -> None:
        heart = kept.heart or view.Heart()
        lost = False
        match beat.kind:
            case BeatKind.CONNECTED:
                heart = replace(heart, connected=True, connected_at=beat.at, missed=0)
            case BeatKind.BEAT | BeatKind.LATE:
                heart = replace(heart, connected=True, last_beat_at=beat.at, missed=0)
            case BeatKind.MISSED:
                heart = replace(heart, missed=heart.missed + 1)
            case BeatKind.CLOSED | BeatKind.FAILED:
                lost, heart = heart.connected, replace(heart, connected=False)
            case BeatKind.RECONNECTING:
                pass
        kept.heart = heart
        line = words.of_beat(kept.service, beat)
        if line is not None:
            self._say(line)
        self._changed(kept.service.name)
        if beat.kind in (BeatKind.BEAT, BeatKind.LATE, BeatKind.CLOSED, BeatKind.FAILED):
            self._fold_beat(kept, beat)
        if lost and self._monitoring:
            # A line that drops is news of the service itself: look at once, whatever the interval.
            self._look_soon(kept, PRIMARY, 0.0)

    def _fold_beat(self, kept: _Kept, beat: Beat) -> None:
        failure = beat.failure
        if failure is None and beat.kind in (BeatKind.CLOSED, BeatKind.FAILED):
            failure = Failure(kind=FailureKind.LINE_CLOSED, phase=Phase.BEAT)
        seen = Observation(
            service=beat.service, check="heartbeat", at=beat.at, took_s=beat.took_s or 0.0, failure=failure
        )
        if failure is not None:
            self._recorder.looked((seen,))
        step = state.advance(kept.watch, seen, kept.policy)
        kept.watch = step.watch
        if step.move is not None:
            self._moved(kept, step.move, seen)

    # --- what follows -------------------------------------------------------------------------------------------------

    def _moved(self, kept: _Kept, move: Transition, seen: Observation | None) -> None:
        self._book, changed = incidents.follow(self._book, move, seen, self._depends_on)
        self._say(words.of_move(kept.service, move))
        for incident in changed:
            if incident.service != move.service:
                self._store(self._kept[incident.service], None, incident)
        entry = self._book.open.get(move.service)
        self._store(kept, move, entry.incident if entry else None)
        self._pass_time()
        self._changed(kept.service.name)

    def _store(
        self, kept: _Kept, move: Transition | None, incident: Incident | None, notices: tuple[Notice, ...] = ()
    ) -> None:
        watch, entry = kept.watch, self._book.open.get(kept.service.name)
        at = move.at if move else self._clock.now()
        standing = Standing(
            service=kept.service.name,
            state=watch.state,
            since=watch.since or at,
            cause=watch.cause,
            streak=watch.streak,
            incident=incident,
            told=entry is not None and entry.was_told,
            last=kept.last,
        )
        same = move or Transition(service=kept.service.name, old=watch.state, new=watch.state, at=at, cause=watch.cause)
        self._recorder.moved(same, standing, notices)
        if incident is not None:
            self._told(incident)

    def _pass_time(self) -> None:
        """Tell what is due to be told and close what has settled."""
        if not self._book.open:
            return
        self._book, told = incidents.pass_time(self._book, self._clock.now())
        for news in told:
            kept = self._kept.get(news.incident.service)
            if kept is not None:
                notices = (
                    (words.notice(kept.service, news.incident, self._link(news.incident), opened=news.opened),)
                    if news.is_news
                    else ()
                )
                self._store(kept, None, news.incident, notices)
                self._changed(kept.service.name)

    def _tell(self, kept: _Kept, new: State, cause: str | None = None) -> None:
        kept.watch, move = state.tell(kept.watch, kept.service.name, new, self._clock.now(), cause)
        if move is not None:
            self._moved(kept, move, None)

    def _say(self, line: LogLine) -> None:
        self._recorder.said(line)
        self._said(line)

    # --- is it us? ----------------------------------------------------------------------------------------------------

    def _notice_jump(self, now_s: float) -> None:
        offset_s = self._clock.now().timestamp() - now_s
        jump_s, self._wall_offset_s = offset_s - self._wall_offset_s, offset_s
        if abs(jump_s) > 60.0 and self._own_line.ours is None:
            log.warning("clock.jumped", extra={"jump_s": round(jump_s)})

    async def _look_at_ourselves(self) -> None:
        """Ends well before a failure is confirmed, so that our own line is known to be down before anybody else is."""
        probe = None
        try:
            probe = await self._eyes.probe()
        finally:
            self._own_line.probed(probe)
        if self._own_line.ours is not None:
            log.warning("vantage.ours", extra={"why": self._own_line.ours})
            for kept in self._kept.values():
                if kept.last is not None and self._own_line.excuses(kept.last) and kept.watch.state is not State.DOWN:
                    self._tell(kept, State.UNKNOWN, "our own line")


def _depends_on(fleet: Fleet) -> Mapping[str, tuple[str, ...]]:
    return {service.name: service.depends_on for service in fleet.services}


def _shown(seen: Observation, now: State) -> State:
    """How one look is drawn in the strip: what it saw, or what it was taken for while that is worse than a plain failure."""
    if seen.failure is None:
        return State.UP
    return now if now in (State.WAKING, State.ASLEEP, State.UNKNOWN, State.DEGRADED, State.PAUSED) else State.DOWN
