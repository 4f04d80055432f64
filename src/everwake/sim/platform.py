"""The simulated platform: what the edge asks (`Routes`), what the control API asks (`Workspace`), and the tasks behind both."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from everwake.ports import Clock
from everwake.sim import answers, life
from everwake.sim.books import Books, new_id
from everwake.sim.edge.routes import Refusal, Upstream
from everwake.sim.hosted import Hosted
from everwake.sim.house import House
from everwake.sim.life import Direction, Rules
from everwake.sim.lines import Lines
from everwake.sim.meter import Meter
from everwake.sim.pace import Calendar, Pace
from everwake.sim.processes import tree
from everwake.sim.processes.group import Group
from everwake.sim.records import (
    Deploy,
    DeployStatus,
    EnvGroup,
    Event,
    Instance,
    LogEntry,
    Owner,
    Service,
    ServiceType,
    Suspender,
    Trigger,
)
from everwake.sim.rollout import Rollouts
from everwake.sim.store import Store
from everwake.sim.variables import Variables
from everwake.sim.verbs import LogPage, LogQuery, Metric, Refused, Series, ServicePatch

__all__ = ["ROUTED", "RUNS", "Platform", "Settings"]

TICK_S = 0.25
LOOK_S = 0.5
SAMPLE_S = 15.0
LEDGER_S = 2.0
RUNS = frozenset({ServiceType.WEB, ServiceType.PRIVATE, ServiceType.WORKER, ServiceType.STATIC})
ROUTED = frozenset({ServiceType.WEB, ServiceType.PRIVATE, ServiceType.STATIC})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a platform is run with. rules: in platform seconds; `real` ones instead, already paced, are for tests.

    deploys_on_write: a write of variables begins a deploy (`service_updated`) by itself.
    """

    data: Path
    source: Path
    pace: Pace = field(default_factory=Pace)
    rules: Rules = field(default_factory=Rules)
    real: Rules | None = None
    surroundings: Mapping[str, str] = field(default_factory=dict, repr=False)
    deploys_on_write: bool = False


