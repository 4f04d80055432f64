"""What the platform decides about a service: sleep, wake, restart, health, deploys, hours. Pure; the engine obeys.

Facts: render.com/docs/free, /health-checks, /deploys and the OpenAPI description, read 2026-11; what they leave open is ours and
said so. All times given in are monotonic real seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum, StrEnum
from typing import Any

from everwake.sim.pace import Pace
from everwake.sim.records import Deploy, DeployStatus, Service, Suspender, Trigger

__all__ = [
    "BUILDS", "Change", "Direction", "Health", "Ledger", "Rules", "Seen", "Throttle", "Verdict", "cause_of_end", "direct",
    "failed", "gate", "may_sleep", "passes", "restart_wait_s", "streak_after", "superseded", "timed_out",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long the platform waits for what, in seconds; `paced` turns platform seconds into real ones.

    Documented: idle, health, start window, rollover, hours. Ours: how long the edge holds a request while waking (19-90 s were
    measured), how often a start is tried, the delays between restarts, the throttle of wake requests, when a crash loop is
    ended. A fresh start of a crash loop counts as lasting after `lasting_s`.
    """

    idle_s: float = 900.0
    wake_gives_up_s: float = 100.0
    start_window_s: float = 900.0
    health_every_s: float = 5.0
    health_timeout_s: float = 5.0
    out_after_s: float = 15.0
    restart_after_s: float = 60.0
    rollover_s: float = 60.0
    queue_s: float = 0.5
    first_restart_s: float = 5.0
    longest_restart_s: float = 300.0
    lasting_s: float = 120.0
    scan_every_s: float = 30.0
    flap_every_s: float = 45.0
    build_s: float = 7200.0
    pre_deploy_s: float = 1800.0
    shutdown_s: float = 300.0  # the longest that a service may ask for
    start_tries: int = 3
    wake_tries: int = 2
    crashloop_tries: int = 100
    wake_burst: float = 60.0
    wake_refill_s: float = 1.0  # real at every pace: clients are
    free_hours: float = 750.0

    def paced(self, pace: Pace) -> "Rules":
        """The same in real seconds; none becomes so short that a real process could not follow."""
        waits: dict[str, Any] = {
            each.name: pace.real_s(getattr(self, each.name), _LEAST_S.get(each.name, 0.0))
            for each in fields(self) if each.name.endswith("_s") and each.name != "wake_refill_s"
        }  # fmt: skip
        return replace(self, **waits)


# A Python service needs a second or two to start, a busy one longer; a health check that gives it less would lie.
_LEAST_S: Mapping[str, float] = {
    "wake_gives_up_s": 20.0, "start_window_s": 25.0, "health_every_s": 0.5, "health_timeout_s": 2.0, "out_after_s": 2.0,
    "restart_after_s": 5.0, "rollover_s": 1.0, "first_restart_s": 0.2, "longest_restart_s": 3.0, "lasting_s": 5.0,
    "scan_every_s": 1.0, "flap_every_s": 3.0, "build_s": 900.0, "pre_deploy_s": 300.0, "shutdown_s": 10.0,
}  # fmt: skip


# --- where a request goes -------------------------------------------------------------------------------------------------


