"""The state machine: what one more look means for a service. Pure; time comes in with the look.

    look -> judge -> Verdict -> advance -> Step(watch, move, next look)

A service is `down` only after it failed again when looked at once more at once, after 1 s and after 3 s: within 5 s whatever
its interval, and whatever its timeout: a look that confirms may take until the next one is due. Who failed a moment ago and came
back is looked at four times as fast. What a platform does while it wakes a service is no failure: it gets one patient look, not
four quick ones.
Whatever is decided later is dated from the first look that failed, and that look is kept as the evidence.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import lru_cache

from everwake.model import Doubt, Failure, FailureKind, Observation, Phase, State, Transition
from everwake.ports import Standing

__all__ = [
    "Look", "Policy", "Step", "Verdict", "Watch", "advance", "doubts", "doubts_changed", "judge", "jumped", "patience_s",
    "pause_s", "resume", "tell", "was_stopped",
]  # fmt: skip

RESUME_S = 60.0
# What another check sees once may be a hiccup: it is looked at again after so long, however rarely it looks while all is well.
BESIDE_AGAIN_S = 20.0
# What says no itself says so for a reason.
SAYS_NO_AGAIN_S = 1.0
# Who was just found back is watched closely for a while: most of what falls again does so at once.
SHAKEN_S, SHAKEN_SHARE, SHAKEN_EVERY_S = 60.0, 0.25, 3.0
# When the last of the looks that confirm is to be over: 5 s, less what four starts on a grid of 100 ms may be late.
DECIDED_S = 4.7
LEAST_PATIENCE_S = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient to be with one service.

    every_s: between looks while all is well.   primary: the check that decides up or down; others only degrade.
    timeout_s: how long an ordinary look may take.
    sleeps: its plan lets the platform put it to sleep.   confirm_s: pauses before the looks that confirm a failure.
    wake_patience_s: how long waking may take, and the one look that wakes (Render holds it for 19-90 s, seen 2026-07).
    A service that is not up by then counts as down.   degrade_after: failures in a row of another
    check before the service is degraded.
    """

    every_s: float = 180.0
    primary: str = "http"
    timeout_s: float = 30.0
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
    """When to look next, and for how long that look may take when it is one that wakes or confirms (None: as configured)."""

    after_s: float
    patience_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How one service stands.

    confirming: confirming looks made since the first failure, None when there is nothing to confirm.
    first: the first look of the primary check that was not good, while that is being confirmed or the service wakes.
    streak: looks in a row that were good (> 0) or not (< 0).   failing: other checks that fail.
    slow: the last good look was slower than wanted.   good_at: when it began.   usual_s: what
    the last good look took, but for the one that found it back.   shaken_at: when a look last found it back.
    """

    state: State = State.UNKNOWN
    since: datetime | None = None
    cause: str | None = None
    failure: Failure | None = None
    streak: int = 0
    confirming: int | None = None
    first: Observation | None = None
    failing: tuple[Doubt, ...] = ()
    slow: bool = False
    good_at: datetime | None = None
    usual_s: float | None = None
    shaken_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from one look. next: None when the look was not the primary check's.

    evidence: the look from which `move` is dated.   asks: the primary check is to look now, for another one fails.
    """

    watch: Watch
    move: Transition | None
    next: Look | None
    evidence: Observation | None = None
    asks: bool = False


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
            return _ours(watch, policy)


def pause_s(state: State, policy: Policy) -> float:
    """How long until the next look: who is not up is looked at more often."""
    return policy.every_s if state in (State.UP, State.DEGRADED) else min(policy.every_s, policy.not_up_every_s)


def _moved(
    watch: Watch, new: State, at: datetime, evidence: Observation, failure: Failure | None, cause: str | None = None
) -> tuple[Watch, Transition]:
    """To another state. at: when that began, brought into the order of what was before."""
    at = _after(watch.since, at, evidence.at)
    move = Transition(service=evidence.service, old=watch.state, new=new, at=at, cause=cause, failure=evidence.failure)
    return replace(watch, state=new, since=at, cause=cause, failure=failure), move


def _after(since: datetime | None, at: datetime, seen_at: datetime) -> datetime:
    """`at`, but not before the state that it ends; unless that one began in the future, for then the clock was put back."""
    return at if since is None or at >= since or since > seen_at + timedelta(seconds=RESUME_S) else since