class Platform:
    """`async with` it: what the store remembers runs on; leaving it stops every process. Ids as in `verbs`."""

    def __init__(self, store: Store, group: Group, clock: Clock, settings: Settings) -> None:
        self._settings = settings
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self.books = Books(store, clock.now)
        self._lines = Lines(store, clock.now)
        self._house = House(
            books=self.books, lines=self._lines, group=group, clock=clock, pace=settings.pace,
            rules=settings.real or settings.rules.paced(settings.pace), said_rules=settings.rules, do=self.do,
            surroundings=settings.surroundings, source=settings.source, data=settings.data,
        )  # fmt: skip
        self._hosted = {each: Hosted(each, self._house) for each in self.books.services}
        self._rollouts = Rollouts(self._house, self._hosted)
        self._variables = Variables(self.books, self._wrote)
        self._meter = Meter()
        self._calendar = _calendar(store, clock.now(), settings.pace)

    async def __aenter__(self) -> Self:
        for service in list(self.books.services.values()):
            hosted = self._hosted[service.id]
            hosted.resume_after_restart()
            running = [each for each in self.books.deploys(service.id) if each.status.is_running]
            if running:
                # Of two, one was new when the simulator was killed, before it had ended the other.
                await self._rollouts.cancel(service.id, running[0])
                self._house.say(service.id, "The platform was restarted: the deploy goes on", "build")
                self._rollouts.begin(running[0], rush=True)
        for each in (self._lines.run(), self._ticked(), self._looked()):
            self.do(each)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        stopping = asyncio.gather(*(each.exit() for each in self._hosted.values()), return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping, 10.0)
        while self._tasks:  # one that ends may leave another to clean up
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)
        self.books.put(facts=self._calendar_facts())
        self._lines.flush()

    def do(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run it as a task of the platform's own; one that fails is logged with its traceback and ends alone."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("sim.task_failed", exc_info=error)

    @property
    def house(self) -> House:
        """What its services share; for the drills."""
        return self._house

    def hosted(self, service_id: str) -> Hosted:
        """One service's life; for the drills. Raises `Refused` 404."""
        self.books.service(service_id)
        return self._hosted[service_id]

    # --- Routes ----------------------------------------------------------------------------------------------------------

    async def route(self, service_id: str, *, wants_html: bool) -> Upstream | Refusal:
        """`Routes.route`."""
        hosted = self._hosted.get(service_id)
        if hosted is None or hosted.service.type not in ROUTED:
            return answers.refusal(Direction.NO_SERVER, is_free=False)
        return await hosted.route(wants_html=wants_html)

    def inbound(self, service_id: str) -> None:
        """`Routes.inbound`."""
        if service_id in self._hosted:
            self._hosted[service_id].inbound()

    def service_of(self, host: str) -> str:
        """`Routes.service_of`: `NAME.localhost`, or the service's id in the name's place."""
        name = host.lower().rstrip(".").removesuffix(".localhost")
        return next(
            (each.id for each in self.books.services.values() if name in (each.name.lower(), each.id)), ""
        )  # fmt: skip

    def unreachable(self, service_id: str) -> Refusal:
        """`Routes.unreachable`."""
        hosted = self._hosted.get(service_id)
        return hosted.unreachable() if hosted else answers.refusal(Direction.NO_SERVER, is_free=False)

    def answered(self, service_id: str, status: int, sent_bytes: int) -> None:
        """`Workspace.answered`."""
        self.went(service_id, {status: 1}, sent_bytes)

    def went(self, service_id: str, statuses: Mapping[int, int], sent_bytes: int) -> None:
        """So many answers by status, and bytes to clients, went through the edge since it was told last."""
        self._meter.answered(service_id, statuses, sent_bytes, self._clock.now())

    # --- Workspace: services -------------------------------------------------------------------------------------------------

    def owner(self, key: str) -> Owner | None:
        """`Workspace.owner`."""
        given, found = key.encode("utf-8", "surrogatepass"), None
        for each in self.books.owners.values():
            if hmac.compare_digest(each.key.encode(), given):
                found = each
        return found

    def services(self, owner_id: str) -> Sequence[Service]:
        """`Workspace.services`."""
        return [each for each in self.books.services.values() if each.owner_id == owner_id]

    def service(self, service_id: str) -> Service:
        """`Workspace.service`."""
        return self.books.service(service_id)

    def url(self, service_id: str) -> str:
        """`Workspace.url`."""
        return self._house.url(self.books.service(service_id))

    async def patch_service(self, service_id: str, change: ServicePatch) -> Service:
        """`Workspace.patch_service`."""
        service = self.books.service(service_id)
        changes = {name: getattr(change, name) for name in change.__slots__ if getattr(change, name) is not None}
        name = changes.get("name", service.name)
        if not name.strip() or any(
            each.name == name and each.id != service_id for each in self.services(service.owner_id)
        ):
            raise Refused(409 if name.strip() else 400, f"the name {name!r} is taken or empty")
        if not 1 <= changes.get("max_shutdown_delay_s", 30) <= 300:
            raise Refused(400, "maxShutdownDelaySeconds must be 1 to 300")
        self.books.put(self.books.touched(service, **changes))
        return self.books.service(service_id)

    async def suspend(self, service_id: str) -> Service:
        """`Workspace.suspend`."""
        service = self.books.service(service_id)
        if Suspender.USER not in service.suspenders:
            await self._suspend([service], Suspender.USER)
        return self.books.service(service_id)

    async def resume(self, service_id: str) -> Service:
        """`Workspace.resume`."""
        service = self.books.service(service_id)
        own = service.suspenders & {Suspender.USER, Suspender.CRASHLOOPING}
        if own:
            left, by = service.suspenders - own, self._user(service)
            events = [
                self.books.happened(service_id, "suspender_removed", actor=each.value, resumedByUser=by) for each in own
            ]
            if not left:
                events.append(self.books.happened(service_id, "service_resumed"))
            standing = replace(self.books.standing(service_id), crashes=0)
            self.books.put(self.books.touched(service, suspenders=left), standing, *events)
            if not left and service.type in RUNS:
                commit_id = live.commit.id if (live := self.books.live(service_id)) else None
                await self.create_deploy(service_id, trigger=Trigger.RESUMED, commit_id=commit_id)
        return self.books.service(service_id)

    async def restart(self, service_id: str) -> None:
        """`Workspace.restart`."""
        service = self.books.service(service_id)
        self._refuse_suspended(service)
        if self.books.live(service_id) is None:
            raise Refused(409, "nothing is live, so there is nothing to restart; deploy first")
        self._hosted[service_id].restart(str(self._user(service)["email"]))

    # --- Workspace: deploys ----------------------------------------------------------------------------------------------------

    def deploys(self, service_id: str) -> Sequence[Deploy]:
        """`Workspace.deploys`."""
        self.books.service(service_id)
        return self.books.deploys(service_id)

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """`Workspace.deploy`."""
        self.books.service(service_id)
        return self.books.deploy(service_id, deploy_id)

    async def create_deploy(
        self,
        service_id: str,
        *,
        clear_cache: bool = False,
        commit_id: str | None = None,
        trigger: Trigger = Trigger.API,
    ) -> Deploy:
        """`Workspace.create_deploy`."""
        service = self.books.service(service_id)
        commits = [each for each in service.commits if commit_id in (None, each.id)]
        if not commits:
            raise Refused(
                400, f"there is no commit {commit_id}" if commit_id else "the service has no commit to deploy"
            )
        env = self.books.env_of(service)
        now = self._clock.now()
        return await self._begin(service, Deploy(
            id=new_id("dep"), service_id=service_id, commit=commits[0], status=DeployStatus.CREATED, trigger=trigger,
            created_at=now, updated_at=now, clear_cache=clear_cache, env=env,
        ))  # fmt: skip

    async def cancel_deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """`Workspace.cancel_deploy`."""
        deploy = self.deploy(service_id, deploy_id)
        if not deploy.status.is_running:
            raise Refused(409, f"the deploy has ended: {deploy.status}")
        await self._rollouts.cancel(service_id)
        return self.deploy(service_id, deploy_id)

    async def rollback(self, service_id: str, deploy_id: str) -> Deploy:
        """`Workspace.rollback`."""
        service, target = self.books.service(service_id), self.deploy(service_id, deploy_id)
        if target.status not in (DeployStatus.LIVE, DeployStatus.DEACTIVATED):
            raise Refused(400, f"only a deploy that was live can be rolled back to, not one that is {target.status}")
        now = self._clock.now()
        return await self._begin(service, Deploy(
            id=new_id("dep"), service_id=service_id, commit=target.commit, status=DeployStatus.CREATED,
            trigger=Trigger.ROLLBACK, created_at=now, updated_at=now, rollback_of=target.id, env=target.env,
        ))  # fmt: skip

    async def _begin(self, service: Service, deploy: Deploy) -> Deploy:
        self._refuse_suspended(service)
        if service.type not in RUNS:
            raise Refused(400, f"the simulator does not run a {service.type}")
        self.books.put(deploy)
        await asyncio.shield(self.do(self._superseding(deploy)))
        return self.books.deploy(service.id, deploy.id)

    async def _superseding(self, deploy: Deploy) -> None:
        """End what ran, then begin it. A task of ours: whoever asked for the deploy may go away before that is done."""
        await self._rollouts.cancel(deploy.service_id, deploy)
        if self.books.deploy(deploy.service_id, deploy.id).status.is_running:  # else a still newer one came meanwhile
            self._rollouts.begin(deploy, rush=deploy.trigger is Trigger.BLUEPRINT)

    # --- Workspace: variables --------------------------------------------------------------------------------------------------

    def env(self, service_id: str) -> Mapping[str, str]:
        """`Workspace.env`."""
        return self.books.service(service_id).env

    async def set_env(self, service_id: str, key: str, value: str) -> None:
        """`Workspace.set_env`."""
        await self._variables.set_env(service_id, key, value)

    async def replace_env(self, service_id: str, env: Mapping[str, str]) -> None:
        """`Workspace.replace_env`."""
        await self._variables.replace_env(service_id, env)

    async def delete_env(self, service_id: str, key: str) -> None:
        """`Workspace.delete_env`."""
        await self._variables.delete_env(service_id, key)

    def env_groups(self, owner_id: str) -> Sequence[EnvGroup]:
        """`Workspace.env_groups`."""
        return [each for each in self.books.groups.values() if each.owner_id == owner_id]

    def env_group(self, group_id: str) -> EnvGroup:
        """`Workspace.env_group`."""
        return self.books.group(group_id)

    def linked(self, group_id: str) -> Sequence[Service]:
        """`Workspace.linked`."""
        return self._variables.linked(group_id)

    async def create_env_group(
        self, owner_id: str, name: str, env: Mapping[str, str], service_ids: Sequence[str] = ()
    ) -> EnvGroup:
        """`Workspace.create_env_group`."""
        return await self._variables.create(owner_id, name, env, service_ids)

    async def rename_env_group(self, group_id: str, name: str) -> EnvGroup:
        """`Workspace.rename_env_group`."""
        return await self._variables.rename(group_id, name)

    async def delete_env_group(self, group_id: str) -> None:
        """`Workspace.delete_env_group`."""
        await self._variables.delete(group_id)

    async def set_group_env(self, group_id: str, key: str, value: str) -> EnvGroup:
        """`Workspace.set_group_env`."""
        return await self._variables.set_group_env(group_id, key, value)

    async def delete_group_env(self, group_id: str, key: str) -> EnvGroup:
        """`Workspace.delete_group_env`."""
        return await self._variables.delete_group_env(group_id, key)

    async def link(self, group_id: str, service_id: str) -> EnvGroup:
        """`Workspace.link`."""
        return await self._variables.link(group_id, service_id)

    async def unlink(self, group_id: str, service_id: str) -> EnvGroup:
        """`Workspace.unlink`."""
        return await self._variables.unlink(group_id, service_id)

    async def _wrote(self, services: Sequence[Service]) -> None:
        if self._settings.deploys_on_write:
            for each in services:
                if not each.suspenders and each.type in RUNS and each.commits:
                    await self.create_deploy(each.id, trigger=Trigger.UPDATED)

    # --- Workspace: what happened ----------------------------------------------------------------------------------------------

    def events(self, service_id: str) -> Sequence[Event]:
        """`Workspace.events`."""
        self.books.service(service_id)
        return self.books.events(service_id)

    def event(self, event_id: str) -> Event:
        """`Workspace.event`."""
        return self.books.event(event_id)

    def logs(self, query: LogQuery) -> LogPage:
        """`Workspace.logs`."""
        return self._lines.page(query)

    def subscribe(self, query: LogQuery) -> AsyncIterator[LogEntry]:
        """`Workspace.subscribe`."""
        return self._lines.follow(query)

    def instances(self, service_id: str) -> Sequence[Instance]:
        """`Workspace.instances`."""
        self.books.service(service_id)
        return self._hosted[service_id].instances()

    def hours_used(self, owner_id: str) -> float:
        """`Workspace.hours_used`."""
        ledger = self.books.ledger(owner_id)
        return ledger.used_h if ledger.month == self._calendar.month(self._clock.now()) else 0.0

    def metric(
        self, metric: Metric, service_id: str, since: datetime, until: datetime, resolution_s: int
    ) -> Sequence[Series]:
        """`Workspace.metric`."""
        self.books.service(service_id)
        return self._meter.series(metric, service_id, since, until, resolution_s)

    # --- what a blueprint brings -----------------------------------------------------------------------------------------------

    @property
    def calendar(self) -> Calendar:
        """Its calendar: of the months that hours are counted in."""
        return self._calendar

    async def add(self, service: Service) -> None:
        """A new service, deployed at once where the platform runs its kind."""
        self.books.put(service)
        self._hosted[service.id] = Hosted(service.id, self._house)
        if service.type in RUNS and service.commits:
            await self.create_deploy(service.id, trigger=Trigger.BLUEPRINT)

    # --- hours, memory, sleep --------------------------------------------------------------------------------------------------

    async def _ticked(self) -> None:
        before_s = charged_s = self._clock.monotonic()
        hours: dict[str, float] = {}
        while True:
            await self._clock.sleep(TICK_S)
            now_s = self._clock.monotonic()
            ran_h = self._settings.pace.platform_s(now_s - before_s) / 3600
            before_s = now_s
            for each in list(self._hosted.values()):
                if each.uses_hours:
                    owner_id = each.service.owner_id
                    hours[owner_id] = hours.get(owner_id, 0.0) + ran_h
                each.tick()
            month = self._calendar.month(self._clock.now())
            for owner_id in self.books.owners:
                ledger, used_h = self.books.ledger(owner_id), hours.get(owner_id, 0.0)
                is_due = now_s - charged_s >= LEDGER_S and used_h > 0
                if (
                    is_due
                    or ledger.month != month
                    or ledger.used_h + used_h >= self._house.rules.free_hours > ledger.used_h
                ):
                    hours[owner_id] = 0.0
                    await self._charged(owner_id, month, used_h)
            if now_s - charged_s >= LEDGER_S:
                charged_s = now_s

    async def exhaust_hours(self, owner_id: str) -> None:
        """Use up all free hours of the month at once; for the drill."""
        month = self._calendar.month(self._clock.now())
        await self._charged(owner_id, month, self._house.rules.free_hours)

    async def renew_hours(self, owner_id: str) -> None:
        """As on the 1st; for the drill's heal."""
        self.books.put(replace(self.books.ledger(owner_id), month=""))
        await self._charged(owner_id, self._calendar.month(self._clock.now()), 0.0)

    async def _charged(self, owner_id: str, month: str, used_h: float) -> None:
        ledger, change = self.books.ledger(owner_id).charge(month, used_h, self._house.rules)
        facts = self._calendar_facts()
        free = [each for each in self.services(owner_id) if each.is_free]
        if change is life.Change.SUSPEND:
            await self._suspend(free, Suspender.BILLING, ledger)
        elif change is life.Change.RESUME:
            self._resume_for_hours(free, ledger)
        else:
            self.books.put(ledger, facts=facts)

    def _resume_for_hours(self, free: Sequence[Service], ledger: life.Ledger) -> None:
        """The month is new: what was suspended for its hours resumes, asleep until somebody asks for it."""
        records: list[Any] = [ledger]
        for service in free:
            if Suspender.BILLING not in service.suspenders:
                continue
            left = service.suspenders - {Suspender.BILLING}
            records.append(self.books.touched(service, suspenders=left))
            records.append(self.books.happened(service.id, "suspender_removed", actor=Suspender.BILLING.value))
            if not left:
                records.append(self.books.happened(service.id, "service_resumed"))
                records.append(replace(self.books.standing(service.id), is_asleep=True))
                self._house.say(service.id, "A new month: the service is resumed, and sleeps until the next request")
        self.books.put(*records, facts=self._calendar_facts())

    async def _suspend(self, services: Sequence[Service], by: Suspender, *more: life.Ledger) -> None:
        """Write it for all in one transaction, then stop them."""
        records: list[Any] = list(more)
        those = [each for each in services if by not in each.suspenders]
        for service in those:
            user = {"suspendedByUser": self._user(service)} if by is Suspender.USER else {}
            records.append(self.books.touched(service, suspenders=service.suspenders | {by}))
            records.append(self.books.happened(service.id, "suspender_added", actor=by.value, **user))
            if not service.suspenders:
                records.append(self.books.happened(service.id, "service_suspended"))
        self.books.put(*records, facts=self._calendar_facts() if more else None)
        for service in those:
            self._house.say(service.id, f"Service suspended ({by.value})")
            self._hosted[service.id].halt()
            await asyncio.shield(self.do(self._rollouts.cancel(service.id)))

    def _calendar_facts(self) -> dict[str, str]:
        now = self._clock.now()
        return {"calendar.real": now.isoformat(), "calendar.platform": self._calendar.shows(now).isoformat()}

    async def _looked(self) -> None:
        """Memory, twice a second; samples for the metrics now and then."""
        sampled_s = 0.0
        while True:
            await asyncio.sleep(LOOK_S)
            boxes = [(each, box) for each in self._hosted.values() for box in each.limited if box.pid]
            everyone = await asyncio.to_thread(tree.look) if boxes else {}
            for hosted, box in boxes:
                if tree.used(box.pid, everyone).memory_bytes > self._house.memory_limit_bytes(hosted.service):
                    box.is_out_of_memory = True
                    await box.kill()
            now_s = asyncio.get_running_loop().time()
            if now_s - sampled_s >= SAMPLE_S:
                sampled_s, at = now_s, self._clock.now()
                for id_, hosted in self._hosted.items():
                    uses = {box.record.id: tree.used(box.pid, everyone) for each, box in boxes if each is hosted}
                    self._meter.sampled(id_, uses, at)

    def _refuse_suspended(self, service: Service) -> None:
        if service.suspenders:
            by = ", ".join(sorted(each.value for each in service.suspenders))
            raise Refused(409, f"the service is suspended (by {by}); resume it first")

    def _user(self, service: Service) -> dict[str, object]:
        owner = self.books.owners[service.owner_id]
        return {"id": "usr-" + owner.id.partition("-")[2], "email": owner.email}


def _calendar(store: Store, now: datetime, pace: Pace) -> Calendar:
    """Where it stood when the simulator was last seen, plus the real time since; at first the real date."""
    platform, real = store.fact("calendar.platform"), store.fact("calendar.real")
    if platform is None or real is None:
        return Calendar(now, now, pace)
    before = Calendar(datetime.fromisoformat(real), datetime.fromisoformat(platform), Pace())
    return Calendar(now, before.shows(now).astimezone(UTC), pace)
