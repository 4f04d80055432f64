"""The state machine: what one more look means for a service. Pure; time comes in with the look.

    look -> judge -> Verdict -> advance -> Step(watch, move, next look)

A service is `down` only after it failed again when looked at once more at once, after 1 s and after 3 s: within 5 s whatever
its interval. What a platform does while it wakes a service is not a failure: it gets one patient look, not four quick ones.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from everwake.model import Failure, FailureKind, Observation, Phase, State, Transition

__all__ = ["Look", "Policy", "Step", "Verdict", "Watch", "advance", "judge", "tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient to be with one service.

    every_s: between looks while all is well.   primary: the check that decides up or down; others only degrade.
    sleeps: its plan lets the platform put it to sleep.   confirm_s: pauses before the looks that confirm a failure.
    wake_patience_s: how long waking may take, and the one look that wakes (Render holds it for 19-90 s, seen 2026-07).
    A service that is not up by then counts as down.   degrade_after: failures in a row of another
    check before the service is degraded.
    """

    every_s: float = 180.0
    primary: str = "http"
    sleeps: bool = False
    confirm_s: tuple[float, ...] = (0.0, 1.0, 3.0)
    not_up_every_s: float = 30.0
    wake_patience_s: float = 180.0
    degrade_after: int = 2


class Verdict(Enum):
    """What one look says by itself."""

    GOOD = auto()
    SLOW = auto()
    WAKING = auto()
    BAD = auto()
    OURS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """When to look next, and for how long that look may take when it is one that wakes (None: as configured)."""

    after_s: float
    patience_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How one service stands.

    confirming: confirming looks made since the first failure, None when there is nothing to confirm.
    streak: looks in a row that were good (> 0) or not (< 0).
    failing: other checks -> failures in a row.
    """

    state: State = State.UNKNOWN
    since: datetime | None = None
    cause: str | None = None
    failure: Failure | None = None
    streak: int = 0
    confirming: int | None = None
    failing: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from one look. next: None when the look was not the primary check's."""

    watch: Watch
    move: Transition | None
    next: Look | None


def judge(seen: Observation, policy: Policy) -> Verdict:
    """What one look says by itself, whatever came before.

    Render's edge tells a waking service by `x-render-routing: hibernate-*` and throttles wake-ups with 429; a request to a
    sleeping service may simply be held until it times out.
    """
    failure = seen.failure
    if failure is None:
        return Verdict.GOOD
    if failure.kind is FailureKind.INTERNAL:
        return Verdict.OURS
    if failure.kind is FailureKind.SLOW:
        return Verdict.SLOW
    if seen.check == policy.primary:
        if "hibernate" in seen.headers.get("x-render-routing", "") or seen.status == 429:
            return Verdict.WAKING
        held = failure.phase in (Phase.FIRST_BYTE, Phase.TRANSFER)
        if policy.sleeps and failure.kind is FailureKind.TIMEOUT and held:
            return Verdict.WAKING
    return Verdict.BAD


def _moved(watch: Watch, new: State, seen: Observation, cause: str | None = None) -> tuple[Watch, Transition | None]:
    if new is watch.state:
        return replace(watch, failure=seen.failure, cause=cause or watch.cause), None
    move = Transition(service=seen.service, old=watch.state, new=new, at=seen.at, cause=cause, failure=seen.failure)
    return replace(watch, state=new, since=seen.at, cause=cause, failure=seen.failure), move


def advance(watch: Watch, seen: Observation, policy: Policy) -> Step:
    """Fold one look into how the service stands."""
    verdict = judge(seen, policy)
    if seen.check != policy.primary:
        return _beside(watch, seen, verdict, policy)
    match verdict:
        case Verdict.GOOD | Verdict.SLOW:
            return _good(watch, seen, verdict, policy)
        case Verdict.WAKING:
            return _waking(watch, seen, policy)
        case Verdict.BAD:
            return _bad(watch, seen, policy)
        case Verdict.OURS:
            # Our own fault says nothing about the service: it stays as it was, and is looked at again.
            return Step(watch=watch, move=None, next=Look(after_s=_pause_s(watch.state, policy)))


def _pause_s(state: State, policy: Policy) -> float:
    return policy.every_s if state in (State.UP, State.DEGRADED) else min(policy.every_s, policy.not_up_every_s)


