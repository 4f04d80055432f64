"""What the control API asks of the platform. Reads answer at once from what is known; writes are durable when they return.

Ids are the platform's own: `tea-` (a workspace), `srv-`, `dep-`, `evg-`, `evt-` with 20 characters behind, an instance its
service's id with `-` and five more.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from everwake.sim.records import Deploy, EnvGroup, Event, Instance, LogEntry, Owner, Service, Trigger

__all__ = ["LogPage", "LogQuery", "Metric", "Refused", "Sample", "Series", "ServicePatch", "Workspace"]

LOG_LIMIT = 20


class Refused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The platform says no. status: of the HTTP answer (400, 404, 409, ...).   message: in words, without a secret."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePatch:
    """What to change of a service; None leaves it as it is."""

    name: str | None = None
    branch: str | None = None
    repo: str | None = None
    root_dir: str | None = None
    auto_deploy: bool | None = None
    build_command: str | None = None
    pre_deploy_command: str | None = None
    start_command: str | None = None
    health_check_path: str | None = None
    max_shutdown_delay_s: float | None = None
    plan: str | None = None
    runtime: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which lines. services: ids.   since, until: inclusive, None is open.   Of each other tuple one must match, empty is all.

    texts: substrings, without regard to case; `*` within one stands for anything.   limit: 1..100.
    newest_first: which end of the window a page is taken from, and its order.
    """

    services: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None
    types: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    newest_first: bool = True
    limit: int = LOG_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Lines in the order that was asked for. next_since, next_until: the window to ask for next, when there are more.

    Both windows hold the whole of a moment, so no line is missed or seen twice: a page may end in more lines than `limit` when
    they share one moment.
    """

    entries: tuple[LogEntry, ...]
    has_more: bool = False
    next_since: datetime | None = None
    next_until: datetime | None = None


class Metric(StrEnum):
    """What is measured of a service."""

    CPU = "cpu"  # cores in use, per instance
    MEMORY = "memory"  # bytes in use, per instance
    BANDWIDTH = "bandwidth"  # bytes sent to clients in the bucket
    HTTP_REQUESTS = "http_requests"  # answered requests in the bucket, by status code
    INSTANCE_COUNT = "instance_count"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value at one time."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Samples of one kind, oldest first. labels: what tells it from the others (`resource`, `instance`, `statusCode`)."""

    unit: str
    labels: Mapping[str, str]
    samples: tuple[Sample, ...]


class Workspace(Protocol):
    """The platform behind its control API. Each raises `Refused`: 404 what is not there, 400 what makes no sense, 409 what
    cannot be done now. A caller checks that what it asks about belongs to its key: `service(id).owner_id`."""

    def owner(self, key: str) -> Owner | None:
        """Whose key this is; compared in constant time."""

    def services(self, owner_id: str) -> Sequence[Service]:
        """Oldest first."""

    def service(self, service_id: str) -> Service:
        """One service as it stands."""

    def url(self, service_id: str) -> str:
        """Where the edge answers for it, without a slash at the end; "" for what the edge does not serve."""

    async def patch_service(self, service_id: str, change: ServicePatch) -> Service:
        """Change it; takes effect with the next deploy, a new health path at once."""

    async def suspend(self, service_id: str) -> Service:
        """By its owner: its instances are stopped, a running deploy is canceled."""

    async def resume(self, service_id: str) -> Service:
        """Undo the owner's `suspend`, not another suspender's; a deploy (`service_resumed`) brings it back."""

    async def restart(self, service_id: str) -> None:
        """New instances of the live deploy, by rollover. 409 when nothing is live."""

    def deploys(self, service_id: str) -> Sequence[Deploy]:
        """Newest first."""

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """One of them."""

    async def create_deploy(
        self,
        service_id: str,
        *,
        clear_cache: bool = False,
        commit_id: str | None = None,
        trigger: Trigger = Trigger.API,
    ) -> Deploy:
        """Of the latest commit, or of the one named, with the variables as they are now. 409 when suspended."""

    async def cancel_deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """Stop one that is under way; 409 when it has ended."""

    async def rollback(self, service_id: str, deploy_id: str) -> Deploy:
        """A new deploy of what `deploy_id` brought: its commit, with the variables as they are now. 400 unless it was live."""

    def env(self, service_id: str) -> Mapping[str, str]:
        """Its own variables in order, without those of its groups."""

    async def set_env(self, service_id: str, key: str, value: str) -> None:
        """Write one."""

    async def replace_env(self, service_id: str, env: Mapping[str, str]) -> None:
        """These and no others."""

    async def delete_env(self, service_id: str, key: str) -> None:
        """Remove one; 404 when it is not there."""

    def env_groups(self, owner_id: str) -> Sequence[EnvGroup]:
        """Oldest first."""

    def env_group(self, group_id: str) -> EnvGroup:
        """One of them."""

    def linked(self, group_id: str) -> Sequence[Service]:
        """The services that use it."""

    async def create_env_group(
        self, owner_id: str, name: str, env: Mapping[str, str], service_ids: Sequence[str] = ()
    ) -> EnvGroup:
        """A new one, linked to these services. 409 when the name is taken."""

    async def rename_env_group(self, group_id: str, name: str) -> EnvGroup:
        """Another name. 409 when it is taken."""

    async def delete_env_group(self, group_id: str) -> None:
        """It and its links."""

    async def set_group_env(self, group_id: str, key: str, value: str) -> EnvGroup:
        """Write one variable of it."""

    async def delete_group_env(self, group_id: str, key: str) -> EnvGroup:
        """Remove one; 404 when it is not there."""

    async def link(self, group_id: str, service_id: str) -> EnvGroup:
        """Give its variables to a service too; linked twice is linked."""

    async def unlink(self, group_id: str, service_id: str) -> EnvGroup:
        """Undo `link`; 404 when it is not linked."""

    def events(self, service_id: str) -> Sequence[Event]:
        """Newest first; the latest few hundred."""

    def event(self, event_id: str) -> Event:
        """One of them."""

    def logs(self, query: LogQuery) -> LogPage:
        """A page of lines."""

    def subscribe(self, query: LogQuery) -> AsyncIterator[LogEntry]:
        """New lines that match, as they come (window, order and limit are not looked at). A reader that is 1,000 lines behind
        misses the oldest. Close it (`aclose`) or cancel its reader."""

    def instances(self, service_id: str) -> Sequence[Instance]:
        """Those that run now, oldest first; none while asleep or suspended."""

    def hours_used(self, owner_id: str) -> float:
        """Free instance hours of this month, by the platform's own calendar."""

    def metric(
        self, metric: Metric, service_id: str, since: datetime, until: datetime, resolution_s: int
    ) -> Sequence[Series]:
        """Samples of a window, one for each `resolution_s` (30 or more) that has any."""

    def answered(self, service_id: str, status: int, sent_bytes: int) -> None:
        """For `HTTP_REQUESTS` and `BANDWIDTH`: a request was answered through the edge. Cheap; called by the edge."""
        ...
