"""What is known about a service at one moment: what the checks saw, what its platform says, its log, its variables, its siblings.

Frozen and bounded; every place may be missing, and a missing place is never taken for a healthy one. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from everwake.diagnose._masking import quote
from everwake.diagnose.edges import Hint, hints, platform_of
from everwake.diagnose.log.reader import read
from everwake.diagnose.log.signs import LogRead, Sign, SignKind
from everwake.diagnose.look import Look
from everwake.model import (
    DeployRecord,
    Evidence,
    Observation,
    PlatformEvent,
    PlatformLine,
    PlatformService,
    VariableProblem,
)

_Said = TypeVar("_Said", PlatformLine, PlatformEvent)

__all__ = [
    "BODY_CHARS",
    "Event",
    "Facts",
    "PlatformFacts",
    "facts_of_observation",
    "flat",
    "lines_judged",
    "redis_scheme",
]

_TELLS_NOTHING = frozenset({"reason", "instanceID", "instanceId", "evicted_at"})
BODY_CHARS = 4_000
LOOKS_MOST = 60
EVENTS_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something its platform says happened. reason: the flat details, names as the API has them; at: None when not told."""

    type: str
    at: datetime | None = None
    reason: Mapping[str, object] = field(default_factory=dict)

    def cite(self) -> Evidence:
        """The event as evidence."""
        said = ", ".join(
            f"{name}: {value}"
            for name, value in self.reason.items()
            if value not in (None, False, "", {}) and name not in _TELLS_NOTHING
        )
        return Evidence(source="platform.events", quote=quote(f"{self.type} {said}".strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFacts:
    """What its platform's API says. suspenders: who stopped it, empty for nobody; None when that was not asked.

    deploys, events: the newest first.   stage: of platforms that name one (Hugging Face).   target_port: where its edge looks.
    hours_left: of the free allowance of its workspace.   instances: how many run, None when not asked.
    """

    suspenders: tuple[str, ...] | None = None
    type: str = ""
    plan: str = ""
    name: str = ""
    is_in_maintenance: bool = False
    deploys: tuple[DeployRecord, ...] = ()
    events: tuple[Event, ...] = ()
    stage: str = ""
    message: str = ""
    target_port: int | None = None
    http_status: int | None = None
    hours_left: float | None = None
    instances: int | None = None

    @property
    def newest(self) -> DeployRecord | None:
        """The newest deploy."""
        return self.deploys[0] if self.deploys else None

    @property
    def live(self) -> DeployRecord | None:
        """The deploy that serves."""
        return next((deploy for deploy in self.deploys if deploy.status == "live"), None)

    def cite(self, what: str, said: object) -> Evidence:
        """A fact of the API as evidence."""
        return Evidence(source=f"platform.{what}", quote=quote(str(said)))

    def cite_deploy(self, deploy: DeployRecord) -> Evidence:
        """A deploy as evidence."""
        return Evidence(source="platform.deploys", quote=quote(f"{deploy.id} {deploy.status}".strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The five places, each optional.

    looks: what was seen over HTTP, the one that matters first, then further ones in the order of time.
    problems: what the doctor found in the variables; has_variables: they were looked at, so no problem means none.
    redis_scheme: "redis" or "rediss" of the variable that leads to Redis, "" when not known.
    context: what else somebody knows (reader, type, environment, target_port, ..).   at: the moment of the newest look.
    """

    id: str = ""
    platform: str = ""
    looks: tuple[Look, ...] = ()
    host: PlatformFacts | None = None
    log: LogRead | None = None
    problems: tuple[VariableProblem, ...] = ()
    has_variables: bool = False
    redis_scheme: str = ""
    siblings: tuple[str, ...] = ()
    context: Mapping[str, object] = field(default_factory=dict)
    at: datetime | None = None

    @property
    def look(self) -> Look | None:
        """The look that matters most."""
        return self.looks[0] if self.looks else None

    @property
    def places(self) -> frozenset[str]:
        """Which of the five places hold anything."""
        held = {
            "http": bool(self.looks),
            "platform": self.host is not None,
            "log": self.log is not None and self.log.lines > 0,
            "variables": self.has_variables or bool(self.problems),
            "context": bool(self.siblings or self.context),
        }
        return frozenset(place for place, has in held.items() if has)

    @property
    def where(self) -> str:
        """Name of the platform: as told, else by the looks, else by the log; "" when nothing tells."""
        if self.platform and self.platform not in ("other", "generic", "unknown"):
            return self.platform
        told = next((found for look in self.looks if (found := platform_of(look))), "")
        return told or (self.log.platform if self.log else "")

    @property
    def routed(self) -> tuple[Look, ...]:
        """The looks, and those that a log holds as lines (a browser's console with the edge's header in it)."""
        pasted = self.log.all(SignKind.ROUTING) if self.log else iter(())
        return self.looks + tuple(
            Look(url="", status=None, headers={"x-render-routing": sign.key}, source=f"log line {sign.n}")
            for sign in pasted
        )

    def hints(self, cause: str) -> Iterator[Hint]:
        """What the edge's signatures say for a cause, of the look that matters and then of the others."""
        where = self.where
        for look in self.routed:
            yield from (hint for hint in hints(look, where) if hint.cause == cause)

    @property
    def is_answering(self) -> bool:
        """Whether the service itself answered well when it was looked at last."""
        return bool(self.looks) and self.looks[0].is_good and not any(True for _ in hints(self.looks[0], self.where))

    def signs(self, *kinds: SignKind) -> tuple[Sign, ...]:
        """Signs of the log of these kinds, in the order of time."""
        return tuple(self.log.all(*kinds)) if self.log else ()

    def root(self) -> Sign | None:
        """The first error of a cascade: the earliest sign that says why, and not only that."""
        return self.log.first(*ROOTS) if self.log else None


# What says why. Everything else in a log is a consequence, the course of life, or noise.
ROOTS = (
    SignKind.MISSING_VARIABLE,
    SignKind.BAD_VARIABLE,
    SignKind.PATH_BROKEN,
    SignKind.REDIS,
    SignKind.REDIS_AUTH,
    SignKind.REDIS_LIMIT,
    SignKind.DATABASE,
    SignKind.DATABASE_AUTH,
    SignKind.DATABASE_SCHEMA,
    SignKind.LOOPBACK_REFUSED,
    SignKind.COMPOSE_HOST,
    SignKind.TLS,
    SignKind.KEY_REFUSED,
    SignKind.EXTERNAL,
    SignKind.SIBLING,
    SignKind.BROKER,
    SignKind.MODULE_MISSING,
    SignKind.COMMAND_MISSING,
    SignKind.ENTRY_MISSING,
    SignKind.PERMISSION,
    SignKind.ADDRESS_IN_USE,
    SignKind.PORT_DENIED,
    SignKind.MIGRATION,
    SignKind.MEMORY,
    SignKind.HEAP,
    SignKind.BUILD_ERROR,
    SignKind.IMAGE,
    SignKind.BLUEPRINT,
    SignKind.PLATFORM,
    SignKind.NO_WEB,
    SignKind.QUOTA,
    SignKind.SUSPENDED,
)


def facts_of_observation(
    seen: Sequence[Observation],
    *,
    url: str = "",
    platform: str = "",
    service: PlatformService | None = None,
    deploys: Sequence[DeployRecord] = (),
    events: Sequence[PlatformEvent] = (),
    lines: Sequence[PlatformLine] = (),
    has_log: bool = False,
    problems: Sequence[VariableProblem] = (),
    has_variables: bool = False,
    variables: Iterable[str] = (),
    siblings: Sequence[str] = (),
    context: Mapping[str, object] | None = None,
) -> Facts:
    """Facts from what the keeper's checks saw (the newest first) and what the platform's adapter told.

    variables: the values, of which only the scheme of the Redis URL is kept.
    """
    looks = tuple(
        Look(
            url=url,
            status=one.status,
            headers=dict(one.headers),
            body=one.excerpt[:BODY_CHARS],
            elapsed_s=one.took_s,
            failure=one.failure,
            at=one.at,
            certificate_expires_at=one.certificate_expires_at,
            check=one.check,
            source=one.check,
        )
        for one in seen[:LOOKS_MOST]
    )
    events = events[:EVENTS_MOST]
    host = None
    if service is not None:
        host = PlatformFacts(
            suspenders=service.suspenders,
            type=service.type,
            plan=service.plan,
            name=service.name,
            deploys=tuple(deploys),
            events=tuple(
                Event(type=one.type, at=one.at, reason=flat(one.details)) for one in _of_this_deploy(events, deploys)
            ),
            instances=None if service.instances is None else len(service.instances),
        )
    log = read(lines_judged(lines, deploys), quote)
    return Facts(
        platform=platform,
        looks=looks,
        host=host,
        log=log if has_log or lines else None,
        problems=tuple(problems),
        has_variables=has_variables,
        redis_scheme=redis_scheme(variables),
        siblings=tuple(siblings),
        context=context or {},
        at=seen[0].at if seen else None,
    )


def _of_this_deploy(said: Sequence[_Said], deploys: Sequence[DeployRecord]) -> Iterator[_Said]:
    """Lines or events since the newest deploy that was not dropped began: older ones are about other code and variables."""
    began = next((one.created_at for one in deploys if one.status != "canceled"), None)
    return (one for one in said if began is None or one.at >= began)


def lines_judged(lines: Sequence[PlatformLine], deploys: Sequence[DeployRecord] = ()) -> Iterator[str]:
    """The lines that a diagnosis rests on, as the reader takes them apart: time, instance, words. What is saved are these."""
    for line in _of_this_deploy(lines, deploys):
        instance = "".join(letter for letter in line.instance.lower() if letter.isalnum())[-8:]
        before = f"{line.at:%Y-%m-%dT%H:%M:%S.%f}Z {f'[{instance}] ' if instance else ''}"
        yield from (f"{before}{text}" for text in line.text.splitlines() or [""])


def redis_scheme(values: Iterable[str]) -> str:
    """With or without TLS: the scheme of the first value that is a Redis URL."""
    return next(
        (
            scheme
            for value in values
            for scheme in ("rediss", "redis")
            if value.strip(" '\"").startswith(f"{scheme}://")
        ),
        "",
    )


def flat(details: Mapping[str, object], depth: int = 4) -> dict[str, object]:
    """Details of an event without their nesting: the innermost names, scalars only, at most 40."""
    found: dict[str, object] = {}
    for name, value in list(details.items())[:40]:
        if isinstance(value, Mapping):
            if depth > 0:
                found.update(flat(value, depth - 1))
                if value and name not in found:
                    found[str(name)] = True
        elif isinstance(value, str | int | float | bool) or value is None:
            found[str(name)] = value[:300] if isinstance(value, str) else value
    return dict(list(found.items())[:40])
