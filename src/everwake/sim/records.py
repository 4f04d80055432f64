"""The nouns of the simulated platform, named as in Render's public API; frozen, standard library only.

Times are real UTC wall time. What the platform waits for (idle, rollover, health) is scaled by `pace`, hours too.
Facts: Render's documentation and OpenAPI description, read 2026-11.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = [
    "PLAN_MEMORY_BYTES",
    "Broken",
    "Commit",
    "Deploy",
    "DeployStatus",
    "EnvGroup",
    "Event",
    "Instance",
    "LogEntry",
    "Owner",
    "Service",
    "ServiceType",
    "Standing",
    "Suspender",
    "Trigger",
]  # fmt: skip

# Memory at which an instance is killed, by plan (render.com/pricing, read 2026-11).
PLAN_MEMORY_BYTES: Mapping[str, int] = {
    "free": 512 * 2**20, "starter": 512 * 2**20, "standard": 2 * 2**30, "pro": 4 * 2**30,
}  # fmt: skip


class ServiceType(StrEnum):
    """What kind of service: only web services and static sites are reached through the edge."""

    WEB = "web_service"
    PRIVATE = "private_service"
    WORKER = "background_worker"
    CRON = "cron_job"
    STATIC = "static_site"


class Suspender(StrEnum):
    """Who stopped a service."""

    USER = "user"
    ADMIN = "admin"
    BILLING = "billing"
    PARENT = "parent_service"
    CRASHLOOPING = "stuck_crashlooping"
    HIPAA = "hipaa_enablement"
    UNKNOWN = "unknown"


class DeployStatus(StrEnum):
    """Where a deploy stands; from `LIVE` on it has ended."""

    CREATED = "created"
    QUEUED = "queued"
    BUILDING = "build_in_progress"
    PRE_DEPLOYING = "pre_deploy_in_progress"
    UPDATING = "update_in_progress"
    LIVE = "live"
    DEACTIVATED = "deactivated"
    BUILD_FAILED = "build_failed"
    PRE_DEPLOY_FAILED = "pre_deploy_failed"
    UPDATE_FAILED = "update_failed"
    CANCELED = "canceled"

    @property
    def is_running(self) -> bool:
        """Whether something is still to come of it."""
        return self in _RUNNING


_RUNNING = frozenset(
    {
        DeployStatus.CREATED, DeployStatus.QUEUED, DeployStatus.BUILDING, DeployStatus.PRE_DEPLOYING, DeployStatus.UPDATING,
    }
)  # fmt: skip


class Trigger(StrEnum):
    """What began a deploy."""

    API = "api"
    BLUEPRINT = "blueprint_sync"
    HOOK = "deploy_hook"
    RENDER = "deployed_by_render"
    MANUAL = "manual"
    COMMIT = "new_commit"
    ROLLBACK = "rollback"
    RESUMED = "service_resumed"
    UPDATED = "service_updated"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A workspace. key: the API key that opens it."""

    id: str
    name: str
    email: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One version of a service's code; a deploy runs one. The commands it does not name are the service's.

    A bad commit of a drill has other commands, so a rollback to the one before is what cures it.
    """

    id: str
    message: str
    created_at: datetime
    build_command: str | None = None
    start_command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service as its owner described it. env: its own variables, in order; groups: ids of the env groups it is linked to.

    port: of this machine's loopback, on which the edge answers for it.   commits: newest first.   ours: it is one of this
    distribution's, so there is nothing to build.   publish_path: folder of a static site's files.
    """

    id: str
    owner_id: str
    name: str
    type: ServiceType
    plan: str
    created_at: datetime
    updated_at: datetime
    port: int
    runtime: str = "python"
    region: str = "frankfurt"
    repo: str = ""
    branch: str = "main"
    root_dir: str = ""
    build_command: str = ""
    pre_deploy_command: str = ""
    start_command: str = ""
    health_check_path: str = ""
    publish_path: str = ""
    auto_deploy: bool = False
    max_shutdown_delay_s: float = 30.0
    num_instances: int = 1
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    groups: tuple[str, ...] = ()
    commits: tuple[Commit, ...] = ()
    suspenders: frozenset[Suspender] = frozenset()
    ours: bool = False

    @property
    def is_free(self) -> bool:
        """Whether it sleeps and its hours are counted."""
        return self.plan == "free" and self.type is ServiceType.WEB


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvGroup:
    """Variables that several services share. A service's own variable of the same name wins."""

    id: str
    owner_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """One attempt to bring a commit, with the variables of its moment, into service. rollback_of: the deploy it brings back."""

    id: str
    service_id: str
    commit: Commit
    status: DeployStatus
    trigger: Trigger
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    clear_cache: bool = False
    rollback_of: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running process of a deploy. port: the PORT it was given (the platform's own choice where it chose)."""

    id: str
    service_id: str
    deploy_id: str
    created_at: datetime
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a service. type and details: as the API's `serviceEvent` schemas have them."""

    id: str
    service_id: str
    at: datetime
    type: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One line. type: app, build or request.   instance: its id, "" for what the platform itself says."""

    id: str
    service_id: str
    at: datetime
    type: str
    text: str
    level: str = "info"
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a service stands between two lives of the simulator. live: id of its live deploy, "" when none is.

    is_asleep: spun down for want of traffic.   crashes: in a row, of its instances.
    """

    service_id: str
    live: str = ""
    is_asleep: bool = False
    crashes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A drill that a service is in. how: its name.   variables: as they were before, None where there was none.

    health_check_path, commit_id: what was changed, as it was before; "" when it was not.
    """

    service_id: str
    how: str
    at: datetime
    variables: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    health_check_path: str | None = None
    commit_id: str = ""
