"""What an `everwake.toml` says, once it has been read and found right: frozen values, standard library only.

Defaults and limits stand here and nowhere else; `fleet.load` turns a file into these, with file:line:column for mistakes.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from functools import lru_cache
from typing import Any, Literal

__all__ = [
    "Awake", "Check", "Expect", "Fleet", "Keeper", "Notify", "PlatformSettings", "Reads", "Secret", "Service", "setting",
]  # fmt: skip

Awake = str  # "always", "on-demand" or a window such as "08:00-24:00 Europe/Berlin"

Reads = Literal[
    "text",
    "name",
    "seconds",
    "url",
    "web",
    "host",
    "path",
    "route",
    "secret",
    "awake",
    "zone",
    "statuses",
    "texts",
    "secrets",
    "map",
]


def setting(
    *,
    help: str,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    ge: float | None = None,
    le: float | None = None,
    reads: Reads | None = None,
    key: str | None = None,
) -> Any:
    """One setting of a frozen dataclass: its default, range, how its text is read, and its help.

    This one declaration feeds the loader, the messages, `--help` and the docs. key: its name in the file, where that differs
    from the field's. reads: None takes it from the annotation; "seconds" accepts 30, "30s", "3m"; "secret" only
    `{ env = ".." }` or `{ file = ".." }`; "web" a URL that a browser could open; "route" a path of a URL; "path" a file's.
    """
    about = {"help": help, "ge": ge, "le": le, "reads": reads, "key": key}
    if default_factory is not MISSING:
        return field(default_factory=default_factory, metadata=about)
    return field(metadata=about) if default is MISSING else field(default=default, metadata=about)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that came from `{ env = .. }` or `{ file = .. }`. It has no readable form; `reveal()` is the only way to it.

    source: where it came from, for messages ("env RENDER_API_KEY"). Without a value where nobody needed it (`is_known`).
    """

    _value: str = field(repr=False)
    source: str = ""

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    @property
    def is_known(self) -> bool:
        """Whether there is a value; false only where the file was read without needing it."""
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What makes an answer good. An empty status means 200-299.

    status: accepted ones; what a platform's edge answers in a service's place is never good.
    headers: name (lower case) -> exact value.   json: dotted path -> value that must be equal.
    text: must stand in the body.   below_ms: slower is `degraded`.
    """

    status: tuple[int, ...] = setting(
        default=(), reads="statuses", help='accepted status, a range as "200-499", or a list of them; else 200-299'
    )
    headers: Mapping[str, str] = setting(
        default_factory=dict, reads="map", help="headers and the values they must have"
    )
    json: Mapping[str, Any] = setting(
        default_factory=dict, reads="map", help="JSON values that must be so, by dotted path"
    )
    text: str | None = setting(default=None, help="must stand in the body")
    below_ms: float | None = setting(default=None, ge=1, help="slower than this many milliseconds is degraded")


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

    name: str = setting(reads="name", help="short and unique: letters, digits, - and _")
    url: str = setting(reads="web", help="https://host[:port], or http://")
    health: str = setting(default="/health", reads="route", help="what is asked for at every look")
    every_s: float = setting(default=180.0, ge=1, le=86_400, reads="seconds", key="every", help="between two looks")
    timeout_s: float = setting(
        default=30.0, ge=0.1, le=300, reads="seconds", key="timeout", help="longest a look may take"
    )
    expect: Expect = setting(default_factory=Expect, help="what makes an answer good")
    heartbeat: str | None = setting(default=None, reads="route", help="path of a persistent WebSocket to hold")
    heartbeat_every_s: float = setting(
        default=30.0, ge=1, le=3_600, reads="seconds", key="heartbeat_every", help="between two beats"
    )
    checks: tuple[Check, ...] = setting(default=(), key="check", help="further checks, one [[service.check]] each")
    depends_on: tuple[str, ...] = setting(
        default=(), reads="texts", help="services it needs: it is silent while they are down"
    )
    platform: str | None = setting(default=None, reads="text", help="who runs it: render, sim")
    platform_id: str | None = setting(default=None, reads="text", help="its id there; else found by name or host")
    plan: str | None = setting(default=None, reads="text", help='"free" where the platform puts it to sleep')
    repair: Literal["off", "ask", "auto"] = setting(default="ask", help="whether it may be repaired")
    awake: Awake = setting(
        default="always", reads="awake", help='always, on-demand or a window: "08:00-24:00 Europe/Berlin"'
    )
    group: str | None = setting(default=None, reads="text", help="heading it stands under on the page")
    variables: Mapping[str, Any] = setting(default_factory=dict, reads="map", help="what its variables must be")

    @property
    def title(self) -> str:
        """The name as the mission's log lines say it: `redis-service` -> `Redis`, `chatbot` -> `Chatbot`."""
        return _title(self.name)

    @property
    def sleeps(self) -> bool:
        """Whether the platform may have put it to sleep: a timeout then means waking, not down."""
        return self.plan == "free" or (self.plan is None and self.platform is not None)


@lru_cache(maxsize=16_384)
def _title(name: str) -> str:
    words = name.replace("_", "-").removesuffix("-service").split("-")
    return " ".join(word[:1].upper() + word[1:] for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSettings:
    """How to reach one platform's API: `[platform.<name>]`."""

    name: str
    api_key: Secret | None = setting(default=None, reads="secret", help="key of the platform's API")
    url: str | None = setting(default=None, reads="web", help="another address of that API")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Apprise URLs; each is a secret, for they carry tokens."""

    urls: tuple[Secret, ...] = setting(default=(), reads="secrets", help='Apprise URLs, each as { env = "NAME" }')


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """How the keeper itself behaves: `[keeper]`. host off loopback needs password or token."""

    host: str = setting(default="127.0.0.1", reads="host", help="address the page listens on")
    port: int = setting(default=8600, ge=0, le=65_535, help="port the page listens on")
    password: Secret | None = setting(default=None, reads="secret", help="asked for on the page")
    token: Secret | None = setting(default=None, reads="secret", help="bearer token of the API")
    allowed_hosts: tuple[str, ...] = setting(default=(), reads="texts", help="further names this keeper is reached by")
    public_url: str | None = setting(
        default=None, reads="web", help="where people reach the page, for links in messages"
    )
    allow_private: bool = setting(default=True, help="whether services may have private addresses")
    soak_s: float = setting(
        default=900.0, ge=0, le=86_400, reads="seconds", key="soak",
        help="how long a repaired service is held against the seven criteria; 0 not at all",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All services one keeper looks after, in the order of the file. digest: SHA-256 of the file that was read."""

    name: str
    services: tuple[Service, ...]
    platforms: Mapping[str, PlatformSettings] = field(default_factory=dict)
    notify: Notify = field(default_factory=Notify)
    keeper: Keeper = field(default_factory=Keeper)
    path: str = "everwake.toml"
    digest: bytes = field(default=b"", compare=False, repr=False)

    def service(self, name: str) -> Service:
        """The service of that name. Raises KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)
