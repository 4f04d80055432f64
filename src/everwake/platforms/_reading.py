"""Render's JSON into our nouns, pure and lenient: what the API adds or renames later is passed on or called "unknown".

The official package's models raise on a status, trigger or event type that is newer than the package, so its models are not
used to read. Shapes: Render's OpenAPI description, read 2026-11.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from everwake.model import DeployRecord, PlatformEvent, PlatformLine, PlatformService

__all__ = [
    "Unreadable",
    "counts",
    "deploy",
    "event",
    "host_of",
    "instances",
    "is_at",
    "line",
    "moment",
    "page",
    "record",
    "records",
    "service",
    "text",
    "variable",
]

NAME_CHARACTERS = 300
LINE_CHARACTERS = 32_768
_STATUSES = frozenset(
    {
        "created", "queued", "build_in_progress", "pre_deploy_in_progress", "update_in_progress", "live", "deactivated",
        "build_failed", "update_failed", "pre_deploy_failed", "canceled",
    }
)  # fmt: skip
_TRIGGERS = frozenset(
    {
        "api", "blueprint_sync", "deploy_hook", "deployed_by_render", "manual", "new_commit", "rollback", "service_resumed",
        "service_updated", "other",
    }
)  # fmt: skip


class Unreadable(ValueError):  # noqa: N818 - reads as what it is
    """The answer is not of the shape that was asked for."""


def record(value: object) -> Mapping[str, object]:
    """It is an object. Raises Unreadable."""
    if not isinstance(value, Mapping):
        raise Unreadable("an object was expected")
    return value


def records(value: object) -> Sequence[Mapping[str, object]]:
    """It is a list of objects. Raises Unreadable."""
    if not isinstance(value, list):
        raise Unreadable("a list was expected")
    return [record(each) for each in value]


def text(data: Mapping[str, object], name: str, most: int = NAME_CHARACTERS) -> str:
    """A string, cut at `most` characters; "" when it is not there or is none."""
    value = data.get(name)
    return value[:most] if isinstance(value, str) else ""


def moment(value: object) -> datetime | None:
    """RFC 3339, to the microsecond; None when it is not."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def page(value: object, what: str) -> tuple[Sequence[Mapping[str, object]], str]:
    """A page of `[{what: {...}, "cursor": ".."}]`: its items, and the cursor of the last one ("" at the end)."""
    rows = records(value)
    # `GET /env-groups` alone has no cursors in its description (2026-11): its items stand bare.
    items = [record(row[what]) if what in row else row for row in rows]
    return items, text(rows[-1], "cursor", 1_000) if rows else ""


def service(value: object) -> PlatformService:
    """A service, without its instances. Raises Unreadable when it has no id."""
    data = record(value)
    if not (id := text(data, "id")):
        raise Unreadable("a service without an id")
    details = _within(data, "serviceDetails")
    commands = _within(details, "envSpecificDetails")
    suspenders = data.get("suspenders")
    named = (
        tuple(each[:NAME_CHARACTERS] for each in suspenders if isinstance(each, str))
        if isinstance(suspenders, list)
        else ()
    )
    if not named and data.get("suspended") == "suspended":
        named = ("unknown",)
    return PlatformService(
        id=id,
        name=text(data, "name"),
        url=text(details, "url", 2_000).rstrip("/"),
        type=text(data, "type") or "unknown",
        plan=text(details, "plan") or "unknown",
        suspenders=named,
        owner_id=text(data, "ownerId"),
        region=text(details, "region"),
        repo=text(data, "repo", 2_000),
        branch=text(data, "branch"),
        health_path=text(details, "healthCheckPath", 2_000),
        start_command=text(commands, "startCommand", 2_000) or text(commands, "dockerCommand", 2_000),
        auto_deploy=data.get("autoDeploy") == "yes",
        created_at=moment(data.get("createdAt")),
    )


def deploy(value: object, service_id: str) -> DeployRecord:
    """A deploy. Raises Unreadable when it has no id."""
    data = record(value)
    if not (id := text(data, "id")):
        raise Unreadable("a deploy without an id")
    commit, status, trigger = _within(data, "commit"), text(data, "status"), text(data, "trigger")
    return DeployRecord(
        id=id,
        service_id=service_id,
        status=status if status in _STATUSES else "unknown",
        trigger=trigger if trigger in _TRIGGERS else "unknown",
        commit_id=text(commit, "id"),
        commit_message=text(commit, "message", 1_000),
        created_at=moment(data.get("createdAt")),
        started_at=moment(data.get("startedAt")),
        finished_at=moment(data.get("finishedAt")),
    )


def event(value: object) -> PlatformEvent:
    """An event of any type. Raises Unreadable when it has no id or no time."""
    data = record(value)
    at = moment(data.get("timestamp"))
    if not (id := text(data, "id")) or at is None:
        raise Unreadable("an event without id or time")
    return PlatformEvent(id=id, type=text(data, "type") or "unknown", at=at, details=_within(data, "details"))


def line(value: object) -> PlatformLine:
    """A log entry. Raises Unreadable when it has no id or no time."""
    data = record(value)
    at = moment(data.get("timestamp"))
    if not (id := text(data, "id")) or at is None:
        raise Unreadable("a log entry without id or time")
    named = data.get("labels")
    labels = (
        {text(each, "name"): text(each, "value") for each in named if isinstance(each, Mapping)}
        if isinstance(named, list)
        else {}
    )
    return PlatformLine(
        id=id,
        at=at,
        text=text(data, "message", LINE_CHARACTERS),
        type=labels.get("type") or "app",
        level=labels.get("level", ""),
        instance=labels.get("instance", ""),
    )


def instances(value: object) -> tuple[str, ...]:
    """Ids of those that run."""
    return tuple(id for each in records(value) if (id := text(each, "id")))


def counts(value: object) -> Sequence[tuple[datetime, float]]:
    """The samples of all series, oldest first; what is no number at a time is left out. Raises Unreadable."""
    found: dict[datetime, float] = {}
    for series in records(value):
        for sample in records(series.get("values", [])):
            at, count = moment(sample.get("timestamp")), sample.get("value")
            if at is not None and isinstance(count, int | float) and not isinstance(count, bool) and 0 <= count < 1e6:
                found[at] = found.get(at, 0.0) + float(count)
    return sorted(found.items())


def variable(value: object) -> tuple[str, str]:
    """Key and value. Raises Unreadable, without the value, when it is none."""
    data = record(value)
    key, held = data.get("key"), data.get("value")
    if not isinstance(key, str) or not isinstance(held, str):
        raise Unreadable("a variable without key or value")
    return key, held


def host_of(address: str) -> tuple[str, int | None]:
    """Host in lower case, and the port where it is named, of a URL or of a bare `host[:port]`; ("", None) when it is none."""
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        return (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "", None


def is_at(address: str, host: str) -> bool:
    """Whether a URL is at that host; where a port is asked for, at that port (on one machine only it tells services apart)."""
    found, wanted = host_of(address), host_of(host)
    return bool(found[0]) and found[0] == wanted[0] and wanted[1] in (None, found[1])


def _within(data: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}