def _good(watch: Watch, seen: Observation, verdict: Verdict, policy: Policy) -> Step:
    beside = any(count >= policy.degrade_after for _, count in watch.failing)
    new = State.DEGRADED if beside or verdict is Verdict.SLOW else State.UP
    is_same = new is watch.state
    cause = watch.cause if new is not State.UP and (beside or is_same) else None
    move = None
    if not is_same:
        move = Transition(service=seen.service, old=watch.state, new=new, at=seen.at, cause=cause, failure=seen.failure)
    # Made outright: this is what nearly every look comes to, and `replace` would cost as much as the rest of the decision.
    after = Watch(
        state=new, since=watch.since if is_same else seen.at, cause=cause, failure=seen.failure,
        streak=max(watch.streak, 0) + 1, failing=watch.failing,
    )  # fmt: skip
    return Step(watch=after, move=move, next=Look(after_s=_pause_s(new, policy)))


def _waking(watch: Watch, seen: Observation, policy: Policy) -> Step:
    """Patience is a time, not a number of looks: an edge that answers 503 at once is as much waking as one that holds."""
    watch = replace(watch, streak=min(watch.streak, 0) - 1, confirming=None)
    is_first = watch.state is not State.WAKING
    waited_s = 0.0 if is_first or watch.since is None else (seen.at - watch.since).total_seconds() + seen.took_s
    if watch.state is State.DOWN or waited_s >= policy.wake_patience_s:
        watch, move = _moved(watch, State.DOWN, seen, "wake_throttled" if seen.status == 429 else "wake_failed")
        return Step(watch=watch, move=move, next=Look(after_s=_again_s(seen, State.DOWN, policy)))
    watch, move = _moved(watch, State.WAKING, seen, "waking")
    # The first patient look goes out at once; after one that failed, or when the edge throttles, it is left alone a while.
    after_s = 0.0 if is_first and seen.status != 429 else _again_s(seen, State.WAKING, policy)
    return Step(watch=watch, move=move, next=Look(after_s=after_s, patience_s=policy.wake_patience_s))


def _again_s(seen: Observation, state: State, policy: Policy) -> float:
    """The usual pause, or what the edge asked for with `Retry-After` (seconds; RFC 9110 10.2.3), within the patience."""
    asked = seen.headers.get("retry-after", "")
    asked_s = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0.0
    return max(_pause_s(state, policy), min(asked_s, policy.wake_patience_s))


def _bad(watch: Watch, seen: Observation, policy: Policy) -> Step:
    watch = replace(watch, streak=min(watch.streak, 0) - 1)
    if watch.state is State.DOWN:
        watch, _ = _moved(watch, State.DOWN, seen)
        return Step(watch=watch, move=None, next=Look(after_s=_pause_s(State.DOWN, policy)))
    made = 0 if watch.confirming is None else watch.confirming + 1
    if made < len(policy.confirm_s):
        return Step(watch=replace(watch, confirming=made), move=None, next=Look(after_s=policy.confirm_s[made]))
    watch, move = _moved(replace(watch, confirming=None), State.DOWN, seen)
    return Step(watch=watch, move=move, next=Look(after_s=_pause_s(State.DOWN, policy)))


def _beside(watch: Watch, seen: Observation, verdict: Verdict, policy: Policy) -> Step:
    """Another check than the primary one: it can degrade a service that is up, and nothing else."""
    failing = dict(watch.failing)
    if verdict in (Verdict.GOOD, Verdict.SLOW):
        failing.pop(seen.check, None)
    elif verdict is not Verdict.OURS:
        failing[seen.check] = failing.get(seen.check, 0) + 1
    watch = replace(watch, failing=tuple(sorted(failing.items())))
    is_degraded = any(count >= policy.degrade_after for count in failing.values())
    move = None
    if watch.state is State.UP and is_degraded:
        watch, move = _moved(watch, State.DEGRADED, seen)
    elif watch.state is State.DEGRADED and not failing:
        watch, move = _moved(watch, State.UP, seen)
        watch = replace(watch, cause=None, failure=None)
    return Step(watch=watch, move=move, next=None)


def tell(
    watch: Watch, service: str, new: State, at: datetime, cause: str | None = None
) -> tuple[Watch, Transition | None]:
    """Set a state that no look can see: paused, asleep on purpose, unknown because our own line is down."""
    if new is watch.state:
        return watch, None
    move = Transition(service=service, old=watch.state, new=new, at=at, cause=cause)
    fresh = replace(watch, state=new, since=at, cause=cause, failure=None, confirming=None, streak=0)
    return fresh, move
