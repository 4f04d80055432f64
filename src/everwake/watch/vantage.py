"""Is it them, or is it us? When services fail and nobody else answers, our own line is looked at first. Pure.

An HTTP answer from outside, a 503 too, proves that our line works: then it is them. Only failures on the way (no name, no route,
no connection, no answer in time) speak against us, and only of services that are not on this machine.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from everwake.model import FailureKind, Observation, Phase

__all__ = ["Glance", "OwnLine", "Probe", "Suspicion", "answered", "judge", "on_the_way", "suspect"]

_ON_THE_WAY = frozenset({
    FailureKind.DNS_NO_SUCH_NAME, FailureKind.DNS_FAILED, FailureKind.NO_ROUTE, FailureKind.REFUSED, FailureKind.RESET,
    FailureKind.TIMEOUT, FailureKind.CLOSED_EARLY, FailureKind.TLS_FAILED, FailureKind.LINE_CLOSED, FailureKind.BEAT_MISSED,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """One look as seen from here. at_s: monotonic.   host: where it went.   answered: any answer of the peer came back.

    is_here: the host is this very machine, which needs no line.
    """

    at_s: float
    host: str
    answered: bool
    failed_on_the_way: bool
    is_here: bool = False


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


def answered(seen: Observation) -> bool:
    """Whether an answer came back now, whatever it says. One whose rest stayed away began to come a while ago: no proof."""
    stalled = seen.failure is not None and seen.failure.phase is Phase.TRANSFER
    return seen.status is not None and not stalled


def suspect(glances: Sequence[Glance], now_s: float, *, window_s: float = 10.0, together_s: float = 1.0) -> Suspicion:
    """Whether what failed in the last `window_s` could be us: something failed on the way, and nobody answered since, or in
    the same moment (`together_s`). What answered earlier proves only that the line was sound then.

    One failure is enough to ask: a probe costs a name look-up, and a fleet may be one service.
    """
    recent = [glance for glance in glances if now_s - glance.at_s <= window_s]
    failed = [glance.at_s for glance in recent if glance.failed_on_the_way and not glance.is_here]
    is_proved = any(g.answered and not g.is_here and g.at_s >= max(failed, default=0.0) - together_s for g in recent)
    return Suspicion.MAYBE_US if failed and not is_proved else Suspicion.THEM


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


class OwnLine:
    """What is thought of our own line: fed with looks, it says when to probe. ours: why it is us, or None. No I/O."""

    # Asked at the first failure or at the one a second later, a probe is over before the fourth look, which decides.
    PAUSE_S = 1.0

    def __init__(self) -> None:
        self.ours: str | None = None
        self._failed: deque[Glance] = deque(maxlen=1_000)
        self._answered: tuple[str, float] | None = None
        self._is_probing = False
        self._probed_at_s = float("-inf")

    def saw(self, seen: Observation, host: str, now_s: float) -> bool:
        """Remember one look; True: probe our line now, then call `probed`."""
        failed, is_here, has_answered = on_the_way(seen), _is_here(host), answered(seen)
        if has_answered and not is_here:
            self.ours = None
        # Of answers only the last one counts, and nearly every look is one.
        if failed:
            self._failed.append(Glance(at_s=now_s, host=host, answered=False, failed_on_the_way=True, is_here=is_here))
        elif has_answered and not is_here:
            self._answered = host, now_s
        if not failed or self._is_probing or now_s - self._probed_at_s < self.PAUSE_S:
            return False
        if self.ours is None and suspect(self._glances(), now_s) is Suspicion.THEM:
            return False
        self._is_probing, self._probed_at_s = True, now_s
        return True

    def _glances(self) -> tuple[Glance, ...]:
        if self._answered is None:
            return tuple(self._failed)
        host, at_s = self._answered
        return *self._failed, Glance(at_s=at_s, host=host, answered=True, failed_on_the_way=False)

    def probed(self, probe: Probe | None) -> None:
        """The probe that was asked for is over; None: it could not be made."""
        self._is_probing = False
        if probe is not None:
            self.ours = judge(probe)

    def excuses(self, seen: Observation) -> bool:
        """Whether this failure says nothing about the service, for our line is down."""
        return self.ours is not None and on_the_way(seen)


@lru_cache(maxsize=16_384)
def _is_here(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "::1"
