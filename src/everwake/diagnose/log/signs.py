"""What a notable line of a log says, as a closed set of kinds, and what a whole log comes to. Pure values."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from everwake.model import Evidence

__all__ = ["LogRead", "Sign", "SignKind"]


class SignKind(StrEnum):
    """What one line says. Roots first, then what only follows from something, then the course of life."""

    # variables
    MISSING_VARIABLE = "missing_variable"
    BAD_VARIABLE = "bad_variable"
    PATH_BROKEN = "path_broken"  # the shell does not find what every system has
    # dependencies
    REDIS = "redis"
    REDIS_AUTH = "redis_auth"
    REDIS_LIMIT = "redis_limit"
    DATABASE = "database"
    DATABASE_AUTH = "database_auth"
    DATABASE_SCHEMA = "database_schema"
    LOOPBACK_REFUSED = "loopback_refused"  # a store is looked for on the machine itself
    COMPOSE_HOST = "compose_host"  # a store is looked for by a name that only docker compose knows
    TLS = "tls"
    KEY_REFUSED = "key_refused"
    EXTERNAL = "external"
    SIBLING = "sibling"
    BROKER = "broker"  # of messages: AMQP, Kafka
    # the program
    MODULE_MISSING = "module_missing"
    COMMAND_MISSING = "command_missing"
    ENTRY_MISSING = "entry_missing"
    EXCEPTION = "exception"
    TRACEBACK = "traceback"
    PERMISSION = "permission"
    ADDRESS_IN_USE = "address_in_use"
    PORT_DENIED = "port_denied"  # one below 1024, mostly
    MIGRATION = "migration"
    # memory
    MEMORY = "memory"
    HEAP = "heap"
    MEMORY_OVER = "memory_over"
    KILLED = "killed"
    # build
    BUILD = "build"
    BUILD_ERROR = "build_error"  # a line that ends builds, without the platform's word for it
    IMAGE = "image"
    BLUEPRINT = "blueprint"
    # the platform's own words
    PLATFORM = "platform"
    NO_WEB = "no_web"
    QUOTA = "quota"
    SUSPENDED = "suspended"
    ROUTING = "routing"  # Render's header, pasted into a log
    BLOCKED = "blocked"
    TUNNEL = "tunnel"
    CORS = "cors"
    SUPERSEDED = "superseded"
    MAINTENANCE = "maintenance"
    # what follows from something
    BOOT_TIMEOUT = "boot_timeout"
    PORT_SCAN = "port_scan"
    PORT_TIMEOUT = "port_timeout"
    REFUSED_BY_PROXY = "refused_by_proxy"
    HEALTH_FAILED = "health_failed"
    HEALTH_TIMEOUT = "health_timeout"
    WORKER_TIMEOUT = "worker_timeout"
    REQUEST_TIMEOUT = "request_timeout"
    NO_CANDIDATE = "no_candidate"
    CRASHED = "crashed"
    EXIT = "exit"
    EXITED_EARLY = "exited_early"
    LOOPING = "looping"
    SERVER_ERROR = "server_error"  # an access line with a 5xx
    # the course of life
    CONNECTING_DATABASE = "connecting_database"
    CONNECTING_REDIS = "connecting_redis"
    DEPENDENCY_READY = "dependency_ready"  # key: which, as far as the line tells
    PAST_TROUBLE = "past_trouble"  # of a dependency that is there again
    STARTING = "starting"
    DEPLOYING = "deploying"
    BUILT = "built"
    LISTENING = "listening"
    LISTENING_LOOPBACK = "listening_loopback"
    PORT_FOUND = "port_found"
    LIVE = "live"
    RESUMED = "resumed"  # after a suspension
    SERVED = "served"  # an access line with 2xx or 3xx
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    SHUTTING_DOWN = "shutting_down"
    SIGTERM = "sigterm"
    IDLING = "idling"
    WAKING = "waking"
    CYCLING = "cycling"
    NOISE = "noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One notable line. n: its number from 1.   seq: its place in time, whatever order the log came in.

    text: at most 300 characters, masked, untrusted.   group: instance or process that said it, "" when not told.
    key: a variable's name, or a host.   number: a port, or an exit status.
    """

    kind: SignKind
    n: int
    text: str
    seq: int = 0
    at: datetime | None = None
    group: str = ""
    key: str = ""
    number: int | None = None

    def cite(self) -> Evidence:
        """The line as evidence."""
        return Evidence(source=f"log line {self.n}", quote=self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead:
    """A whole log. lines: how many it had.   signs: in the order of time, bounded.   counts: how often each kind was seen.

    tail: the last lines, masked.   is_cut: some lines were longer than is read.
    """

    lines: int = 0
    signs: tuple[Sign, ...] = ()
    counts: dict[SignKind, int] = field(default_factory=dict)
    tail: tuple[str, ...] = ()
    is_cut: bool = False
    platform: str = ""

    def first(self, *kinds: SignKind) -> Sign | None:
        """The earliest of these kinds."""
        return next((sign for sign in self.signs if sign.kind in kinds), None)

    def last(self, *kinds: SignKind) -> Sign | None:
        """The latest of these kinds."""
        return next((sign for sign in reversed(self.signs) if sign.kind in kinds), None)

    def all(self, *kinds: SignKind) -> Iterator[Sign]:
        """Those of these kinds, in the order of time."""
        return (sign for sign in self.signs if sign.kind in kinds)

    def has(self, *kinds: SignKind) -> bool:
        """Whether any of these was seen."""
        return any(kind in self.counts for kind in kinds)

    def count(self, kinds: Iterable[SignKind]) -> int:
        """How many lines were of these kinds, those that were not kept included."""
        return sum(self.counts.get(kind, 0) for kind in kinds)
