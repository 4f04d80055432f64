"""The nouns that cross folders. Frozen values only: whoever holds one may keep it, compare it and send it anywhere.

Wall time is a UTC-aware datetime and is for records; durations are seconds as float and are named `*_s`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from everwake.variable_problem import VariableProblem

__all__ = [
    "Action", "Beat", "BeatKind", "Cause", "Criterion", "DeployRecord", "Diagnosis", "Doubt", "Evidence", "Failure",
    "FailureKind", "Incident", "Level", "LogLine", "Observation", "Phase", "PlatformEvent", "PlatformLine", "PlatformService",
    "Proof", "RemedyRun", "RemedyStep", "RuledOut", "RunState", "State", "StepState", "Transition", "VariableProblem",
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
class Doubt:
    """Looks of one check that failed one after the other. looks: how many, 1 or more.   first: the first of them."""

    check: str
    looks: int
    first: Observation


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

    opened_at: when the first failed look began, which is kept as `first`.   cause: a name, or None while nobody has found one.
    flaps: how often it came back and fell again while open.   fell_at: when it last did, or went from `degraded` to `down`.
    diagnosis: why, once somebody has looked into it.
    proof: whether it was shown to be well again; None while nobody has tried.
    """

    id: str
    service: str
    opened_at: datetime
    closed_at: datetime | None = None
    cause: str | None = None
    parent: str | None = None
    flaps: int = 0
    fell_at: datetime | None = None
    first: Observation | None = None
    actions: tuple[Action, ...] = field(default=())
    diagnosis: "Diagnosis | None" = None
    proof: "Proof | None" = None


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


# --- platforms ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformService:
    """A service as its platform describes it. suspenders: who stopped it, empty when nobody did; unknown names stay as they are.

    instances: ids of those that run now; None when not asked for.   plan: "free", "starter", ...
    """

    id: str
    name: str
    url: str
    type: str
    plan: str
    suspenders: tuple[str, ...] = ()
    owner_id: str = ""
    region: str = ""
    repo: str = ""
    branch: str = ""
    health_path: str = ""
    start_command: str = ""
    auto_deploy: bool = False
    instances: tuple[str, ...] | None = None
    created_at: datetime | None = None

    @property
    def is_suspended(self) -> bool:
        """Whether somebody stopped it."""
        return bool(self.suspenders)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRecord:
    """One deploy. status: a name of Render's `deployStatus`, or "unknown"; trigger likewise."""

    id: str
    service_id: str
    status: str
    trigger: str = "unknown"
    commit_id: str = ""
    commit_message: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Whether something is still to come of it; a status nobody knows counts as ended."""
        return self.status in _DEPLOY_RUNS

    @property
    def has_failed(self) -> bool:
        """Whether it ended without going live."""
        return self.status in ("build_failed", "update_failed", "pre_deploy_failed", "canceled")


_DEPLOY_RUNS = frozenset({"created", "queued", "build_in_progress", "pre_deploy_in_progress", "update_in_progress"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformEvent:
    """Something that the platform says happened. details: as its API has them, JSON values only, untrusted."""

    id: str
    type: str
    at: datetime
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLine:
    """One line of a service's log on its platform; text is untrusted and not masked yet."""

    id: str
    at: datetime
    text: str
    type: str = "app"
    level: str = ""
    instance: str = ""


# --- what is wrong and why ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on. source: where it was seen ("http.headers", "log", "platform.deploys", "variables.PORT", ...).

    quote: the words themselves, masked, at most 300 characters, untrusted.
    """

    source: str
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a service is not up. cause: a name of `diagnose.causes`.   sure: 0..1.   next: the next step in one sentence.

    remedy: name of the playbook that may cure it, or None when only a person can.
    """

    cause: str
    sure: float
    evidence: tuple[Evidence, ...] = ()
    next: str = ""
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledOut:
    """A cause that was thought of and is not it."""

    cause: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Ranked causes, the surest first; empty when nothing is wrong. `unknown` is a cause of its own."""

    state: State
    causes: tuple[Cause, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    variables: tuple[VariableProblem, ...] = ()


# --- is it well again -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One thing that must hold of a service that is well. met: None while nobody could tell.   said: how it is known."""

    name: str
    met: bool | None
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether a service was shown to be well: only when every criterion is met."""

    criteria: tuple[Criterion, ...] = ()

    @property
    def is_proved(self) -> bool:
        """Nothing is proved by no criterion."""
        return bool(self.criteria) and all(criterion.met for criterion in self.criteria)


# --- bringing it back -----------------------------------------------------------------------------------------------------


class RunState(StrEnum):
    """How far a remedy has come. `ASKED`: it waits for a person's yes; the last four have ended."""

    ASKED = "asked"
    RUNNING = "running"
    PROVING = "proving"
    PROVED = "proved"
    UNPROVED = "unproved"  # everything was done, and the service was not shown to be well after it
    FAILED = "failed"  # a step could not be done
    DROPPED = "dropped"  # nothing more was done, for there was no reason any more or somebody said stop

    @property
    def is_open(self) -> bool:
        """Whether something is still to come of it."""
        return self in (RunState.ASKED, RunState.RUNNING, RunState.PROVING)


class StepState(StrEnum):
    """One step of a remedy. `INTENDED` is written before it is done: whoever finds it does not know whether it was."""

    PLANNED = "planned"
    INTENDED = "intended"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemedyStep:
    """One step. do: what kind of thing, a name of `remedy.steps`; a string, for another version may have written it.

    says: in words.   args: what it is done to, never a value of a variable.   said: what came of it, masked.
    """

    do: str
    says: str
    args: Mapping[str, str] = field(default_factory=dict)
    state: StepState = StepState.PLANNED
    at: datetime | None = None
    ended_at: datetime | None = None
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemedyRun:
    """One remedy for one incident, as it is remembered: the audit trail.

    playbook: its name; about: what it tells from another run of the same (the variables, the deploy).   cause, why: the finding.
    by: "keeper" or who said yes.   before: how the service stood, and in `back_to` which deploy served then, if one did.
    target: its id on the platform.   deploys: how many deploys it makes.   holder, held_until: the lease of who is at it.
    proof: what the looks right after it have shown.   soak: the seven criteria, once it was watched for as long as they ask for.
    """

    id: str
    service: str
    incident: str
    playbook: str
    cause: str
    asked_at: datetime
    steps: tuple[RemedyStep, ...]
    about: str = ""
    why: str = ""
    costs: str = ""
    proved_by: str = ""
    by: str = "keeper"
    state: RunState = RunState.ASKED
    target: str = ""
    before: State = State.DOWN
    back_to: str = ""
    deploys: int = 0
    began_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = ""
    proof: Proof | None = None
    soak: Proof | None = None
    holder: str = ""
    held_until: datetime | None = None

    @property
    def next_step(self) -> int | None:
        """The first that is not over; None when all are."""
        return next(
            (n for n, one in enumerate(self.steps) if one.state in (StepState.PLANNED, StepState.INTENDED)), None
        )