def _good(watch: Watch, seen: Observation, verdict: Verdict, policy: Policy) -> Step:
    decided = [doubt for doubt in watch.failing if doubt.looks >= policy.degrade_after] if watch.failing else []
    # What another check saw after this look began may be the death of the service, which this look is too old to tell.
    ripe = decided if watch.state is State.DEGRADED else [doubt for doubt in decided if doubt.first.at <= seen.at]
    is_slow = verdict is Verdict.SLOW
    new = State.DEGRADED if is_slow or ripe else State.UP
    is_same = new is watch.state
    failure = ripe[0].first.failure if ripe and seen.failure is None else seen.failure
    move, evidence, since = None, None, watch.since
    if not is_same:
        evidence = seen
        if ripe and not is_slow and watch.state is State.UP:
            evidence = min((doubt.first for doubt in ripe), key=lambda first: first.at)
        # Who was not there is back when it answered, which may be minutes after it was asked.
        late_s = seen.took_s if watch.state in (State.WAKING, State.DOWN) else 0.0
        since = _after(watch.since, evidence.at + timedelta(seconds=late_s), seen.at)
        move = Transition(service=seen.service, old=watch.state, new=new, at=since, failure=evidence.failure)
    # Made outright: this is what nearly every look comes to, and `replace` would cost as much as the rest of the decision.
    after = Watch(
        state=new, since=since, cause=watch.cause if is_same and new is not State.UP else None, failure=failure,
        streak=max(watch.streak, 0) + 1, failing=watch.failing, slow=is_slow, good_at=seen.at,
        usual_s=watch.usual_s if watch.state in (State.WAKING, State.DOWN) else seen.took_s,
        shaken_at=seen.at if watch.confirming is not None or watch.state is State.DOWN else watch.shaken_at,
    )  # fmt: skip
    after_s = 0.0 if len(ripe) < len(decided) else pause_s(new, policy)
    if after.shaken_at is not None and _is_shaken(after, seen.at):
        after_s = min(after_s, SHAKEN_EVERY_S)
    return Step(watch=after, move=move, next=_usual(after_s), evidence=evidence)


@lru_cache(maxsize=1_024)
def _usual(after_s: float) -> Look:
    return Look(after_s=after_s)


def _waking(watch: Watch, seen: Observation, policy: Policy) -> Step:
    """Patience is a time, not a number of looks: an edge that answers 503 at once is as much waking as one that holds."""
    first = watch.first or seen
    watch = replace(watch, streak=min(watch.streak, 0) - 1, confirming=None, first=first)
    if watch.state is State.DOWN:
        return _still_down(watch, seen, policy)
    is_first = watch.state is not State.WAKING
    waited_s = 0.0 if is_first or watch.since is None else (seen.at - watch.since).total_seconds() + seen.took_s
    if waited_s >= policy.wake_patience_s:
        given_up_at = seen.at + timedelta(seconds=seen.took_s)
        cause = "wake_throttled" if seen.status == 429 else "wake_failed"
        return _down(watch, given_up_at, first, seen, policy, cause)
    move = None
    if is_first:
        watch, move = _moved(watch, State.WAKING, first.at, first, seen.failure, "waking")
        watch = replace(watch, failing=())
    else:
        watch = replace(watch, failure=seen.failure)
    # The first patient look goes out at once; after one that failed, or when the edge throttles, it is left alone a while.
    after_s = 0.0 if is_first and seen.status != 429 else _again_s(seen, State.WAKING, policy)
    return Step(watch=watch, move=move, next=Look(after_s=after_s, patience_s=policy.wake_patience_s), evidence=first)


def _again_s(seen: Observation, state: State, policy: Policy) -> float:
    """The usual pause, or what the edge asked for with `Retry-After` (seconds; RFC 9110 10.2.3), within the patience."""
    asked = seen.headers.get("retry-after", "")
    asked_s = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0.0
    return max(pause_s(state, policy), min(asked_s, policy.wake_patience_s))


def _bad(watch: Watch, seen: Observation, policy: Policy) -> Step:
    first = watch.first or seen
    watch = replace(watch, streak=min(watch.streak, 0) - 1, first=first)
    if watch.state is State.DOWN:
        return _still_down(watch, seen, policy)
    made = 0 if watch.confirming is None else watch.confirming + 1
    if made < len(policy.confirm_s):
        watch = replace(watch, confirming=made)
        gone_s = (seen.at - first.at).total_seconds() + seen.took_s - first.took_s
        share = SHAKEN_SHARE if _is_shaken(watch, first.at) else 1.0
        due_s = sum(policy.confirm_s[: made + 1]) * share
        after_s = min(max(due_s - gone_s, 0.0), policy.confirm_s[made] * share)
        return Step(watch=watch, move=None, next=Look(after_s=after_s, patience_s=patience_s(watch, policy, gone_s)))
    # Waking was not up either: it ends when it is found to have failed.
    return _down(watch, seen.at if watch.state is State.WAKING else first.at, first, seen, policy)


