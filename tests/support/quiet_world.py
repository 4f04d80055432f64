"""A fleet as the world has it: three services, how they answer, and a platform that shows what is done to them.

Nothing of it knows the keeper. What happens to it comes from `quiet_noise`; here stands what a look, a line and a question to
the platform then find. Times are the loop's seconds; what the platform dates is the true time, whatever the keeper's clock says.
"""

import asyncio
import random
import socket
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from everwake.errors import OutOfReach
from everwake.fleet.schema import Check, Expect, Fleet, Service
from everwake.model import (
    DeployRecord,
    Failure,
    FailureKind,
    Phase,
    PlatformEvent,
    PlatformLine,
    PlatformService,
)
from everwake.remedy.steps import NEEDS
from tests.support.virtual_time import VirtualClock

__all__ = ["Answer", "Hosted", "World", "fleet"]

SLEEPS_AFTER_S = 900.0
DEPLOYS_KEPT, EVENTS_KEPT = 12, 60
_NOBODY = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail="502")
_REFUSED = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail="503")
_THROTTLED = Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail="429")
_SLOW = Failure(kind=FailureKind.SLOW, phase=Phase.EXPECT)
_SILENT = Failure(kind=FailureKind.TIMEOUT, phase=Phase.FIRST_BYTE)
_LOST = tuple(
    Failure(kind=kind, phase=phase)
    for kind, phase in (
        (FailureKind.RESET, Phase.FIRST_BYTE), (FailureKind.CLOSED_EARLY, Phase.TRANSFER), (FailureKind.RESET, Phase.TLS),
        (FailureKind.TLS_FAILED, Phase.TLS), (FailureKind.REFUSED, Phase.CONNECT), (FailureKind.TIMEOUT, Phase.CONNECT),
    )
)  # fmt: skip
_OUT = {
    "names": Failure(kind=FailureKind.DNS_FAILED, phase=Phase.DNS),
    "route": Failure(kind=FailureKind.NO_ROUTE, phase=Phase.CONNECT),
    "hole": Failure(kind=FailureKind.TIMEOUT, phase=Phase.CONNECT),
    "beyond": Failure(kind=FailureKind.TIMEOUT, phase=Phase.CONNECT),
}
_OWN = {"x-render-origin-server": "uvicorn", "content-type": "application/json"}
_WELL, _UNWELL = '{"status":"healthy"}', '{"status":"unhealthy","redis":"disconnected"}'


