"""The platform's nouns as Render's API writes them, pure. Shapes: Render's OpenAPI description, read 2026-11."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from everwake.sim.records import Deploy, EnvGroup, Event, Instance, LogEntry, Owner, Service, ServiceType, Suspender
from everwake.sim.verbs import LogPage, Series

__all__ = [
    "cursor",
    "deploy",
    "env_group",
    "env_group_meta",
    "env_var",
    "event",
    "instance",
    "log_entry",
    "log_page",
    "metric",
    "moment",
    "owner",
    "service",
]

_RUNTIMES = frozenset({"docker", "elixir", "go", "node", "python", "ruby", "rust", "image"})
_PLANS = frozenset(
    {
        "starter",
        "starter_plus",
        "standard",
        "standard_plus",
        "pro",
        "pro_plus",
        "pro_max",
        "pro_ultra",
        "free",
        "custom",
    }
)
_REGIONS = frozenset({"frankfurt", "oregon", "ohio", "singapore", "virginia"})
_SHORT = {
    ServiceType.WEB: "web",
    ServiceType.PRIVATE: "pserv",
    ServiceType.WORKER: "worker",
    ServiceType.CRON: "cron",
    ServiceType.STATIC: "static",
}
_SUSPENDERS = tuple(Suspender)


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as Render writes it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def cursor(key: str) -> str:
    """Where a list goes on: behind the item of this key. Opaque to clients."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def owner(it: Owner) -> dict[str, Any]:
    """`owner`."""
    return {"id": it.id, "name": it.name, "email": it.email, "twoFactorAuthEnabled": False, "type": "team"}


def service(it: Service, url: str, ports: Sequence[int] = ()) -> dict[str, Any]:
    """`service`. url: where the edge answers for it.   ports: that its instances listen on."""
    return {
        "id": it.id,
        "autoDeploy": "yes" if it.auto_deploy else "no",
        "branch": it.branch,
        "createdAt": moment(it.created_at),
        "dashboardUrl": f"{url or 'http://localhost'}/#{it.id}",
        "name": it.name,
        "notifyOnFail": "default",
        "ownerId": it.owner_id,
        "repo": it.repo,
        "rootDir": it.root_dir,
        "slug": it.name,
        "suspended": "suspended" if it.suspenders else "not_suspended",
        "suspenders": [each.value for each in _SUSPENDERS if each in it.suspenders],
        "type": it.type.value,
        "updatedAt": moment(it.updated_at),
        "serviceDetails": _static(it, url) if it.type is ServiceType.STATIC else _details(it, url, ports),
    }


def _static(it: Service, url: str) -> dict[str, Any]:
    return {
        "buildCommand": it.build_command,
        "publishPath": it.root_dir or ".",
        "url": url,
        "buildPlan": "starter",
        "pullRequestPreviewsEnabled": "no",
        "previews": {"generation": "off"},
        "renderSubdomainPolicy": "enabled",
    }


def _details(it: Service, url: str, ports: Sequence[int]) -> dict[str, Any]:
    runtime = it.runtime if it.runtime in _RUNTIMES else "docker"
    commands = (
        {"dockerCommand": it.start_command, "dockerContext": it.root_dir or ".", "dockerfilePath": "./Dockerfile"}
        if runtime in ("docker", "image")
        else {"buildCommand": it.build_command, "startCommand": it.start_command}
    )
    details: dict[str, Any] = {
        "buildPlan": "starter",
        "env": runtime,
        "envSpecificDetails": {**commands, "preDeployCommand": it.pre_deploy_command},
        "plan": it.plan if it.plan in _PLANS else "custom",
        "region": it.region if it.region in _REGIONS else "frankfurt",
        "runtime": runtime,
    }
    if it.type is ServiceType.CRON:
        return {**details, "schedule": ""}
    details |= {
        "numInstances": it.num_instances,
        "pullRequestPreviewsEnabled": "no",
        "previews": {"generation": "off"},
        "maxShutdownDelaySeconds": max(1, min(300, round(it.max_shutdown_delay_s))),
    }
    if it.type is ServiceType.WORKER:
        return details
    details["openPorts"] = [{"port": each, "protocol": "TCP"} for each in ports]
    # A private service has an address too, of its private network: name and port.
    details["url"] = url or (f"{it.name}:{ports[0]}" if ports else it.name)
    if it.type is ServiceType.WEB:
        details |= {"healthCheckPath": it.health_check_path, "renderSubdomainPolicy": "enabled"}
    return details


def deploy(it: Deploy) -> dict[str, Any]:
    """`deploy`; what has not happened yet is not there."""
    body: dict[str, Any] = {
        "id": it.id,
        "commit": {"id": it.commit.id, "message": it.commit.message, "createdAt": moment(it.commit.created_at)},
        "status": it.status.value,
        "trigger": it.trigger.value,
        "createdAt": moment(it.created_at),
        "updatedAt": moment(it.updated_at),
    }
    if it.started_at is not None:
        body["startedAt"] = moment(it.started_at)
    if it.finished_at is not None:
        body["finishedAt"] = moment(it.finished_at)
    return body


def env_var(key: str, value: str) -> dict[str, str]:
    """`envVar`."""
    return {"key": key, "value": value}


def env_group_meta(it: EnvGroup, linked: Sequence[Service]) -> dict[str, Any]:
    """`envGroupMeta`: without its variables."""
    return {
        "id": it.id,
        "name": it.name,
        "ownerId": it.owner_id,
        "createdAt": moment(it.created_at),
        "updatedAt": moment(it.updated_at),
        "serviceLinks": [{"id": each.id, "name": each.name, "type": _SHORT[each.type]} for each in linked],
    }


def env_group(it: EnvGroup, linked: Sequence[Service]) -> dict[str, Any]:
    """`envGroup`."""
    variables = [env_var(key, value) for key, value in it.env.items()]
    return {**env_group_meta(it, linked), "envVars": variables, "secretFiles": []}


def event(it: Event) -> dict[str, Any]:
    """`serviceEvent`."""
    return {
        "id": it.id,
        "timestamp": moment(it.at),
        "serviceId": it.service_id,
        "type": it.type,
        "details": dict(it.details),
    }


def instance(it: Instance) -> dict[str, str]:
    """`serviceInstance`."""
    return {"id": it.id, "createdAt": moment(it.created_at)}


def log_entry(it: LogEntry) -> dict[str, Any]:
    """A log entry with its labels."""
    labels = {"resource": it.service_id, "instance": it.instance, "level": it.level, "type": it.type}
    return {
        "id": it.id,
        "message": it.text,
        "timestamp": moment(it.at),
        "labels": [{"name": name, "value": value} for name, value in labels.items() if value],
    }


def log_page(page: LogPage, since: datetime, until: datetime) -> dict[str, Any]:
    """Entries and the window to ask for next; the same window again when there is no more."""
    return {
        "hasMore": page.has_more,
        "nextStartTime": moment(page.next_since or since),
        "nextEndTime": moment(page.next_until or until),
        "logs": [log_entry(each) for each in page.entries],
    }


def metric(it: Series) -> dict[str, Any]:
    """One series. The description wants the unit in each value too, though its own examples and client do without."""
    return {
        "labels": [{"field": name, "value": value} for name, value in it.labels.items()],
        "values": [{"timestamp": moment(each.at), "value": each.value, "unit": it.unit} for each in it.samples],
        "unit": it.unit,
    }
