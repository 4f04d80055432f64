"""A platform of plain dictionaries (`sim.verbs.Workspace`), for tests of its control API and of the adapter: no processes.

A deploy moves on by itself, one status every `step_s`, when somebody looks.
"""

import asyncio
import hmac
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from everwake.ports import Clock
from everwake.sim.records import (
    Commit,
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
from everwake.sim.verbs import LogPage, LogQuery, Metric, Refused, Sample, Series, ServicePatch

__all__ = ["KEY", "FakeWorkspace"]

_T = TypeVar("_T")
KEY = "key-of-the-fake-workspace"
_WAY = (DeployStatus.CREATED, DeployStatus.BUILDING, DeployStatus.UPDATING, DeployStatus.LIVE)
_ENDED = frozenset({"build_failed", "update_failed", "pre_deploy_failed", "canceled"})


class FakeWorkspace:
    """One workspace, and another one that nobody may see. Tests reach into its fields.

    deploys_at_write: a variable that is written triggers a deploy (`service_updated`).   fails: the next deploy ends so.
    """

    def __init__(self, clock: Clock, *, step_s: float = 0.0) -> None:
        self.clock, self.step_s = clock, step_s
        self.deploys_at_write = False
        self.fails: DeployStatus | None = None
        self._n = itertools.count(1)
        self.owners = [
            Owner(id=self.id("own"), name="team", email="ada@example.org", key=KEY),
            Owner(id=self.id("own"), name="others", email="eve@example.org", key="another-key"),
        ]
        self.held: dict[str, Service] = {}
        self.made: dict[str, list[Deploy]] = {}
        self.groups: dict[str, EnvGroup] = {}
        self.happened: dict[str, list[Event]] = {}
        self.said: list[LogEntry] = []
        self.waiting: list[tuple[LogQuery, asyncio.Queue[LogEntry]]] = []
        self._since: dict[str, float] = {}

    # --- by hand ------------------------------------------------------------------------------------------------------

    def id(self, kind: str) -> str:
        return f"{kind}-{next(self._n):020d}"

    def add(self, name: str, *, owner: int = 0, type: ServiceType = ServiceType.WEB, **more: object) -> Service:
        now = self.clock.now()
        made = Service(
            id=self.id("srv"), owner_id=self.owners[owner].id, name=name, type=type, plan="free", created_at=now,
            updated_at=now, port=9_000 + len(self.held), start_command="python app.py", health_check_path="/health",
            repo="https://git.example/team/app", commits=(self.commit("first"),),
        )  # fmt: skip
        self.held[made.id] = replace(made, **more)  # type: ignore[arg-type]
        self.made[made.id], self.happened[made.id] = [], []
        return self.held[made.id]

    def commit(self, message: str) -> Commit:
        return Commit(id=f"{next(self._n):040x}", message=message, created_at=self.clock.now())

    def say(self, service_id: str, text: str, *, at: datetime | None = None, **more: str) -> LogEntry:
        entry = LogEntry(
            id=self.id("log"),
            service_id=service_id,
            at=at or self.clock.now(),
            type=more.pop("type", "app"),
            text=text,
            **more,
        )
        self.said.append(entry)
        for query, queue in self.waiting:
            if _fits(entry, query):
                queue.put_nowait(entry)
        return entry

    def happen(self, service_id: str, type: str, **details: object) -> Event:
        event = Event(id=self.id("evt"), service_id=service_id, at=self.clock.now(), type=type, details=details)
        self.happened[service_id].insert(0, event)
        return event

    # --- Workspace ----------------------------------------------------------------------------------------------------

    def owner(self, key: str) -> Owner | None:
        found = [each for each in self.owners if hmac.compare_digest(each.key.encode(), key.encode())]
        return found[0] if found else None

    def services(self, owner_id: str) -> Sequence[Service]:
        return [each for each in self.held.values() if each.owner_id == owner_id]

    def service(self, service_id: str) -> Service:
        return _had(self.held, service_id)

    def url(self, service_id: str) -> str:
        it = self.service(service_id)
        return f"http://{it.name}.localhost:{it.port}" if it.type in (ServiceType.WEB, ServiceType.STATIC) else ""

    async def patch_service(self, service_id: str, change: ServicePatch) -> Service:
        changed = {
            name: value
            for name in (
                "name",
                "branch",
                "repo",
                "root_dir",
                "auto_deploy",
                "start_command",
                "health_check_path",
                "plan",
            )
            if (value := getattr(change, name)) is not None
        }
        self.held[service_id] = replace(self.service(service_id), **changed, updated_at=self.clock.now())
        return self.held[service_id]

    async def suspend(self, service_id: str) -> Service:
        it = self.service(service_id)
        self.held[service_id] = replace(it, suspenders=it.suspenders | {Suspender.USER})
        self.happen(service_id, "service_suspended", actor="user")
        return self.held[service_id]

    async def resume(self, service_id: str) -> Service:
        it = self.service(service_id)
        self.held[service_id] = replace(it, suspenders=it.suspenders - {Suspender.USER})
        self._new(service_id, Trigger.RESUMED)
        return self.held[service_id]

    async def restart(self, service_id: str) -> None:
        if not any(each.status is DeployStatus.LIVE for each in self.deploys(service_id)):
            raise Refused(409, "nothing is live")
        self.happen(service_id, "server_restarted", triggeredByUser="ada@example.org")

    def deploys(self, service_id: str) -> Sequence[Deploy]:
        self.service(service_id)
        self.made[service_id] = [self._moved(each) for each in self.made[service_id]]
        return list(self.made[service_id])

    def _moved(self, it: Deploy) -> Deploy:
        if not it.status.is_running:
            return it
        steps = 9 if self.step_s == 0 else int((self.clock.monotonic() - self._since[it.id]) / self.step_s)
        status = _WAY[min(steps, len(_WAY) - 1)]
        if status is DeployStatus.LIVE and self.fails is not None:
            status, self.fails = self.fails, None
        if status is it.status:
            return it
        now = self.clock.now()
        ended = None if status.is_running else now
        if ended is not None:
            how = "succeeded" if status is DeployStatus.LIVE else "failed"
            self.happen(it.service_id, "deploy_ended", deployId=it.id, status=2, deployStatus=how, reason={})
        return replace(it, status=status, updated_at=now, started_at=it.started_at or now, finished_at=ended)

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        return _had({each.id: each for each in self.deploys(service_id)}, deploy_id)

    async def create_deploy(
        self,
        service_id: str,
        *,
        clear_cache: bool = False,
        commit_id: str | None = None,
        trigger: Trigger = Trigger.API,
    ) -> Deploy:
        if self.service(service_id).suspenders:
            raise Refused(409, "the service is suspended")
        return self._new(service_id, trigger, clear_cache=clear_cache)

    def _new(
        self, service_id: str, trigger: Trigger, *, clear_cache: bool = False, commit: Commit | None = None
    ) -> Deploy:
        it, now = self.service(service_id), self.clock.now()
        made = Deploy(
            id=self.id("dep"), service_id=service_id, commit=commit or it.commits[0], status=DeployStatus.CREATED,
            trigger=trigger, created_at=now, updated_at=now, clear_cache=clear_cache, env=it.env,
        )  # fmt: skip
        # A newer deploy cancels the one that runs, as Render does by default.
        self.made[service_id] = [
            replace(each, status=DeployStatus.CANCELED, finished_at=now) if each.status.is_running else each
            for each in self.deploys(service_id)
        ]
        self.made[service_id].insert(0, made)
        self._since[made.id] = self.clock.monotonic()
        self.happen(
            service_id,
            "deploy_started",
            deployId=made.id,
            trigger={
                "firstBuild": False,
                "envUpdated": False,
                "manual": False,
                "deployedByRender": False,
                "clearCache": clear_cache,
                "rollback": trigger is Trigger.ROLLBACK,
            },
        )
        return made

    async def cancel_deploy(self, service_id: str, deploy_id: str) -> Deploy:
        it = self.deploy(service_id, deploy_id)
        if not it.status.is_running:
            raise Refused(409, "the deploy has ended")
        canceled = replace(it, status=DeployStatus.CANCELED, finished_at=self.clock.now())
        self.made[service_id] = [canceled if each.id == deploy_id else each for each in self.made[service_id]]
        return canceled

    async def rollback(self, service_id: str, deploy_id: str) -> Deploy:
        target = self.deploy(service_id, deploy_id)
        if target.status.value in _ENDED:
            raise Refused(400, "that deploy was never live")
        return self._new(service_id, Trigger.ROLLBACK, commit=target.commit)

    def env(self, service_id: str) -> Mapping[str, str]:
        return self.service(service_id).env

    async def set_env(self, service_id: str, key: str, value: str) -> None:
        await self.replace_env(service_id, {**self.env(service_id), key: value})

    async def replace_env(self, service_id: str, env: Mapping[str, str]) -> None:
        self.held[service_id] = replace(self.service(service_id), env=dict(env))
        if self.deploys_at_write:
            self._new(service_id, Trigger.UPDATED)

    async def delete_env(self, service_id: str, key: str) -> None:
        _had(dict(self.env(service_id)), key)
        await self.replace_env(service_id, {k: v for k, v in self.env(service_id).items() if k != key})

    def env_groups(self, owner_id: str) -> Sequence[EnvGroup]:
        return [each for each in self.groups.values() if each.owner_id == owner_id]

    def env_group(self, group_id: str) -> EnvGroup:
        return _had(self.groups, group_id)

    def linked(self, group_id: str) -> Sequence[Service]:
        return [each for each in self.held.values() if group_id in each.groups]

    async def create_env_group(
        self, owner_id: str, name: str, env: Mapping[str, str], service_ids: Sequence[str] = ()
    ) -> EnvGroup:
        if any(each.name == name for each in self.env_groups(owner_id)):
            raise Refused(409, "the name is taken")
        now = self.clock.now()
        made = EnvGroup(id=self.id("evg"), owner_id=owner_id, name=name, created_at=now, updated_at=now, env=dict(env))
        self.groups[made.id] = made
        for each in service_ids:
            await self.link(made.id, each)
        return made

    async def rename_env_group(self, group_id: str, name: str) -> EnvGroup:
        self.groups[group_id] = replace(self.env_group(group_id), name=name)
        return self.groups[group_id]

    async def delete_env_group(self, group_id: str) -> None:
        for each in self.linked(group_id):
            await self.unlink(group_id, each.id)
        del self.groups[self.env_group(group_id).id]

    async def set_group_env(self, group_id: str, key: str, value: str) -> EnvGroup:
        it = self.env_group(group_id)
        self.groups[group_id] = replace(it, env={**it.env, key: value})
        return self.groups[group_id]

    async def delete_group_env(self, group_id: str, key: str) -> EnvGroup:
        it = self.env_group(group_id)
        _had(dict(it.env), key)
        self.groups[group_id] = replace(it, env={k: v for k, v in it.env.items() if k != key})
        return self.groups[group_id]

    async def link(self, group_id: str, service_id: str) -> EnvGroup:
        it = self.service(service_id)
        self.held[service_id] = replace(it, groups=tuple(dict.fromkeys((*it.groups, group_id))))
        return self.env_group(group_id)

    async def unlink(self, group_id: str, service_id: str) -> EnvGroup:
        it = self.service(service_id)
        if group_id not in it.groups:
            raise Refused(404, "not linked")
        self.held[service_id] = replace(it, groups=tuple(each for each in it.groups if each != group_id))
        return self.env_group(group_id)

    def events(self, service_id: str) -> Sequence[Event]:
        return self.happened[self.service(service_id).id]

    def event(self, event_id: str) -> Event:
        return _had({each.id: each for every in self.happened.values() for each in every}, event_id)

    def logs(self, query: LogQuery) -> LogPage:
        fits = [
            each
            for each in self.said
            if _fits(each, query)
            and (query.since is None or each.at >= query.since)
            and (query.until is None or each.at <= query.until)
        ]
        fits.sort(key=lambda each: each.at, reverse=query.newest_first)
        if len(fits) <= query.limit:
            return LogPage(entries=tuple(fits))
        last = fits[query.limit - 1].at
        page = [each for n, each in enumerate(fits) if n < query.limit or each.at == last]
        step = timedelta(microseconds=1)
        since, until = (query.since, last - step) if query.newest_first else (last + step, query.until)
        return LogPage(entries=tuple(page), has_more=len(page) < len(fits), next_since=since, next_until=until)

    async def subscribe(self, query: LogQuery) -> AsyncIterator[LogEntry]:
        queue: asyncio.Queue[LogEntry] = asyncio.Queue()
        self.waiting.append((query, queue))
        try:
            while True:
                yield await queue.get()
        finally:
            self.waiting.remove((query, queue))

    def instances(self, service_id: str) -> Sequence[Instance]:
        if self.service(service_id).suspenders:
            return []
        live = [each for each in self.deploys(service_id) if each.status is DeployStatus.LIVE]
        return [
            Instance(
                id=f"{service_id}-{each.id[-5:]}",
                service_id=service_id,
                deploy_id=each.id,
                created_at=each.created_at,
                port=10_000,
            )
            for each in live[:1]
        ]

    def hours_used(self, owner_id: str) -> float:
        return 12.5

    def metric(
        self, metric: Metric, service_id: str, since: datetime, until: datetime, resolution_s: int
    ) -> Sequence[Series]:
        labels = {"resource": service_id, "instance": f"{service_id}-00001"}
        return [Series(unit=str(metric), labels=labels, samples=(Sample(since, 1.0), Sample(until, 2.5)))]

    def answered(self, service_id: str, status: int, sent_bytes: int) -> None:
        raise NotImplementedError


def _had(things: Mapping[str, _T], id: str) -> _T:
    if id not in things:
        raise Refused(404, f"not found: {id}")
    return things[id]


def _fits(entry: LogEntry, query: LogQuery) -> bool:
    return (
        entry.service_id in query.services
        and (not query.types or entry.type in query.types)
        and (not query.instances or entry.instance in query.instances)
        and (not query.levels or entry.level in query.levels)
        and (not query.texts or any(each.lower() in entry.text.lower() for each in query.texts))
    )
