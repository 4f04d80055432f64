"""One service on the platform: its instance started, watched, started again, put to sleep, woken, replaced.

At any time at most one task keeps the current instance. Whoever replaces it takes both away in one stroke (`_detach`, nothing is
awaited in between), so no two tasks ever act on one service; what the old one kept is drained: SIGTERM after the rollover, then
SIGKILL.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from everwake.sim import answers
from everwake.sim.edge.routes import Refusal, Upstream
from everwake.sim.house import House, launch
from everwake.sim.instance import Box
from everwake.sim.life import (
    Direction,
    Health,
    Rules,
    Seen,
    Throttle,
    Verdict,
    cause_of_end,
    direct,
    gate,
    may_sleep,
    passes,
    restart_wait_s,
    streak_after,
    timed_out,
)
from everwake.sim.records import Deploy, Instance, Service, ServiceType, Standing, Suspender

__all__ = ["Failed", "Hosted"]

LOOK_FIRST_S, LOOK_LONGEST_S = 0.02, 0.25
GRACE_AT_EXIT_S = 3.0


class Failed(Exception):  # noqa: N818 - how a start ended, not a fault of ours
    """An instance did not pass. reason: of the event.   said: in words, for the log.   is_final: no use in another try."""

    def __init__(self, reason: dict[str, object], said: str, *, is_final: bool = False) -> None:
        super().__init__(said)
        self.reason = reason
        self.said = said
        self.is_final = is_final


class Hosted:
    """One service."""

    def __init__(self, service_id: str, house: House) -> None:
        self.id = service_id
        self._house = house
        self._box: Box | None = None
        self._is_ready = False
        self._leaving: set[Box] = set()
        self._keeping: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._wake_failed_at_s: float | None = None
        self._is_waking = False
        self._is_closing = False
        self._starting: set[Box] = set()
        self._inbound_s = house.clock.monotonic()
        self._throttle = Throttle(house.rules.wake_burst, self._inbound_s)

    # --- what is seen of it --------------------------------------------------------------------------------------------

    @property
    def service(self) -> Service:
        """As its owner described it."""
        return self._house.books.service(self.id)

    @property
    def standing(self) -> Standing:
        """What lasts of it."""
        return self._house.books.standing(self.id)

    @property
    def boxes(self) -> list[Box]:
        """Those that run, the oldest first."""
        current = [self._box] if self._box is not None else []
        return [each for each in (*self._leaving, *current) if not each.has_ended]

    @property
    def limited(self) -> set[Box]:
        """Those that a plan's memory limit is for: all that run, starting ones included."""
        return {*self.boxes, *self._starting}

    @property
    def box(self) -> Box | None:
        """The one that takes, or is to take, the traffic."""
        return self._box

    @property
    def is_ready(self) -> bool:
        """Is an instance in rotation?"""
        return self._is_ready

    @property
    def uses_hours(self) -> bool:
        """Does it use free instance hours now? Two instances of one rollover count once."""
        return self._box is not None and not self._box.has_ended and self.service.is_free

    def instances(self) -> list[Instance]:
        """What the API shows of `boxes`."""
        return [each.record for each in self.boxes]

    # --- what the edge asks --------------------------------------------------------------------------------------------

    def inbound(self) -> None:
        """Something came in."""
        self._inbound_s = self._house.clock.monotonic()

    async def route(self, *, wants_html: bool) -> Upstream | Refusal:
        """Where a request goes; it counts as inbound."""
        self.inbound()
        is_admitted = True
        if not self._is_ready and self.standing.is_asleep:
            now_s = self._house.clock.monotonic()
            self._throttle, is_admitted = self._throttle.ask(now_s, self._house.rules)
        direction = self._direction(wants_html, is_admitted)
        if direction in (Direction.HOLD, Direction.LOADING):
            self.wake()
        if direction is Direction.HOLD:
            direction = await self._held()
        if direction is Direction.FORWARD and self._box is not None:
            return Upstream(self._box.port)
        return answers.refusal(direction, is_free=self.service.is_free)

    def unreachable(self) -> Refusal:
        """The instance gave no answer."""
        return answers.refusal(Direction.UNREACHABLE, is_free=self.service.is_free)

    def _direction(self, wants_html: bool, is_admitted: bool = True) -> Direction:
        now_s, rules, standing = self._house.clock.monotonic(), self._house.rules, self.standing
        failed_at_s = self._wake_failed_at_s
        broken = self._house.books.broken.get(self.id)
        how = broken.how if broken else ""
        flaps = how == "flapping" and int(now_s / rules.flap_every_s) % 2 == 1
        return direct(
            Seen(
                service=self.service, has_live=bool(standing.live), is_ready=self._is_ready,
                is_asleep=standing.is_asleep, is_waking=self._is_waking, is_admitted=is_admitted,
                has_failed_wake=failed_at_s is not None and now_s - failed_at_s < rules.first_restart_s,
                is_cut=(how == "edge-502" and broken is not None and self._ran_at(broken.at)) or flaps,
            ),
            wants_html=wants_html,
        )  # fmt: skip

    def _ran_at(self, at: datetime) -> bool:
        """Whether the instance that runs now ran then: the way to a new one is a new way."""
        return self._box is not None and self._box.record.created_at <= at

    async def _held(self) -> Direction:
        """A request that waits for the wake: until an instance is ready, the wake has failed, or the edge gives up."""
        give_up_s = self._house.clock.monotonic() + self._house.rules.wake_gives_up_s
        while True:
            if self._is_ready:
                return self._direction(wants_html=False)
            left_s = give_up_s - self._house.clock.monotonic()
            if not self._is_waking or left_s <= 0:
                direction = self._direction(wants_html=False)
                return Direction.WAKE_FAILED if direction is Direction.HOLD else direction
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left_s)

    # --- what the platform does with it --------------------------------------------------------------------------------

    def resume_after_restart(self) -> None:
        """The simulator has started again: what was live and awake is started again too."""
        service, live = self.service, self._house.books.live(self.id)
        if live is not None and not service.suspenders and not self.standing.is_asleep:
            self.inbound()
            self._keep(live, None)

    def wake(self) -> None:
        """Start an instance of the live deploy, if it sleeps and is not waking already."""
        live = self._house.books.live(self.id)
        if live is None or self._is_waking or not self.standing.is_asleep or self.service.suspenders:
            return
        self._is_waking = True
        self._house.say(self.id, "A request came in: waking the service")
        self._keep(live, None)

    def sleep(self) -> None:
        """Spin it down; the next request wakes it."""
        self._house.books.put(replace(self.standing, is_asleep=True))
        self._house.say(self.id, "No inbound traffic: the free instance is spun down until the next request")
        self._vacate()

    def tick(self) -> None:
        """Every now and then: has it been without traffic long enough to sleep?"""
        is_up = self._keeping is not None and not self.standing.is_asleep
        if is_up and may_sleep(self.service, self._inbound_s, self._house.clock.monotonic(), self._house.rules):
            self.sleep()

    def halt(self) -> None:
        """Stop all of it: suspended, or the machine beneath it is lost. Nothing starts it again."""
        self._vacate()

    def adopt(self, deploy: Deploy, box: Box) -> None:
        """A new instance has passed: traffic moves to it at once, the one before is drained after the rollover."""
        was_ready = self._is_ready
        task, old = self._detach()
        self._box, self._is_ready = box, was_ready
        self._in_rotation()
        self.inbound()
        self._keep(deploy, box)
        self._clear(task, old, self._house.rules.rollover_s)

    def restart(self, by: str) -> None:
        """New instances of the live deploy, by rollover where one runs; waking where it sleeps. by: whose wish, for the event."""
        books = self._house.books
        live = books.live(self.id)
        assert live is not None, "the platform asks first"
        event = books.happened(self.id, "server_restarted", triggeredByUser=by)
        books.put(event, replace(self.standing, is_asleep=False, crashes=0))
        self.inbound()  # else one that slept would be spun down again at once
        if self._box is None or self._box.has_ended or not self._is_ready:
            self._vacate()
            self._keep(live, None)
        else:
            self._house.do(self._renewed(live))

    async def exit(self) -> None:
        """The simulator stops: SIGTERM to all, SIGKILL to who is still there after 3 s."""
        self._is_closing = True
        task, box = self._detach()
        if task is not None:
            task.cancel()
        await asyncio.gather(*(each.stop(GRACE_AT_EXIT_S) for each in {*self._leaving, *([box] if box else [])}))

    async def started(self, box: Box) -> None:
        """Returns when a started instance may take traffic.

        Raises:
            Failed: it ended first, or did not pass in time. Nothing of it is left then.
        """
        house, service, rules = self._house, self.service, self._house.rules
        began_s = scanned_s = house.clock.monotonic()
        pause_s, has_detected = LOOK_FIRST_S, False
        self._starting.add(box)
        try:
            while True:
                if box.has_ended:
                    raise await self._ended_early(box)
                now_s = house.clock.monotonic()
                verdict, listens = await self._looked(service, box, now_s - began_s, rules)
                if box.has_ended:
                    continue
                if listens and not has_detected:
                    has_detected = True
                    house.say(self.id, f"Detected service running on port {box.port}")
                if verdict is Verdict.PASS:
                    return
                if verdict is Verdict.FAIL:
                    reason = timed_out(house.said_rules.start_window_s, listens=listens)
                    said = (
                        f"Timed out: {service.health_check_path} never answered with 2xx or 3xx" if listens else
                        "Port scan timeout reached, no open ports detected"
                    )  # fmt: skip
                    raise Failed(reason, said, is_final=True)
                if not listens and now_s - scanned_s >= rules.scan_every_s:
                    scanned_s = now_s
                    house.say(self.id, "No open ports detected, continuing to scan...")
                with suppress(TimeoutError):
                    await asyncio.wait_for(box.ended(), pause_s)
                pause_s = min(pause_s * 1.3, LOOK_LONGEST_S)
        except BaseException:
            await box.kill()
            raise
        finally:
            self._starting.discard(box)

    # --- the task that keeps the current instance ------------------------------------------------------------------------

    def _keep(self, deploy: Deploy, box: Box | None) -> None:
        if self._is_closing:  # a request or a deploy that came a moment too late
            if box is not None:
                self._clear(None, box, 0.0)
            return
        self._keeping = self._house.do(self._kept(deploy, box))

    async def _kept(self, deploy: Deploy, box: Box | None) -> None:
        """Its instance, from now on. box: has passed already, or None to start one."""
        while True:
            if box is None:
                box = await self._tried(deploy)
                if box is None:
                    return
            began_s = self._house.clock.monotonic()
            reason, said = await self._watched(box)
            self._out_of_rotation()
            self._failed(box, reason, said)
            await box.kill()
            crashes = streak_after(self.standing.crashes, self._house.clock.monotonic() - began_s, self._house.rules)
            if not await self._crashed(crashes):
                return
            box = None

    async def _tried(self, deploy: Deploy) -> Box | None:
        """An instance that passes, however often it takes; None when there is no use in going on."""
        tries = 0
        while True:
            self._box = box = await launch(self._house, self.service, deploy)
            try:
                await self.started(box)
            except Failed as failure:
                tries += 1
                self._failed(box, failure.reason, failure.said)
                if self.standing.is_asleep and (failure.is_final or tries >= self._house.rules.wake_tries):
                    self._gave_up_waking()
                    return None
                if not await self._crashed(streak_after(self.standing.crashes, 0.0, self._house.rules)):
                    return None
            else:
                self._in_rotation()
                return box

    async def _watched(self, box: Box) -> tuple[dict[str, object], str]:
        """Returns why the instance is done for."""
        house = self._house
        health = Health()
        while True:
            if box.has_ended:
                return await self._why_ended(box)
            path, rules = self.service.health_check_path, house.rules
            if not path or self.service.type is not ServiceType.WEB:
                with suppress(TimeoutError):
                    await asyncio.wait_for(box.ended(), rules.health_every_s)
                continue
            asked_s = house.clock.monotonic()
            good = passes(await box.health(path, self._named, rules.health_timeout_s))
            if box.has_ended:
                continue
            now_s = house.clock.monotonic()
            health, verdict = health.seen(good, asked_s, now_s, rules)
            if verdict is Verdict.RESTART:
                said = f"{path} failed its health checks for too long: the instance is restarted"
                return cause_of_end(None, is_unhealthy=True), said
            if verdict is Verdict.OUT:
                self._out_of_rotation()
                house.books.put(house.books.happened(self.id, "server_unhealthy", instanceID=box.record.id))
                house.say(self.id, f"Health check on {path} fails: the instance is out of rotation")
            elif verdict is Verdict.BACK:
                self._is_ready = True
                house.books.put(house.books.happened(self.id, "server_available"))
                self._notify()
            with suppress(TimeoutError):
                await asyncio.wait_for(box.ended(), max(0.0, asked_s + rules.health_every_s - now_s))

    async def _looked(self, service: Service, box: Box, waited_s: float, rules: Rules) -> tuple[Verdict, bool]:
        """One look at a starting instance: what to do, and whether something listens."""
        if service.type is ServiceType.WORKER:
            # Nothing to scan: one that has lasted a moment has started.
            return (Verdict.PASS if waited_s >= min(1.0, rules.health_every_s) else Verdict.WAIT), False
        listens, health = await box.listens(), None
        if listens and service.health_check_path:
            health = passes(await box.health(service.health_check_path, self._named, rules.health_timeout_s))
        return gate(listens=listens, health=health, waited_s=waited_s, window_s=rules.start_window_s), listens

    @property
    def _named(self) -> str:
        return self._house.url(self.service).partition("://")[2]

    async def _ended_early(self, box: Box) -> Failed:
        reason, said = await self._why_ended(box)
        return Failed(reason, said)

    async def _why_ended(self, box: Box) -> tuple[dict[str, object], str]:
        status = await box.ended()
        limit_bytes = self._house.memory_limit_bytes(self.service) if box.is_out_of_memory else 0
        if limit_bytes:
            said = f"Out of memory (used over {limit_bytes // 2**20}Mi)"
        else:
            said = (
                "Application exited early"
                if status == 0
                else f"Exited with status {status if status > 0 else 128 - status}"
            )
        return cause_of_end(status, memory_limit_bytes=limit_bytes), said

    def _failed(self, box: Box, reason: dict[str, object], said: str) -> None:
        books = self._house.books
        self._house.say(self.id, said)
        books.put(books.happened(self.id, "server_failed", instanceID=box.record.id, reason=reason))

    async def _crashed(self, crashes: int) -> bool:
        """Wait before the next start. False: it crashes for so long that the platform suspends it."""
        books, rules = self._house.books, self._house.rules
        books.put(replace(self.standing, crashes=crashes))
        if crashes >= rules.crashloop_tries:
            service = self.service
            books.put(
                books.touched(service, suspenders=service.suspenders | {Suspender.CRASHLOOPING}),
                books.happened(self.id, "suspender_added", actor=Suspender.CRASHLOOPING.value),
                books.happened(self.id, "service_suspended"),
            )
            self._box = None
            self._is_waking = False
            self._notify()
            return False
        await self._house.clock.sleep(restart_wait_s(crashes, rules))
        return True

    def _in_rotation(self) -> None:
        books = self._house.books
        is_news = not self._is_ready
        self._is_ready, self._is_waking, self._wake_failed_at_s = True, False, None
        # Of a crash loop each start passes: only one that lasts (`streak_after`) ends the count.
        books.put(
            replace(self.standing, is_asleep=False),
            *([books.happened(self.id, "server_available")] if is_news else []),
        )
        self._notify()

    def _out_of_rotation(self) -> None:
        self._is_ready = False
        self._notify()

    def _gave_up_waking(self) -> None:
        self._box = None
        self._is_waking = False
        self._wake_failed_at_s = self._house.clock.monotonic()
        self._house.say(self.id, "The service did not start, so it sleeps on until the next request")
        self._notify()

    async def _renewed(self, live: Deploy) -> None:
        """One rollover to a new instance of the same deploy; the old one serves until it passes."""
        box = await launch(self._house, self.service, live)
        try:
            await self.started(box)
        except Failed as failure:
            self._failed(box, failure.reason, failure.said)
            return
        if self.standing.live == live.id and not self.standing.is_asleep and not self.service.suspenders:
            self.adopt(live, box)
        else:
            await box.kill()

    def _detach(self) -> tuple[asyncio.Task[None] | None, Box | None]:
        """Nobody keeps an instance any more, and none takes traffic: the task and the instance, for the caller to end."""
        task, box, self._keeping, self._box = self._keeping, self._box, None, None
        self._is_ready = self._is_waking = False
        self._notify()
        return task, box

    def _vacate(self) -> None:
        task, box = self._detach()
        self._clear(task, box, 0.0)

    def _clear(self, task: asyncio.Task[None] | None, box: Box | None, after_s: float) -> None:
        """End what was detached."""
        if task is not None:
            task.cancel()
        if box is not None:
            self._leaving.add(box)
            self._house.do(self._drained(box, after_s))

    async def _drained(self, box: Box, after_s: float) -> None:
        house, delay_s = self._house, self.service.max_shutdown_delay_s
        try:
            await house.clock.sleep(after_s)
            await box.stop(min(house.pace.real_s(delay_s, house.rules.shutdown_s), house.rules.shutdown_s))
        finally:
            await box.kill()
            self._leaving.discard(box)

    def _notify(self) -> None:
        """Wake every held request, to look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
