"""What an `everwake.toml` says, once it has been read and found right: frozen values, standard library only.

Defaults and limits stand here and nowhere else; `fleet.load` turns a file into these, with file:line:column for mistakes.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

__all__ = [
    "Awake", "Check", "Expect", "Fleet", "Keeper", "Notify", "PlatformSettings", "Secret", "Service", "setting",
]  # fmt: skip

Awake = str  # "always", "on-demand" or a window such as "08:00-24:00 Europe/Berlin"


def setting(
    *,
    help: str,
    default: Any = MISSING,
    ge: float | None = None,
    le: float | None = None,
    reads: Literal["text", "seconds", "url", "host", "path", "secret"] | None = None,
) -> Any:
    """One setting of a frozen dataclass: its default, range, how its text is read, and its help.

    This one declaration feeds the loader, the messages, `--help` and the docs. reads: None takes it from the annotation;
    "seconds" accepts 30, "30s", "3m"; "secret" only `{ env = ".." }` or `{ file = ".." }`.
    """
    about = {"help": help, "ge": ge, "le": le, "reads": reads}
    return field(metadata=about) if default is MISSING else field(default=default, metadata=about)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that came from `{ env = .. }` or `{ file = .. }`. It has no readable form; `reveal()` is the only way to it.

    source: where it came from, for messages ("env RENDER_API_KEY").
    """

    _value: str = field(repr=False)
    source: str = ""

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What makes an answer good. An empty status means 200-299.

    status: accepted ones.   headers: name (lower case) -> exact value.   json: dotted path -> value that must be equal.
    text: must stand in the body.   below_ms: slower is `degraded`.
    """

    status: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    below_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A further way of looking at a service: `[[service.check]]`. spec: the kind's own frozen settings (`checks/<kind>.py`)."""

    kind: str
    spec: Any
    every_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One thing kept awake. url: scheme://host[:port] without a trailing slash. plan: "free" sleeps; None when not known."""

    name: str
    url: str
    health: str = "/health"
    every_s: float = 180.0
    timeout_s: float = 30.0
    expect: Expect = field(default_factory=Expect)
    heartbeat: str | None = None
    heartbeat_every_s: float = 30.0
    checks: tuple[Check, ...] = ()
    depends_on: tuple[str, ...] = ()
    platform: str | None = None
    platform_id: str | None = None
    plan: str | None = None
    repair: Literal["off", "ask", "auto"] = "ask"
    awake: Awake = "always"
    group: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    line: int = 0

    @property
    def title(self) -> str:
        """The name as the mission's log lines say it: `redis-service` -> `Redis`, `chatbot` -> `Chatbot`."""
        words = self.name.replace("_", "-").removesuffix("-service").split("-")
        return " ".join(word[:1].upper() + word[1:] for word in words)

    @property
    def sleeps(self) -> bool:
        """Whether the platform may have put it to sleep: a timeout then means waking, not down."""
        return self.plan == "free" or (self.plan is None and self.platform is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """How to reach one platform's API."""

    name: str
    api_key: Secret | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Apprise URLs; each is a secret, for they carry tokens."""

    urls: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """How the keeper itself behaves: `[keeper]`. host off loopback needs password or token."""

    host: str = "127.0.0.1"
    port: int = 8600
    password: Secret | None = None
    token: Secret | None = None
    allowed_hosts: tuple[str, ...] = ()
    public_url: str | None = None
    allow_private: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All services one keeper looks after, in the order of the file."""

    name: str
    services: tuple[Service, ...]
    platforms: Mapping[str, PlatformSettings] = field(default_factory=dict)
    notify: Notify = field(default_factory=Notify)
    keeper: Keeper = field(default_factory=Keeper)
    path: str = "everwake.toml"

    def service(self, name: str) -> Service:
        """The service of that name. Raises KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)