class Direction(Enum):
    """What becomes of an inbound request."""

    FORWARD = "forward"
    HOLD = "hold"  # wake it, if it is not waking yet, and wait
    LOADING = "loading"  # wake it, and answer with the loading page
    WAKE_FAILED = "wake_failed"
    THROTTLED = "throttled"
    NO_SERVER = "no_server"
    NO_DEPLOY = "no_deploy"
    UNREACHABLE = "unreachable"
    SUSPENDED = "suspended"
    SUSPENDED_BY_USER = "suspended_by_user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A service at the moment of a request. has_live: a deploy of it is live.   is_ready: an instance is in rotation.

    is_admitted: the throttle lets one more wake request pass.   is_cut: a drill keeps the edge from the instance.
    has_failed_wake: the edge has given up waking it a moment ago, and the platform has not tried again since.
    """

    service: Service | None
    has_live: bool = False
    is_ready: bool = False
    is_asleep: bool = False
    is_waking: bool = False
    is_admitted: bool = True
    has_failed_wake: bool = False
    is_cut: bool = False


def direct(seen: Seen, *, wants_html: bool) -> Direction:
    """Where a request goes. Who suspended it comes first, then whether anything is live, then sleep."""
    service = seen.service
    if service is None:
        return Direction.NO_SERVER
    if Suspender.USER in service.suspenders:
        return Direction.SUSPENDED_BY_USER
    if service.suspenders:
        return Direction.SUSPENDED
    if not seen.has_live:
        return Direction.NO_DEPLOY
    if seen.is_ready:
        return Direction.UNREACHABLE if seen.is_cut else Direction.FORWARD
    if not (seen.is_asleep or seen.is_waking):
        return Direction.NO_DEPLOY
    if not seen.is_admitted:
        return Direction.THROTTLED
    if seen.has_failed_wake:
        return Direction.WAKE_FAILED
    return Direction.LOADING if wants_html else Direction.HOLD


@dataclass(frozen=True, slots=True)
class Throttle:
    """A bucket of wake requests: `left` of them, filled again one in `Rules.wake_refill_s`."""

    left: float
    at_s: float

    def ask(self, now_s: float, rules: Rules) -> "tuple[Throttle, bool]":
        """One more request: the bucket after it, and whether it may pass. One refused takes nothing out."""
        left = min(rules.wake_burst, self.left + max(0.0, now_s - self.at_s) / rules.wake_refill_s)
        return Throttle(left - 1 if left >= 1 else left, now_s), left >= 1


def may_sleep(service: Service, last_inbound_s: float, now_s: float, rules: Rules) -> bool:
    """Whether a service that runs is to be spun down: free, and nothing came in for the idle time."""
    return service.is_free and now_s - last_inbound_s >= rules.idle_s


# --- starting, health, restarting -----------------------------------------------------------------------------------------


class Verdict(Enum):
    """What to do about an instance now."""

    WAIT = "wait"
    PASS = "pass"  # noqa: S105 - not a password
    OUT = "out"  # of rotation
    BACK = "back"  # into rotation
    RESTART = "restart"
    FAIL = "fail"


def passes(status: int | None) -> bool:
    """Whether an answer of the health path is good: 2xx or 3xx; None is no answer in time."""
    return status is not None and 200 <= status < 400


def gate(*, listens: bool, health: bool | None, waited_s: float, window_s: float) -> Verdict:
    """Of a starting instance: may it take traffic? health: of its path, None when it has none or was not asked yet.

    A service without a health path passes when something listens on its port.
    """
    if listens and health is not False:
        return Verdict.PASS
    return Verdict.FAIL if waited_s >= window_s else Verdict.WAIT


@dataclass(frozen=True, slots=True)
class Health:
    """Of an instance that takes traffic. failing_since_s: of the unbroken run of failed checks, None when the last was good."""

    failing_since_s: float | None = None
    is_out: bool = False

    def seen(self, good: bool, asked_at_s: float, now_s: float, rules: Rules) -> "tuple[Health, Verdict]":
        """Fold one check. asked_at_s: when it was sent; a run of failures lasts from the first of these to now."""
        if good:
            return Health(), Verdict.BACK if self.is_out else Verdict.PASS
        since_s = asked_at_s if self.failing_since_s is None else self.failing_since_s
        if now_s - since_s >= rules.restart_after_s:
            return Health(since_s, True), Verdict.RESTART
        if now_s - since_s >= rules.out_after_s:
            return Health(since_s, True), Verdict.WAIT if self.is_out else Verdict.OUT
        return Health(since_s, self.is_out), Verdict.WAIT


def streak_after(crashes: int, lived_s: float, rules: Rules) -> int:
    """Crashes in a row after one more, that came `lived_s` after the instance took traffic (0: it never did)."""
    return 1 if lived_s >= rules.lasting_s else crashes + 1


def restart_wait_s(crashes: int, rules: Rules) -> float:
    """How long to wait after that many crashes in a row before the next start: nothing at first, then ever longer."""
    if crashes <= 1:
        return 0.0
    return min(rules.first_restart_s * 2.0 ** min(crashes - 2, 30), rules.longest_restart_s)


def cause_of_end(status: int | None, *, memory_limit_bytes: int = 0, is_unhealthy: bool = False) -> dict[str, object]:
    """`reason` of a `server_failed` event. status: of the exit, negative for a signal, None while it still ran.

    memory_limit_bytes: the limit, when the platform ended it for that.
    """
    if memory_limit_bytes:
        return {"evicted": False, "oomKilled": {"memoryLimit": f"{memory_limit_bytes // 2**20}Mi"}}
    if is_unhealthy:
        return {"evicted": False, "unhealthy": "health checks failed for too long"}
    if status is None:
        return {"evicted": True}
    if status == 0:
        return {"evicted": False, "earlyExit": True}
    # A shell's way to say "ended by signal n", which is what an exit status can hold.
    return {"evicted": False, "nonZeroExit": status if status > 0 else 128 - status}


def timed_out(window_s: float, *, listens: bool) -> dict[str, object]:
    """`reason` of an instance that never passed. window_s: platform seconds."""
    why = "the health check path never answered well" if listens else "no open ports detected"
    return {"evicted": False, "timedOutSeconds": round(window_s), "timedOutReason": why}


# --- deploys --------------------------------------------------------------------------------------------------------------

# A rollback brings back what was built; a resumed service is what it was.
BUILDS = frozenset(set(Trigger) - {Trigger.ROLLBACK, Trigger.RESUMED})


def superseded(deploys: Sequence[Deploy], by: Deploy | None) -> tuple[Deploy, ...]:
    """Which deploys of a service, given newest first, are canceled because of a newer one: those before it that still run.

    by: None when somebody canceled what runs.
    """
    ids = [each.id for each in deploys]
    older = deploys if by is None else deploys[ids.index(by.id) + 1 :] if by.id in ids else ()
    return tuple(each for each in older if each.status.is_running)


_FAILED: Mapping[DeployStatus, DeployStatus] = {
    DeployStatus.BUILDING: DeployStatus.BUILD_FAILED, DeployStatus.PRE_DEPLOYING: DeployStatus.PRE_DEPLOY_FAILED,
}  # fmt: skip


def failed(status: DeployStatus) -> DeployStatus:
    """How a deploy ends that fails in this step."""
    return _FAILED.get(status, DeployStatus.UPDATE_FAILED)


# --- free hours -----------------------------------------------------------------------------------------------------------


class Change(StrEnum):
    """What the hours ask for."""

    NOTHING = "nothing"
    SUSPEND = "suspend"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Free instance hours of a workspace. month: of the platform's calendar, "2026-11".   used_h: in it."""

    owner_id: str
    month: str = ""
    used_h: float = 0.0
    is_exhausted: bool = False

    def charge(self, month: str, hours: float, rules: Rules) -> "tuple[Ledger, Change]":
        """Count `hours` that ran until now. In a new month the count begins anew and what was suspended for it resumes."""
        if month != self.month:
            fresh = replace(self, month=month, used_h=0.0, is_exhausted=False)
            return fresh, Change.RESUME if self.is_exhausted else Change.NOTHING
        used_h = self.used_h + max(0.0, hours)
        if used_h >= rules.free_hours and not self.is_exhausted:
            return replace(self, used_h=used_h, is_exhausted=True), Change.SUSPEND
        return replace(self, used_h=used_h), Change.NOTHING
