"""The keeper's loop: looks at every service when it is due, holds the heartbeats, and carries out what the pure parts decide.

It opens no socket and no file itself: looking, following, probing and recording are handed in (`Eyes`, `ports.Recorder`).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from everwake.fleet.schema import Fleet, Service
from everwake.model import (
    Action,
    Beat,
    BeatKind,
    Diagnosis,
    Incident,
    LogLine,
    Observation,
    Proof,
    State,
)
from everwake.ports import Clock, Notice, Recorder, Standing
from everwake.watch import state, vantage, view, words
from everwake.watch._hours import HOLD_S, Hours
from everwake.watch._kept import PRIMARY, Kept, checks_of, every_s, heart_of, host_of, kept_of, policy_of
from everwake.watch._ledger import Ledger
from everwake.watch._lines import Lines, seen_of
from everwake.watch._showing import beaten, fleet_view, looks_at, shown, view_of
from everwake.watch._wall import Wall
from everwake.watch.eyes import Eyes
from everwake.watch.schedule import Schedule, next_on_grid

__all__ = ["Keeper"]

log = logging.getLogger(__name__)

LOOKS_AT_ONCE = 2_000
# Of what is due at once: between such handfuls the loop hears what came back, so that a flood of looks does not delay it.
BEGUN_TOGETHER = 100
HOUSEKEEPING_S = 1.0
NOTABLY_LATE_S = 0.005
NEEDED_AGAIN_S = 5.0
BESIDE_ANEW_S = 300.0
_GONE = (State.DOWN, State.WAKING)


class Keeper:
    """Keeps one fleet. Start it with `run`; everything else may be called from the same loop at any time.

    said: called with every line of the activity log, `changed` with the name of every service whose view changed, `told` with
    every incident that opened, changed or closed; each must return at once.   standings: how everything stood when the last
    keeper ended; who had stopped monitoring then finds it stopped.
    """

    def __init__(
        self,
        fleet: Fleet,
        eyes: Eyes,
        recorder: Recorder,
        clock: Clock,
        *,
        standings: Iterable[Standing] = (),
        said: Callable[[LogLine], None] = lambda line: None,
        changed: Callable[[str], None] = lambda name: None,
        told: Callable[[Incident], None] = lambda incident: None,
        link: Callable[[Incident], str] = lambda incident: "",
    ) -> None:
        self.fleet = fleet
        self._eyes, self._recorder, self._clock = eyes, recorder, clock
        self._said, self._changed = said, changed
        self._schedule = Schedule()
        self._kept: dict[str, Kept] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._running_looks = 0
        self._asleep_until_s = float("-inf")
        self._broken: Exception | None = None
        self._own_line = vantage.OwnLine()
        self._ledger = Ledger(fleet, self._kept, recorder, clock, said=said, changed=changed, told=told, link=link)
        self._hours = Hours(
            fleet,
            self._kept,
            clock,
            lie_down=self._lie_down,
            rise=self._rise,
            look=self._look_patiently,
            changed=changed,
        )
        self._lines = Lines(self._kept, eyes.follow, self._felt)
        known = {standing.service: standing for standing in standings}
        self._ledger.resume(fleet, known.values())
        for service in fleet.services:
            self._adopt(service, known.get(service.name))
        self._monitoring = not state.was_stopped([known[name] for name in self._kept if name in known])
        self._wall = Wall(clock)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep watching until `stop`. Cancelling it is fine too."""
        async with asyncio.TaskGroup() as self._tasks:
            self._ledger.begin()
            if self._monitoring:
                self._begin_monitoring()
            else:
                self._say(words.still_stopped(self._clock.now()))
                for kept in self._kept.values():
                    self._pause(kept)
            try:
                while not self._stopping:
                    self._tick()
                    await self._until_due()
                    if self._broken is not None:
                        raise self._broken
            finally:
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
        self._asleep_until_s = until_s
        cancel = self._clock.call_at(until_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            cancel()
        self._wake.clear()

    def _tick(self) -> None:
        now_s = self._clock.monotonic()
        self._notice_jump(now_s)
        self._hours.pass_time(is_monitoring=self._monitoring)
        for key, due_s in self._schedule.due(now_s, min(BEGUN_TOGETHER, max(0, LOOKS_AT_ONCE - self._running_looks))):
            name, _, check = key.partition("\0")
            kept = self._kept[name]
            if check != PRIMARY and (kept.watch.state in _GONE or self._ledger.lacks(kept, check)):
                # One patient look wakes it; whatever else is asked of it meanwhile would only be in the way. And while what it
                # needs is not there, only that would be seen once more.
                self._plan(kept, check, now_s, state.Look(after_s=state.BESIDE_AGAIN_S))
                continue
            self._look_soon(kept, check, now_s - due_s)
        self._ledger.pass_time()

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
        """Look at everything that does not rest, now; how many looks that is. Works while stopped too."""
        return sum(self.check_now(name) for name, kept in self._kept.items() if not self._hours.rests(kept))

    def check_now(self, name: str) -> int:
        """Look at one service now, with every check it has. Raises KeyError."""
        kept = self._kept[name]
        if self._hours.rests(kept):
            kept.patience_s = kept.policy.wake_patience_s
        for check in checks_of(kept.service):
            self._look_soon(kept, check, 0.0)
        return len(checks_of(kept.service))

    def wake(self, name: str, hold_s: float = HOLD_S) -> tuple[str, ...]:
        """Somebody is about to use a service: wake it, what it needs first; the names of those that were not awake.

        Those on demand are then kept awake for `hold_s`, and a while longer each time this is called. Nothing is done while
        monitoring is stopped. Raises KeyError.
        """
        _ = self._kept[name]
        return self._hours.use(name, hold_s, self._tasks) if self._monitoring and self._tasks is not None else ()

    def notify(self, notice: Notice) -> None:
        """Tell people something that is no incident, once by its key; it waits in the outbox like every message."""
        kept = self._kept.get(notice.service) or next(iter(self._kept.values()), None)
        if kept is not None:
            self._ledger.notify(kept, notice)

    @property
    def resting(self) -> tuple[str, ...]:
        """Services that are sent nothing now, by their `awake`."""
        return tuple(name for name, kept in self._kept.items() if self._monitoring and self._hours.rests(kept))

    def platform_says(self, name: str, runs: bool | None, stopped_by: tuple[str, ...] = ()) -> None:
        """How a service that rests stands by its platform. runs: None when nobody could ask."""
        self._hours.told(name, runs, stopped_by)

    async def look(self, name: str) -> Observation:
        """Look at one service now and wait for what its primary check sees. Raises KeyError."""
        kept = self._kept[name]
        waiter = kept.next_look()
        if kept.watch.state in _GONE:
            self._look_soon(kept, PRIMARY, 0.0)
        else:
            self.check_now(name)
        return await waiter

    def reload(self, fleet: Fleet) -> None:
        """Take another description of the fleet. Who is in both keeps state, line and turn; nobody is looked at twice."""
        self.fleet = fleet
        self._ledger.take(fleet)
        self._hours.take(fleet)
        wanted = {service.name: service for service in fleet.services}
        for name in [name for name in self._kept if name not in wanted]:
            self._drop(self._kept[name])
            self._ledger.gone(self._kept[name])
            del self._kept[name]
        for service in fleet.services:
            known = self._kept.get(service.name)
            if known is None:
                self._come(self._adopt(service, None))
            elif known.service != service:
                self._change(known, service)
        ordered = {name: self._kept[name] for name in wanted}
        self._kept.clear()
        self._kept.update(ordered)
        self._wake.set()

    # --- views --------------------------------------------------------------------------------------------------------

    def snapshot(self) -> view.FleetView:
        """How everything stands now."""
        services = [self.service_view(name) for name in self._kept]
        return fleet_view(self.fleet.name, services, is_monitoring=self._monitoring, trouble=self.trouble)

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong with the keeper itself, in words: its own line, its history."""
        return tuple(text for text in (self._own_line.ours, self._recorder.trouble) if text)

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """All that are open now, in the order in which they opened."""
        return self._ledger.open

    def seen(self, name: str) -> tuple[Observation, ...]:
        """The last look at a service, what its other checks see fail now, and the look that began its open incident, unless that
        was one of another check which is well again. The newest of the primary check comes first."""
        kept = self._kept.get(name)
        return () if kept is None else looks_at(kept, self._ledger.of(name))

    @property
    def running_looks(self) -> int:
        """How many looks are under way."""
        return self._running_looks

    def service_view(self, name: str) -> view.ServiceView:
        """How one service stands now. Raises KeyError."""
        kept = self._kept[name]
        incident = self._ledger.of(name)
        return view_of(
            kept,
            incident=incident.id if incident else None,
            next_check_at=self._wall.time_of(self._schedule.at(f"{name}\0{PRIMARY}")),
            rests=self._monitoring and self._hours.rests(kept),
            turns_at=self._hours.rota.turn(name).until,
        )

    # --- services coming and going ------------------------------------------------------------------------------------

    def _adopt(self, service: Service, standing: Standing | None) -> Kept:
        kept = self._kept[service.name] = kept_of(service, standing, self._clock.now())
        return kept

    def _come(self, kept: Kept) -> None:
        """One that is new while the keeper runs: looked at now, or paused like the others."""
        if self._tasks is None:
            return
        if self._monitoring:
            self._resume(kept)
        else:
            self._tell(kept, State.PAUSED)

    def _change(self, kept: Kept, service: Service) -> None:
        old, kept.service, kept.host, kept.policy = kept.service, service, host_of(service), policy_of(service)
        for check in checks_of(old):
            self._schedule.cancel(f"{old.name}\0{check}")
        # What failed and is no longer looked at, or in another way, is no reason for anything.
        same = {f"{one.kind}:{n}" for n, one in enumerate(service.checks) if one in old.checks[n : n + 1]} | {
            *heart_of(service)
        }
        kept.watch = replace(kept.watch, failing=tuple(one for one in kept.watch.failing if one.check in same))
        self._lines.change(kept, old)
        if self._monitoring and self._tasks:
            self._resume(kept)

    def _drop(self, kept: Kept) -> None:
        for check in checks_of(kept.service):
            self._schedule.cancel(f"{kept.service.name}\0{check}")
        self._lines.let_go(kept)

    def _begin_monitoring(self) -> None:
        self._say(words.monitoring(True, self._clock.now()))
        for kept in self._kept.values():
            if kept.watch.state is State.PAUSED:
                self._tell(kept, State.UNKNOWN)
            self._resume(kept)

    def _resume(self, kept: Kept) -> None:
        """Plan what is not planned yet: a service never seen is looked at now, others in their own turn."""
        if self._hours.rests(kept):
            self._lie_down(kept)
            return
        if kept.watch.state is State.ASLEEP:
            self._rise(kept)
            return
        now_s = self._clock.monotonic()
        for check in checks_of(kept.service):
            key = f"{kept.service.name}\0{check}"
            if self._schedule.at(key) is None and check not in kept.looking:
                due_s = next_on_grid(key, every_s(kept.service, check), now_s)
                is_new = kept.watch.state is not State.UP or kept.last is None or kept.watch.confirming is not None
                # Spread over a second: 10,000 first looks in one moment would be a burst of our own making.
                self._schedule.plan(key, now_s + (due_s % 1.0) if is_new else due_s)
        self._lines.hold(kept, self._tasks)
        self._wake.set()

    def _pause(self, kept: Kept) -> None:
        self._leave_alone(kept)
        self._tell(kept, State.PAUSED)

    def _leave_alone(self, kept: Kept) -> None:
        self._drop(kept)
        kept.rises, kept.patience_s = False, None
        kept.again.clear()

    def _lie_down(self, kept: Kept) -> None:
        """Its rest begins: nothing is sent to it any more. Whether it sleeps is the platform's to say."""
        self._leave_alone(kept)
        if kept.watch.state is not State.ASLEEP:
            self._tell(kept, State.ASLEEP, words.resting(None, ()))
        self._changed(kept.service.name)

    def _rise(self, kept: Kept) -> None:
        """Its rest is over: one patient look wakes it, and only then is its line held."""
        self._tell(kept, State.WAKING, "waking")
        kept.patience_s, kept.rises = kept.policy.wake_patience_s, True
        self._resume(kept)

    async def _look_patiently(self, kept: Kept) -> Observation:
        waiter = kept.next_look()
        kept.patience_s = kept.policy.wake_patience_s
        self._look_soon(kept, PRIMARY, 0.0)
        return await waiter

    def _let_go(self) -> None:
        for kept in self._kept.values():
            self._drop(kept)
            for end in kept.looking.values():
                end()
            for waiter in kept.waiters:
                waiter.cancel()

    # --- looking ------------------------------------------------------------------------------------------------------

    def _look_soon(self, kept: Kept, check: str, late_s: float) -> None:
        """Start a look, or remember that one is wanted when the same one is under way."""
        if check in kept.looking or self._tasks is None:
            kept.again.add(check)
            return
        if self._running_looks >= LOOKS_AT_ONCE:
            self._schedule.plan(f"{kept.service.name}\0{check}", self._clock.monotonic())
            return
        self._schedule.cancel(f"{kept.service.name}\0{check}")
        self._running_looks += 1
        patience_s, kept.patience_s = (kept.patience_s, None) if check == PRIMARY else (None, kept.patience_s)
        told_late_s = late_s if late_s > NOTABLY_LATE_S else 0.0
        kept.looking[check] = self._eyes.begin(
            kept.service, check, patience_s, told_late_s, partial(self._looked, kept, check)
        )

    def _looked(self, kept: Kept, check: str, seen: Observation) -> None:
        """A look is over. A mistake of ours in what follows ends `run`, not whoever brought the news."""
        del kept.looking[check]
        self._running_looks -= 1
        if self._running_looks == LOOKS_AT_ONCE - 1:
            self._wake.set()
        if self._kept.get(kept.service.name) is not kept:
            return
        try:
            self._saw(kept, check, seen)
            if check in kept.again:
                kept.again.discard(check)
                self._schedule.plan(f"{kept.service.name}\0{check}", self._clock.monotonic())
        except Exception as error:
            self._broken = error
            self._wake.set()

    def _saw(self, kept: Kept, check: str, seen: Observation) -> None:
        now_s = self._clock.monotonic()
        if seen.failure is not None:
            self._notice_jump(now_s)
            seen = self._wall.in_todays_time(seen)
        self._recorder.looked((seen,))
        if self._own_line.saw(seen, kept.host, now_s) and self._tasks is not None:
            self._tasks.create_task(self._look_at_ourselves())
        if not self._is_watched(kept):
            self._show(kept, seen)
            return
        if self._own_line.excuses(seen) and kept.watch.state is not State.DOWN:
            # Our own line is down: the look says nothing, and the service is looked at again as one that is not up.
            self._tell(kept, State.UNKNOWN, words.OUR_OWN_LINE)
            self._plan(kept, check, now_s, state.Look(after_s=state.pause_s(State.UNKNOWN, kept.policy)))
            self._show(kept, seen)
            return
        before, step = self._advance(kept, seen)
        if check == PRIMARY:
            kept.patience_s = step.next.patience_s if step.next else None
        self._plan(kept, check, now_s, step.next)
        self._show(kept, seen)
        self._follow(kept, before, step)

    def _advance(self, kept: Kept, seen: Observation) -> tuple[state.Watch, state.Step]:
        """What one look makes of a service; how it stood before. What is due is passed while it still stands so."""
        self._ledger.pass_time()
        before, step = kept.watch, state.advance(kept.watch, seen, kept.policy)
        kept.watch = step.watch
        return before, step

    def _is_watched(self, kept: Kept) -> bool:
        """Whether what is seen of it counts: it does not while it was looked at only because somebody asked."""
        return self._monitoring and not self._hours.rests(kept)

    def _follow(self, kept: Kept, before: state.Watch, step: state.Step) -> None:
        """Carry out what one look decided beside the next look."""
        if step.move is not None:
            self._ledger.moved(kept, step.move, step.evidence)
            is_back = kept.rises or step.move.old in (State.DOWN, State.WAKING)
            if is_back and step.move.new in (State.UP, State.DEGRADED):
                self._lines.hold_anew(kept, self._tasks)
        elif state.doubts_changed(before, step.watch):
            self._ledger.doubted(kept)
        if step.asks and PRIMARY not in kept.looking:
            self._look_soon(kept, PRIMARY, 0.0)
        has_fallen = step.move is not None and step.move.new in (State.DOWN, State.DEGRADED)
        if has_fallen or (before.first is None and step.watch.first is not None):
            self._look_at_what_it_needs(kept)

    def _look_at_what_it_needs(self, kept: Kept) -> None:
        """Perhaps it is not itself: look at that now, but never more often than every few seconds, however many ask."""
        now_s = self._clock.monotonic()
        for other in self._ledger.unsure_of(kept):
            if not self._is_watched(other) or other.watch.first is not None or other.watch.state is State.DOWN:
                continue
            age_s = (self._clock.now() - other.last.at).total_seconds() if other.last else NEEDED_AGAIN_S
            wait_s = min(max(NEEDED_AGAIN_S - age_s, 0.0), NEEDED_AGAIN_S)
            due_s = self._schedule.at(f"{other.service.name}\0{PRIMARY}")
            if wait_s == 0.0:
                self._look_soon(other, PRIMARY, 0.0)
            elif due_s is None or due_s > now_s + wait_s:
                self._plan(other, PRIMARY, now_s, state.Look(after_s=wait_s))

    def _show(self, kept: Kept, seen: Observation) -> None:
        if seen.check == PRIMARY:
            kept.last = seen
            ms = None if seen.status is None else seen.took_s * 1000
            kept.strip.add(seen.at, shown(seen, kept.watch.state), ms)
            waiters, kept.waiters = kept.waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(seen)
        self._say(words.of_look(kept.service, seen, kept.watch.cause, self._clock.now()))
        self._changed(kept.service.name)

    def _plan(self, kept: Kept, check: str, now_s: float, wanted: state.Look | None) -> None:
        key, usual_s = f"{kept.service.name}\0{check}", every_s(kept.service, check)
        if wanted is None or wanted.after_s >= usual_s:
            at_s = self._schedule.plan(key, next_on_grid(key, usual_s, now_s))
        else:
            at_s = self._schedule.plan(key, now_s + wanted.after_s)
        if at_s < self._asleep_until_s:
            self._wake.set()

    # --- the persistent line ------------------------------------------------------------------------------------------

    def _felt(self, kept: Kept, beat: Beat) -> None:
        self._recorder.beat(beat)
        before = kept.heart or view.Heart()
        heart = beaten(before, beat)
        kept.heart = heart
        line = words.of_beat(kept.service, beat)
        if line is not None:
            self._say(line)
        self._changed(kept.service.name)
        if beat.kind not in (BeatKind.CONNECTED, BeatKind.RECONNECTING):
            self._fold_beat(kept, beat)
        if beat.kind is BeatKind.CONNECTED and before.last_beat_at is not None and self._is_watched(kept):
            self._look_beside(kept)
        is_news = beat.kind is BeatKind.MISSED or (before.connected and not heart.connected)
        if is_news and self._is_watched(kept):
            # A line that drops or falls silent is news of the service itself: look at once, whatever the interval.
            self._look_soon(kept, PRIMARY, 0.0)

    def _look_beside(self, kept: Kept) -> None:
        """A new line is more often than not one to a new instance, of another commit or with other variables: its other checks,
        which may look rarely, look now. Not for a line that comes and goes."""
        now_s = self._clock.monotonic()
        if now_s - kept.beside_s < BESIDE_ANEW_S:
            return
        kept.beside_s = now_s
        for check in checks_of(kept.service)[1:]:
            self._plan(kept, check, now_s, state.Look(after_s=1.0))

    def _fold_beat(self, kept: Kept, beat: Beat) -> None:
        seen = seen_of(beat)
        if seen.failure is not None:
            self._recorder.looked((seen,))
        if not self._is_watched(kept):
            return
        self._follow(kept, *self._advance(kept, seen))

    # --- what follows -------------------------------------------------------------------------------------------------

    def diagnosed(self, which: str, diagnosis: Diagnosis) -> Incident | None:
        """Somebody found out why: its surest cause becomes the service's and the incident's, and it is written down.

        which: a service, or the id of its open incident.   None: nothing is open there any more.
        """
        return self._ledger.diagnosed(which, diagnosis)

    def acted(self, name: str, action: Action) -> Incident | None:
        """Something was done about a service's open incident; None where nothing is open."""
        return self._ledger.amend(name, lambda one: replace(one, actions=(*one.actions, action)))

    def proved(self, name: str, proof: Proof) -> Incident | None:
        """It was tried whether a service is well again; None where nothing is open."""
        return self._ledger.amend(name, lambda one: replace(one, proof=proof))

    def _tell(self, kept: Kept, new: State, cause: str | None = None) -> None:
        before, name = kept.watch, kept.service.name
        # What was being confirmed is forgotten, and with it the haste of its looks.
        kept.patience_s = None
        self._ledger.pass_time()
        kept.watch, move = state.tell(before, name, new, self._clock.now(), cause)
        if move is not None:
            self._ledger.moved(kept, move, None)
        elif state.doubts(before):
            self._ledger.doubted(kept)

    def _say(self, line: LogLine) -> None:
        self._recorder.said(line)
        self._said(line)

    # --- is it us? ----------------------------------------------------------------------------------------------------

    def _notice_jump(self, now_s: float) -> None:
        if (jump_s := self._wall.jump_s(now_s)) == 0.0:
            return
        log.warning("clock.jumped", extra={"jump_s": round(jump_s)})
        self._hours.rota.jumped()
        for kept in self._kept.values():
            kept.watch = state.jumped(kept.watch, jump_s)
            if kept.watch.state is not State.WAKING:
                kept.patience_s = None

    async def _look_at_ourselves(self) -> None:
        """Ends well before a failure is confirmed, so that our own line is known to be down before anybody else is."""
        probe, before = None, self._own_line.ours
        try:
            probe = await self._eyes.probe()
        finally:
            self._own_line.probed(probe)
        if self._own_line.ours is None or not self._monitoring:
            return
        if self._own_line.ours != before:
            log.warning("vantage.ours", extra={"why": self._own_line.ours})
        for kept in self._kept.values():
            last = kept.last if self._is_watched(kept) and kept.watch.state is not State.DOWN else None
            if last is not None and self._own_line.excuses(last):
                self._tell(kept, State.UNKNOWN, words.OUR_OWN_LINE)