def _is_shaken(watch: Watch, at: datetime) -> bool:
    """Whether it has failed a moment ago: then it is no hiccup."""
    return watch.shaken_at is not None and timedelta(0) <= at - watch.shaken_at <= timedelta(seconds=SHAKEN_S)


def _down(
    watch: Watch, at: datetime, first: Observation, seen: Observation, policy: Policy, cause: str | None = None
) -> Step:
    watch, move = _moved(watch, State.DOWN, at, first, seen.failure, cause)
    # The line that broke is part of it. Other checks that failed before are still believed once it is back.
    kept = tuple(doubt for doubt in watch.failing if doubt.check != "heartbeat" and doubt.looks >= policy.degrade_after)
    watch = replace(watch, confirming=None, first=None, failing=kept)
    return Step(watch=watch, move=move, next=Look(after_s=_again_s(seen, State.DOWN, policy)), evidence=first)


def _still_down(watch: Watch, seen: Observation, policy: Policy) -> Step:
    watch = replace(watch, confirming=None, first=None, failure=seen.failure)
    return Step(watch=watch, move=None, next=Look(after_s=_again_s(seen, State.DOWN, policy)))


def _ours(watch: Watch, policy: Policy) -> Step:
    """Our own fault says nothing about the service: it stays as it was, and is looked at again."""
    after_s = pause_s(watch.state, policy) if watch.confirming is None else max(1.0, policy.confirm_s[watch.confirming])
    return Step(watch=watch, move=None, next=Look(after_s=after_s, patience_s=patience_s(watch, policy)))


def patience_s(watch: Watch, policy: Policy, gone_s: float = 0.0) -> float | None:
    """How long the next look may take where that is not its timeout. gone_s: since the first look that failed ended.

    One that confirms has until the next one is due, for four timeouts in a row would take minutes to tell that a service hangs;
    but twice what it usually takes, so that one which is slow and well is not called down.
    """
    if watch.state is State.WAKING:
        return policy.wake_patience_s
    if watch.confirming is None:
        return None
    due_s = [sum(policy.confirm_s[: n + 1]) for n in range(watch.confirming, len(policy.confirm_s))]
    until_s = due_s[1] if len(due_s) > 1 else DECIDED_S
    left_s = until_s - min(max(due_s[0], gone_s), until_s)
    return min(max(left_s, 2.0 * (watch.usual_s or 0.0), LEAST_PATIENCE_S), policy.timeout_s)


def _beside(watch: Watch, seen: Observation, verdict: Verdict, policy: Policy) -> Step:
    """Another check than the primary one: it can degrade a service that is up, and nothing else.

    It degrades only who answers well after it began to fail: a line that breaks is more often the death of the service.
    """
    doubt = next((doubt for doubt in watch.failing if doubt.check == seen.check), None)
    others = tuple(other for other in watch.failing if other is not doubt)
    if verdict in (Verdict.GOOD, Verdict.SLOW):
        return _healed(replace(watch, failing=others), doubt, seen, policy) if doubt else _nothing(watch)
    if verdict is Verdict.OURS or watch.state not in (State.UP, State.DEGRADED):
        return _nothing(watch)
    doubt = Doubt(check=seen.check, looks=1, first=seen) if doubt is None else replace(doubt, looks=doubt.looks + 1)
    watch = replace(watch, failing=tuple(sorted((*others, doubt), key=lambda one: one.check)))
    if doubt.looks < policy.degrade_after:
        # It may be the service that has died: then its primary check knows at once.
        is_older = seen.check != "heartbeat" and (watch.good_at is None or watch.good_at < seen.at)
        says_no = seen.failure is not None and seen.failure.kind is FailureKind.ANSWER
        again = Look(after_s=min(SAYS_NO_AGAIN_S if says_no else BESIDE_AGAIN_S, policy.every_s))
        return Step(watch=watch, move=None, next=again, asks=is_older and watch.confirming is None)
    if watch.state is State.DEGRADED or watch.confirming is not None:
        return _nothing(watch)
    if watch.good_at is None or watch.good_at < doubt.first.at:
        return Step(watch=watch, move=None, next=None, asks=True)
    watch, move = _moved(watch, State.DEGRADED, doubt.first.at, doubt.first, seen.failure)
    return Step(watch=watch, move=move, next=None, evidence=doubt.first)


