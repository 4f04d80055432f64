"""The nouns that cross folders. Frozen values only: whoever holds one may keep it, compare it and send it anywhere.

Wall time is a UTC-aware datetime and is for records; durations are seconds as float and are named `*_s`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = [
    "Action", "Beat", "BeatKind", "Failure", "FailureKind", "Incident", "Level", "LogLine", "Observation", "Phase", "State",
    "Transition",
]  # fmt: skip


class State(StrEnum):
    """How a service stands. Green is earned: `UP` only after a look without failure; what is not known is `UNKNOWN`."""

    UP = "up"
    DEGRADED = "degraded"
    WAKING = "waking"
    ASLEEP = "asleep"
    DOWN = "down"
    PAUSED = "paused"
    UNKNOWN = "unknown"


class Phase(StrEnum):
    """Where in one look something took time or failed, in the order in which they happen."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    FIRST_BYTE = "first_byte"
    TRANSFER = "transfer"
    EXPECT = "expect"
    UPGRADE = "upgrade"
    BEAT = "beat"
    LOGIN = "login"
    COMMAND = "command"
    SESSION = "session"
    MESSAGE = "message"
    REPLY = "reply"


class FailureKind(StrEnum):
    """What went wrong, closed: rules and the state machine branch on this and never on text."""

    # names and routes
    DNS_NO_SUCH_NAME = "dns_no_such_name"
    DNS_FAILED = "dns_failed"
    NO_ROUTE = "no_route"
    ADDRESS_REFUSED = "address_refused"  # a private address where the fleet does not allow one
    # connection
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"  # the phase says which one ran out
    CLOSED_EARLY = "closed_early"  # hung up before the answer was whole
    # TLS
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_EXPIRING = "certificate_expiring"  # still good, but for fewer days than wanted
    CERTIFICATE_WRONG_HOST = "certificate_wrong_host"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    TLS_FAILED = "tls_failed"
    # answer
    TOO_LARGE = "too_large"  # more bytes than the limit, also after decompression
    HEADERS_TOO_LARGE = "headers_too_large"
    BAD_ENCODING = "bad_encoding"  # compressed body that cannot be read
    BAD_PROTOCOL = "bad_protocol"  # not HTTP, a bad chunk, a WebSocket handshake that is none
    TOO_MANY_REDIRECTS = "too_many_redirects"
    # expectations
    STATUS = "status"
    HEADER = "header"
    JSON = "json"
    TEXT = "text"
    SLOW = "slow"  # all is as expected, only slower than `below_ms`: degraded, never down
    # persistent lines
    BEAT_MISSED = "beat_missed"
    LINE_CLOSED = "line_closed"
    LINE_REJECTED = "line_rejected"  # the upgrade was answered with something else
    # other protocols
    AUTH = "auth"
    ANSWER = "answer"  # the peer speaks the protocol and says no
    # ourselves
    INTERNAL = "internal"  # a bug or a limit of ours; never the target's fault, never `down`


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a look is not good. detail: for people, bounded to 300 characters, masked; nothing branches on it."""

    kind: FailureKind
    phase: Phase
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one check saw once. It never says whether the service is down; `watch.state` decides that.

    at: wall time at which the look began.   took_s: monotonic seconds, >= 0.   due_late_s: how late it was started.
    check: kind of check ("http", "heartbeat", ...).   status: HTTP status, when there was one.
    phases: seconds spent in each phase that was reached.   headers: chosen ones, lower-case names (all `x-*`, `server`,
    `retry-after`, `location`), bounded.   excerpt: first bytes of the body as text, at most 2,000 characters, untrusted.
    """

    service: str
    check: str
    at: datetime
    took_s: float
    failure: Failure | None = None
    status: int | None = None
    phases: Mapping[Phase, float] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    excerpt: str = ""
    certificate_expires_at: datetime | None = None
    redirects: int = 0
    late_s: float = 0.0


class BeatKind(StrEnum):
    """What happened on a persistent line."""

    CONNECTED = "connected"
    BEAT = "beat"
    LATE = "late"
    MISSED = "missed"
    CLOSED = "closed"
    FAILED = "failed"  # could not be connected
    RECONNECTING = "reconnecting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One event of a heartbeat. code: WebSocket close code.   again_s: seconds until the next try (RECONNECTING)."""

    service: str
    kind: BeatKind
    at: datetime
    took_s: float | None = None
    code: int | None = None
    again_s: float | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A service moved from one state to another, because of what (a cause's name, or None) and which failure."""

    service: str
    old: State
    new: State
    at: datetime
    cause: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing done about an incident. by: "keeper" or who."""

    at: datetime
    remedy: str
    step: str
    by: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """From leaving `up` to returning to it. parent: the incident of the service it depends on, when that one is why.

    flaps: how often it came back and fell again while open.
    """

    id: str
    service: str
    opened_at: datetime
    closed_at: datetime | None = None
    cause: str | None = None
    parent: str | None = None
    flaps: int = 0
    first: Observation | None = None
    actions: tuple[Action, ...] = field(default=())


class Level(StrEnum):
    """Of a line in the activity log."""

    SUCCESS = "success"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of the activity log: what the page and the terminal show, in the mission's words."""

    at: datetime
    level: Level
    text: str
    service: str | None = None