def fleet(repair: str = "auto") -> Fleet:
    """The mission's three, looked at every minute; the chatbot with its line and one more check."""

    def one(name: str, **more: Any) -> Service:
        return Service(
            name=name, url=f"https://{name}.onrender.com", every_s=60.0, platform="sim", platform_id=f"srv-{name}",
            repair=repair, expect=Expect(below_ms=1_500), **more,
        )  # fmt: skip

    more = Check(kind="tcp", spec=None, every_s=300.0, timeout_s=10.0)
    return Fleet(
        name="blabbin",
        services=(
            one("redis-service", plan="starter"),
            one("chatbot", plan="free", heartbeat="/ws/keepalive", depends_on=("redis-service",), checks=(more,)),
            one("backend", plan="free", depends_on=("chatbot", "redis-service")),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one look comes to."""

    took_s: float
    status: int | None = None
    failure: Failure | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    excerpt: str = ""


@dataclass(slots=True, kw_only=True)
class Hosted:
    """One service. Until when: gone (the edge gets no answer of it), stalled, slow, throttled, waking.

    lost, beats_lost, checks_lost: so many more are.   broken: a real fault, which ends only by a remedy.
    deploys, events: the newest first.   lines: who holds one to it.
    """

    service: Service
    record: PlatformService
    deploys: list[DeployRecord]
    variables: dict[str, str]
    events: list[PlatformEvent] = field(default_factory=list)
    log: deque[PlatformLine] = field(default_factory=lambda: deque(maxlen=120))
    gone_until_s: float = 0.0
    stalled_until_s: float = 0.0
    slow_until_s: float = 0.0
    throttled_until_s: float = 0.0
    wakes_at_s: float = 0.0
    is_asleep: bool = False
    asked_s: float = 0.0
    lost: int = 0
    beats_lost: int = 0
    checks_lost: int = 0
    broken: str = ""
    lines: set[asyncio.Future[str]] = field(default_factory=set)

    @property
    def is_free(self) -> bool:
        return self.service.plan == "free"

    @property
    def is_deploying(self) -> bool:
        return self.deploys[0].is_running

    def hang_up(self, code: str) -> None:
        """Close every line to it."""
        for line in self.lines:
            if not line.done():
                line.set_result(code)


class World:
    """All of it. seen: how often each kind of trouble was met by a look, a beat or a question.   writes: what was asked of the
    platform that changes anything, by Everwake; people's deeds are not among them.   lurks: some variables are wrong, and
    not read.
    """

    def __init__(self, clock: VirtualClock, dice: random.Random, described: Fleet, *, lurks: bool = True) -> None:
        self.clock, self.dice, self.fleet, self.lurks = clock, dice, described, lurks
        self.loop = asyncio.get_running_loop()
        self.seen: Counter[str] = Counter()
        self.writes: list[tuple[str, str]] = []
        # How our own network fails: no names, no route, or nothing comes back; "beyond" the router, which knows names by heart.
        self.out, self.out_until_s = "", 0.0
        self.lossy_until_s = 0.0
        self.api, self.api_until_s = "", 0.0
        self.latency_s = 0.08
        self._n = 0
        self.hosted = {one.name: self._hosted(one) for one in described.services}
        self.by_id = {one.record.id: one for one in self.hosted.values()}
        self.platform = ShownPlatform(self)

    def _hosted(self, service: Service) -> Hosted:
        record = PlatformService(
            id=service.platform_id or "", name=service.name, url=service.url, type="web_service", plan=service.plan or "",
            health_path="/health", instances=("one",), created_at=self.clock.true_now,
        )  # fmt: skip
        variables = {"PORT": "10000", "BACKEND_CORS_ORIGINS": '["https://blabbin.web.app"]'}
        if self.lurks and service.name != "chatbot" and self.dice.random() < 0.3:
            variables["BACKEND_CORS_ORIGINS"] += " -rsss"  # wrong, and it is not read
            self.seen["wrong variable"] += 1
        one = Hosted(service=service, record=record, deploys=[], variables=variables)
        one.deploys = [self.deploy_of(one, "live", "manual")]
        self.started(one)
        return one

    # --- what is written in the platform's books ----------------------------------------------------------------------

    def new(self, kind: str) -> str:
        self._n += 1
        return f"{kind}-{self._n:06d}"

    def deploy_of(self, one: Hosted, status: str, trigger: str, commit: str = "") -> DeployRecord:
        now = self.clock.true_now
        return DeployRecord(
            id=self.new("dep"), service_id=one.record.id, status=status, trigger=trigger, commit_id=commit or self.new("c0ffee"),
            created_at=now, started_at=now, finished_at=now if status == "live" else None,
        )  # fmt: skip

    def put(self, one: Hosted, deploy: DeployRecord, **changed: Any) -> DeployRecord:
        """Enter a deploy, or what became of it; one that goes live takes the place of what was."""
        deploy = replace(deploy, **changed)
        known = [each for each in one.deploys if each.id != deploy.id]
        if deploy.status == "live":
            known = [replace(each, status="deactivated") if each.status == "live" else each for each in known]
        known.append(deploy)
        known.sort(key=lambda each: each.created_at or self.clock.true_now, reverse=True)
        live = [each for each in known[DEPLOYS_KEPT:] if each.status == "live"]
        one.deploys = known[:DEPLOYS_KEPT] + live
        return deploy

    def happened(self, one: Hosted, kind: str, **details: object) -> None:
        one.events.insert(0, PlatformEvent(id=self.new("evt"), type=kind, at=self.clock.true_now, details=details))
        del one.events[EVENTS_KEPT:]

    def says(self, one: Hosted, *texts: str) -> None:
        for text in texts:
            one.log.append(PlatformLine(id=self.new("log"), at=self.clock.true_now, text=text))

    def started(self, one: Hosted) -> None:
        self.says(
            one, "==> Running 'python -m chatify.serve'", "INFO:     Application startup complete.",
            "INFO:     Uvicorn running on http://0.0.0.0:10000 (Press CTRL+C to quit)", "==> Your service is live",
        )  # fmt: skip

    def ended(self, one: Hosted) -> None:
        self.says(
            one,
            "INFO:     Shutting down",
            "INFO:     Application shutdown complete.",
            "INFO:     Finished server process [7]",
        )

    # --- how it answers -----------------------------------------------------------------------------------------------

    def is_out(self) -> bool:
        return self.loop.time() < self.out_until_s

    def answers(self, name: str, check: str, patience_s: float) -> Answer:
        """What a look that begins now comes to."""
        one, now_s, dice = self.hosted[name], self.loop.time(), self.dice
        if now_s < self.out_until_s:
            self.seen["own network"] += 1
            took_s = patience_s if self.out in ("hole", "beyond") else dice.uniform(0.01, min(3.0, patience_s))
            return Answer(took_s=took_s, failure=_OUT[self.out])
        if now_s < self.lossy_until_s and dice.random() < 0.3:
            self.seen["lossy network"] += 1
            return self._lost(patience_s)
        if check != "http":
            if one.checks_lost > 0 or now_s < one.gone_until_s or one.is_asleep:
                one.checks_lost -= 1
                self.seen["other check"] += 1
                return self._lost(patience_s)
            return Answer(took_s=0.1)
        if one.lost > 0:
            one.lost -= 1
            self.seen["lost look"] += 1
            return self._lost(patience_s)
        return self._served(one, now_s, patience_s)

    def _lost(self, patience_s: float) -> Answer:
        failure = self.dice.choice(_LOST)
        took_s = patience_s if failure.kind is FailureKind.TIMEOUT else self.dice.uniform(0.05, 0.5)
        return Answer(took_s=took_s, failure=failure)

    def _served(self, one: Hosted, now_s: float, patience_s: float) -> Answer:
        """What edge and service make of it, once it has come that far."""
        dice, asked_s, one.asked_s = self.dice, one.asked_s, now_s
        if one.record.is_suspended:
            self.seen["suspended"] += 1
            return self._edge(503, "suspend-by-user")
        if now_s < one.throttled_until_s:
            self.seen["throttled"] += 1
            headers = {"retry-after": "30"} if dice.random() < 0.5 else {}
            return Answer(took_s=0.05, status=429, failure=_THROTTLED, headers=headers)
        if one.broken:
            self.seen["broken"] += 1
            if one.broken == "hung":
                return Answer(took_s=patience_s, failure=_SILENT)
            return self._edge(502, "no-deploy" if one.broken == "bad variable" else "dynamic-paid-error")
        if one.is_free and (one.is_asleep or (asked_s and now_s - asked_s > SLEEPS_AFTER_S)):
            return self._wakes(one, now_s, patience_s)
        if now_s < one.gone_until_s:
            self.seen["nobody there"] += 1
            return self._edge(502, "dynamic-free-error" if one.is_free else "dynamic-paid-error")
        if now_s < one.stalled_until_s:
            self.seen["stalled"] += 1
            left_s = one.stalled_until_s - now_s
            if left_s > patience_s:
                return Answer(took_s=patience_s, failure=_SILENT)
            return Answer(took_s=left_s, status=200, failure=_SLOW, headers=_OWN, excerpt=_WELL)
        redis = self.hosted["redis-service"]
        if one is not redis and (now_s < redis.gone_until_s or redis.broken or redis.record.is_suspended):
            self.seen["unwell for another"] += 1
            return Answer(took_s=0.4, status=503, failure=_REFUSED, headers=_OWN, excerpt=_UNWELL)
        if now_s < one.slow_until_s:
            self.seen["slow"] += 1
            took_s = min(dice.lognormvariate(1.2, 0.6) + 0.8, 45.0)
            if took_s > patience_s:
                return Answer(took_s=patience_s, failure=_SILENT)
            failure = _SLOW if took_s > 1.5 else None
            return Answer(took_s=took_s, status=200, failure=failure, headers=_OWN, excerpt=_WELL)
        self.seen["good"] += 1
        return Answer(took_s=0.05 + 0.2 * dice.random(), status=200, headers=_OWN, excerpt=_WELL)

    def _edge(self, status: int, routing: str) -> Answer:
        failure = _NOBODY if status == 502 else _REFUSED
        return Answer(took_s=0.1, status=status, failure=failure, headers={"x-render-routing": routing})

    def _wakes(self, one: Hosted, now_s: float, patience_s: float) -> Answer:
        """Held until it is up, or told that it is on its way; 19-90 s."""
        if not one.is_asleep:
            one.is_asleep, one.wakes_at_s = True, now_s + self.dice.uniform(19.0, 90.0)
            one.record = replace(one.record, instances=())
            self.seen["fell asleep"] += 1
        left_s = one.wakes_at_s - now_s
        if left_s <= 0.0:
            one.is_asleep = False
            one.record = replace(one.record, instances=("one",))
            self.started(one)
            return Answer(took_s=0.2, status=200, headers=_OWN, excerpt=_WELL)
        self.seen["waking"] += 1
        if self.dice.random() < 0.4:
            return self._edge(503, "hibernate-pending-wake")
        if left_s > patience_s:
            return Answer(took_s=patience_s, failure=_SILENT)
        one.is_asleep = False
        one.record = replace(one.record, instances=("one",))
        self.started(one)
        return Answer(took_s=left_s, status=200, headers=_OWN, excerpt=_WELL)

    def takes_lines(self, name: str) -> bool:
        """Whether a WebSocket to it can be made and kept now."""
        one, now_s = self.hosted[name], self.loop.time()
        is_up = not (one.broken or one.is_asleep or one.record.is_suspended)
        return is_up and now_s >= max(self.out_until_s, one.gone_until_s, one.stalled_until_s, one.throttled_until_s)

    async def resolve(self, name: str) -> tuple[str, ...]:
        """The resolver of the keeper's machine; an address on loopback has a route wherever this runs."""
        if self.is_out():
            self.seen["own line asked"] += 1
            if self.out == "hole":
                await asyncio.sleep(20.0)
            if self.out not in ("route", "beyond"):
                raise socket.gaierror(socket.EAI_AGAIN, "try again")
        await asyncio.sleep(0.02)
        return ("127.0.0.1",)


class ShownPlatform:
    """The platform's API (`ports.Platform`), for the keeper: tells what happened, and does what it is asked, which is noted."""

    name = "sim"
    verbs = frozenset(
        {verb for verbs in NEEDS.values() for verb in verbs}
        | {"find", "service", "deploys", "events", "logs", "variables"}
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._intended: dict[str, str] = {}

    async def _asked(self, id: str) -> Hosted:
        world = self._world
        if world.is_out():
            world.seen["platform out of reach"] += 1
            await asyncio.sleep(world.dice.uniform(0.1, 10.0))
            raise OutOfReach("the platform did not answer")
        if world.loop.time() < world.api_until_s:
            world.seen[f"platform {world.api}"] += 1
            if world.api == "silent":
                await asyncio.sleep(20.0)
                raise OutOfReach("the platform did not answer within 20 s")
            if world.api == "throttles":
                await asyncio.sleep(8.0)
                raise OutOfReach("429: the platform has had enough requests for now")
            if world.dice.random() < 0.5:  # it comes and goes
                raise OutOfReach("502: the platform has trouble of its own")
        await asyncio.sleep(world.latency_s)
        return world.by_id[id]

    async def find(self, *, id: str | None, name: str, host: str | None) -> PlatformService:
        return (await self._asked(id or "")).record

    async def service(self, id: str) -> PlatformService:
        return (await self._asked(id)).record

    async def deploys(self, id: str, most: int = 20) -> Sequence[DeployRecord]:
        return tuple((await self._asked(id)).deploys[:most])

    async def events(self, id: str, since: datetime | None = None, most: int = 100) -> Sequence[PlatformEvent]:
        return tuple((await self._asked(id)).events[:most])

    async def logs(
        self, id: str, since: datetime, until: datetime | None = None, most: int = 1_000
    ) -> Sequence[PlatformLine]:
        one = await self._asked(id)
        # What asks reads the real clock, which is no clock of this world: two hours of this one's.
        now = self._world.clock.true_now
        return tuple(each for each in one.log if (now - each.at).total_seconds() <= 7_200)[-most:]

    async def variables(self, id: str) -> Mapping[str, str]:
        return dict((await self._asked(id)).variables)

    async def set_variables(self, id: str, values: Mapping[str, str | None]) -> None:
        one = await self._asked(id)
        self._world.writes.append((one.service.name, f"write {' '.join(values)}"))
        one.variables |= {key: value for key, value in values.items() if value is not None}

    async def restart(self, id: str) -> None:
        one = await self._asked(id)
        self._world.writes.append((one.service.name, "restart"))
        self._world.happened(one, "server_restarted", triggeredByUser="everwake")
        if one.broken == "hung":
            one.broken = ""

    async def resume(self, id: str) -> None:
        one = await self._asked(id)
        self._world.writes.append((one.service.name, "resume"))
        one.record = replace(one.record, suspenders=())

    async def deploy(self, id: str, *, intention: str, clear_cache: bool = False) -> DeployRecord:
        return await self._made(id, intention, "deploy", "api", "")

    async def rollback(self, id: str, deploy_id: str, *, intention: str) -> DeployRecord:
        one = await self._asked(id)
        commit = next(each.commit_id for each in one.deploys if each.id == deploy_id)
        return await self._made(id, intention, f"rollback {deploy_id}", "rollback", commit)

    async def _made(self, id: str, intention: str, what: str, trigger: str, commit: str) -> DeployRecord:
        one, world = await self._asked(id), self._world
        if intention not in self._intended:
            world.writes.append((one.service.name, what))
            made = world.deploy_of(one, "update_in_progress", trigger, commit or one.deploys[0].commit_id)
            self._intended[intention] = world.put(one, made).id
            world.loop.call_later(30.0, self._goes_live, one, made, trigger)
        return next(each for each in one.deploys if each.id == self._intended[intention])

    def _goes_live(self, one: Hosted, made: DeployRecord, trigger: str) -> None:
        world = self._world
        cures = {
            "bad variable": one.variables.get("BACKEND_CORS_ORIGINS", "").endswith("]"),
            "bad commit": trigger == "rollback",
        }
        is_well = cures.get(one.broken, one.broken == "")
        world.put(one, made, status="live" if is_well else "update_failed", finished_at=world.clock.true_now)
        if is_well:
            one.broken = ""
            world.started(one)

    async def follow(self, id: str, deploy_id: str) -> AsyncIterator[DeployRecord]:
        while True:
            one = await self._asked(id)
            found = next(each for each in one.deploys if each.id == deploy_id)
            yield found
            if not found.is_running:
                return
            await asyncio.sleep(2.0)
