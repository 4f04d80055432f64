"""Is it them, or is it us? When many unrelated services fail in one moment, our own line is looked at first. Pure.

An HTTP answer from outside, a 503 too, proves that our line works: then it is them. Only failures on the way (no name, no route,
no connection, no answer in time) of services on different hosts speak against us.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from everwake.model import FailureKind, Observation

__all__ = ["Glance", "Probe", "Suspicion", "judge", "on_the_way", "suspect"]

_ON_THE_WAY = frozenset({
    FailureKind.DNS_NO_SUCH_NAME, FailureKind.DNS_FAILED, FailureKind.NO_ROUTE, FailureKind.REFUSED, FailureKind.RESET,
    FailureKind.TIMEOUT, FailureKind.CLOSED_EARLY, FailureKind.TLS_FAILED, FailureKind.LINE_CLOSED, FailureKind.BEAT_MISSED,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """One look as seen from here. at_s: monotonic.   host: where it went.   answered: any answer of the peer came back."""

    at_s: float
    host: str
    answered: bool
    failed_on_the_way: bool


class Suspicion(Enum):
    """Whom a handful of failures speaks against."""

    THEM = auto()
    MAYBE_US = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a look at ourselves found. None: could not be asked.

    clock_jump_s: wall clock against monotonic since the last tick.   slept_s: how long the machine was suspended.
    """

    resolves: bool | None = None
    has_route: bool | None = None
    clock_jump_s: float = 0.0
    slept_s: float = 0.0


def on_the_way(seen: Observation) -> bool:
    """Whether this failure could be our own line."""
    return seen.status is None and seen.failure is not None and seen.failure.kind in _ON_THE_WAY


def suspect(glances: Sequence[Glance], now_s: float, *, window_s: float = 10.0, hosts: int = 3) -> Suspicion:
    """Whether what was seen in the last `window_s` could be us: `hosts` different ones failed on the way, nobody answered."""
    recent = [glance for glance in glances if now_s - glance.at_s <= window_s]
    failed = {glance.host for glance in recent if glance.failed_on_the_way}
    last_failed_s = max((g.at_s for g in recent if g.failed_on_the_way), default=0.0)
    answered = any(g.answered and g.at_s >= last_failed_s - window_s / 2 for g in recent)
    return Suspicion.MAYBE_US if len(failed) >= hosts and not answered else Suspicion.THEM


def judge(probe: Probe) -> str | None:
    """Why it is us, in words, or None when our own line is as it should be."""
    if probe.slept_s > 5.0:
        return f"this machine was suspended for {probe.slept_s:.0f} s"
    if abs(probe.clock_jump_s) > 60.0:
        return f"this machine's clock jumped by {probe.clock_jump_s:+.0f} s"
    if probe.has_route is False:
        return "this machine has no route out"
    if probe.resolves is False:
        return "this machine cannot look up names"
    return None