def _healed(watch: Watch, doubt: Doubt, seen: Observation, policy: Policy) -> Step:
    is_degraded = watch.slow or any(other.looks >= policy.degrade_after for other in watch.failing)
    if watch.state is not State.DEGRADED or doubt.looks < policy.degrade_after or is_degraded:
        return _nothing(watch)
    watch, move = _moved(watch, State.UP, seen.at, seen, None)
    return Step(watch=watch, move=move, next=None, evidence=seen)


def _nothing(watch: Watch) -> Step:
    return Step(watch=watch, move=None, next=None)


def tell(
    watch: Watch, service: str, new: State, at: datetime, cause: str | None = None
) -> tuple[Watch, Transition | None]:
    """Set a state that no look can see: paused, asleep on purpose, unknown because our own line is down."""
    if new is watch.state:
        return replace(watch, confirming=None, first=None, failing=()), None
    move = Transition(service=service, old=watch.state, new=new, at=at, cause=cause)
    return Watch(state=new, since=at, cause=cause, usual_s=watch.usual_s), move


def jumped(watch: Watch, jump_s: float) -> Watch:
    """The wall clock was put forward or back (< 0), or the machine was suspended: what was being confirmed begins anew, and how
    long a service has been waking stays what it was."""
    if watch.state is not State.WAKING:
        return replace(watch, confirming=None, first=None, good_at=None)
    by = timedelta(seconds=jump_s)
    first = None if watch.first is None else replace(watch.first, at=watch.first.at + by)
    return replace(watch, since=None if watch.since is None else watch.since + by, first=first, confirming=None)


# --- over a restart of the keeper -----------------------------------------------------------------------------------------


def doubts(watch: Watch) -> tuple[Doubt, ...]:
    """What has to be remembered so that another keeper can go on deciding."""
    if watch.first is None:
        return watch.failing
    return (Doubt(check=watch.first.check, looks=1 + (watch.confirming or 0), first=watch.first), *watch.failing)


def doubts_changed(before: Watch, after: Watch) -> bool:
    """Whether something else has to be remembered than before; one failure more of the same run is nothing else, unless
    it is one of the few that confirm: a keeper that is killed often would never come to the last of them."""
    if before.confirming != after.confirming:
        return True
    if before.first is after.first and before.failing is after.failing:
        return False
    return [doubt.first for doubt in doubts(before)] != [doubt.first for doubt in doubts(after)]


def resume(standing: Standing, now: datetime, policy: Policy, checks: Collection[str]) -> Watch:
    """How a service stood when the last keeper ended. checks: those that it has now.

    What was being confirmed is confirmed further, unless nobody looked for too long to call it the same failure. Who was down and
    has no open incident was taken out of the fleet meanwhile: nothing is known of it.
    """
    if standing.state in (State.DOWN, State.DEGRADED) and (standing.incident is None or standing.incident.closed_at):
        return Watch(since=now)
    last = standing.last or next((doubt.first for doubt in standing.doubts), None)
    away_s = abs((now - last.at).total_seconds() - last.took_s) if last else 0.0
    is_fresh = away_s <= RESUME_S + min(policy.every_s, 180.0)
    mine = next((doubt for doubt in standing.doubts if doubt.check == policy.primary), None)
    first = mine.first if mine else None
    is_confirming = mine is not None and is_fresh and standing.state is not State.WAKING
    confirming = min(mine.looks, len(policy.confirm_s)) - 1 if mine and is_confirming else None
    return Watch(
        state=standing.state,
        # Never in the future, or patience with a service that wakes would last for as long as the clock was put back.
        since=min(standing.since, now),
        cause=standing.cause,
        streak=standing.streak,
        usual_s=last.took_s if last and last.failure is None and standing.state is State.UP else None,
        confirming=confirming,
        first=first if confirming is not None or standing.state is State.WAKING else None,
        failing=tuple(
            doubt
            for doubt in standing.doubts
            if doubt.check != policy.primary
            and doubt.check in checks
            and (is_fresh or doubt.looks >= policy.degrade_after)
        ),
    )


def was_stopped(standings: Sequence[Standing]) -> bool:
    """Whether somebody had stopped monitoring: everybody is paused. Where a keeper died while it paused or unpaused them, what it
    did last is what was wanted."""
    newest = max(standings, key=lambda standing: standing.since, default=None)
    return newest is not None and newest.state is State.PAUSED
