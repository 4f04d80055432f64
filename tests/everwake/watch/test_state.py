"""What one more look means."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.model import Failure, FailureKind, Observation, Phase, State
from everwake.ports import Standing
from everwake.watch.state import Policy, Verdict, Watch, advance, doubts, doubts_changed, judge, resume, tell

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(every_s=180.0)
FREE = Policy(every_s=180.0, sleeps=True)

GOOD = Observation(service="chatbot", check="http", at=START, took_s=0.3, status=200)
REFUSED = replace(GOOD, status=None, failure=Failure(kind=FailureKind.REFUSED, phase=Phase.CONNECT))
HELD = replace(GOOD, status=None, failure=Failure(kind=FailureKind.TIMEOUT, phase=Phase.FIRST_BYTE))
PENDING = replace(
    GOOD,
    status=503,
    headers={"x-render-routing": "hibernate-pending-wake", "retry-after": "5"},
    failure=Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT),
)
THROTTLED = replace(PENDING, status=429, headers={})
SLOW = replace(GOOD, failure=Failure(kind=FailureKind.SLOW, phase=Phase.EXPECT))
OURS = replace(GOOD, status=None, failure=Failure(kind=FailureKind.INTERNAL, phase=Phase.DNS))
SAYS_NO = replace(GOOD, check="chat:0", failure=Failure(kind=FailureKind.ANSWER, phase=Phase.SESSION))
REFUSED_BESIDE = replace(REFUSED, check="chat:0")
NO_BEAT = replace(GOOD, check="heartbeat", failure=Failure(kind=FailureKind.LINE_CLOSED, phase=Phase.BEAT))
LOOKS = [GOOD, REFUSED, HELD, PENDING, THROTTLED, SLOW, OURS, NO_BEAT, replace(NO_BEAT, failure=None)]


def run(
    watch: Watch, *seen: Observation, policy: Policy = POLICY
) -> tuple[Watch, list[tuple[State, State]], list[float]]:
    moves, pauses = [], []
    for look in seen:
        step = advance(watch, look, policy)
        watch = step.watch
        if step.move:
            moves.append((step.move.old, step.move.new))
        if step.next:
            pauses.append(step.next.after_s)
    return watch, moves, pauses


def test_the_first_good_look_is_up_and_the_next_one_is_an_interval_away() -> None:
    watch, moves, pauses = run(Watch(), GOOD)
    assert (watch.state, moves, pauses) == (State.UP, [(State.UNKNOWN, State.UP)], [180.0])


def test_down_is_confirmed_by_looks_at_once_after_one_and_after_three_seconds() -> None:
    up, _, _ = run(Watch(), GOOD)
    watch, moves, pauses = run(up, REFUSED, REFUSED, REFUSED)
    assert (watch.state, moves, pauses) == (State.UP, [], [0.0, 1.0, 3.0])
    watch, moves, pauses = run(watch, REFUSED)
    assert (watch.state, moves, pauses) == (State.DOWN, [(State.UP, State.DOWN)], [30.0])


def decided_s(watch: Watch, policy: Policy, answers_after_s: float) -> tuple[Watch, float]:
    """Look, as the keeper would, at what answers no sooner than that; how it stands then, how long after the first failure."""
    began_s, ended_s, patience_s = 0.0, None, policy.timeout_s
    for _ in range(1 + len(policy.confirm_s)):
        took_s = min(answers_after_s, patience_s)
        seen = replace(at(GOOD, began_s), took_s=took_s)
        if answers_after_s > patience_s:
            seen = replace(seen, status=None, failure=Failure(kind=FailureKind.TIMEOUT, phase=Phase.CONNECT))
        step = advance(watch, seen, policy)
        watch, ended_s = step.watch, began_s + took_s if ended_s is None else ended_s
        if step.next is None or step.next.patience_s is None or step.move is not None:
            break
        # On the keeper's grid each look begins up to 0.1 s late.
        began_s, patience_s = began_s + took_s + step.next.after_s + 0.1, step.next.patience_s
    return watch, began_s + took_s - ended_s


@given(st.floats(1.0, 300.0), st.floats(0.0, 0.35), st.booleans())
def test_what_hangs_is_down_within_five_seconds_of_its_first_failed_look_whatever_its_timeout(
    timeout_s: float, usual_s: float, is_known: bool
) -> None:
    policy = replace(POLICY, timeout_s=timeout_s)
    before = run(Watch(), replace(GOOD, took_s=usual_s))[0] if is_known else Watch()
    watch, after_s = decided_s(before, policy, answers_after_s=1_000.0)
    assert watch.state is State.DOWN
    assert after_s <= 5.0


@given(st.floats(0.0, 30.0), st.floats(1.0, 1.9))
def test_who_is_slow_and_well_is_not_called_down_for_one_lost_look(usual_s: float, times: float) -> None:
    up, _, _ = run(Watch(), replace(GOOD, took_s=usual_s))
    lost = advance(up, REFUSED, POLICY)
    assert lost.next is not None
    assert lost.next.patience_s is not None
    assert min(usual_s * times, POLICY.timeout_s) <= lost.next.patience_s <= POLICY.timeout_s


def test_a_wake_that_took_long_is_not_what_a_service_usually_takes() -> None:
    woken, _, _ = run(Watch(), GOOD, PENDING, replace(GOOD, took_s=60.0))
    step = advance(woken, REFUSED, POLICY)
    assert step.next is not None
    assert step.next.patience_s == 1.0


def test_how_far_confirming_was_outlives_each_of_many_keepers() -> None:
    watch, _, _ = run(Watch(), GOOD)
    for n in range(4):
        before, step = watch, advance(watch, at(REFUSED, n), POLICY)
        assert step.move is None or n == 3, "not before the fourth"
        assert step.move is not None or doubts_changed(before, step.watch), "it is written down"
        standing = Standing(
            service="chatbot", state=State.UP, since=START, last=at(REFUSED, n), doubts=doubts(step.watch)
        )
        watch = resume(standing, START + timedelta(seconds=n + 20), POLICY, ())
    assert step.watch.state is State.DOWN


def test_one_lost_look_is_forgotten_when_the_next_one_is_good() -> None:
    watch, moves, _ = run(Watch(), GOOD, REFUSED, GOOD, REFUSED, REFUSED, REFUSED, GOOD)
    assert watch.state is State.UP
    assert moves == [(State.UNKNOWN, State.UP)]


def test_while_down_it_is_looked_at_every_half_minute_or_faster() -> None:
    policy = replace(POLICY, every_s=10.0)
    _, _, pauses = run(Watch(), *[REFUSED] * 6, policy=policy)
    assert pauses[-2:] == [10.0, 10.0]


@pytest.mark.parametrize("seen", [PENDING, THROTTLED])
def test_what_the_edge_says_while_waking_is_one_patient_look_not_quick_ones(seen: Observation) -> None:
    up, _, _ = run(Watch(), GOOD)
    step = advance(up, seen, POLICY)
    assert step.watch.state is State.WAKING
    assert step.next is not None
    assert step.next.patience_s == 180.0


def test_throttled_wakes_are_not_repeated_at_once() -> None:
    _, _, pauses = run(Watch(), GOOD, THROTTLED)
    assert pauses[-1] == 30.0


def test_a_held_request_means_waking_only_where_the_plan_sleeps() -> None:
    assert judge(HELD, FREE) is Verdict.WAKING
    assert judge(HELD, POLICY) is Verdict.BAD


def at(seen: Observation, seconds: float) -> Observation:
    return replace(seen, at=START + timedelta(seconds=seconds))


def test_a_wake_that_keeps_failing_is_down_when_the_patience_is_over_and_not_before() -> None:
    watch, moves, _ = run(Watch(), GOOD, PENDING, *[at(PENDING, n) for n in range(1, 179)], policy=FREE)
    assert (watch.state, len(moves)) == (State.WAKING, 2)
    watch, moves, _ = run(watch, at(PENDING, 180), policy=FREE)
    assert moves == [(State.WAKING, State.DOWN)]
    assert watch.cause == "wake_failed"


def test_a_look_that_was_held_for_the_whole_patience_ends_it() -> None:
    watch, _, _ = run(Watch(), GOOD, PENDING, replace(at(HELD, 1), took_s=180.0), policy=FREE)
    assert watch.state is State.DOWN


def test_what_the_edge_asks_for_with_retry_after_is_kept() -> None:
    asked = replace(THROTTLED, headers={"retry-after": "120"})
    _, _, pauses = run(Watch(), GOOD, asked, at(asked, 30))
    assert pauses[1:] == [120.0, 120.0]
    _, _, pauses = run(Watch(), GOOD, replace(THROTTLED, headers={"retry-after": "99999999999"}))
    assert pauses[1:] == [30.0]


def test_waking_that_ends_well_is_up_again() -> None:
    watch, moves, _ = run(Watch(), GOOD, PENDING, GOOD, policy=FREE)
    assert moves[1:] == [(State.UP, State.WAKING), (State.WAKING, State.UP)]
    assert watch.cause is None


def test_a_fault_of_ours_never_changes_a_state() -> None:
    up, _, _ = run(Watch(), GOOD)
    watch, moves, _ = run(up, *[OURS] * 10)
    assert (watch.state, moves) == (State.UP, [])


def test_slow_is_degraded_and_never_down() -> None:
    watch, moves, _ = run(Watch(), GOOD, *[SLOW] * 10)
    assert watch.state is State.DEGRADED
    assert moves == [(State.UNKNOWN, State.UP), (State.UP, State.DEGRADED)]


def test_a_lost_heartbeat_beside_good_looks_degrades_and_its_return_heals() -> None:
    watch, moves, _ = run(Watch(), GOOD, NO_BEAT, NO_BEAT, replace(NO_BEAT, failure=None))
    assert moves == [(State.UNKNOWN, State.UP), (State.UP, State.DEGRADED), (State.DEGRADED, State.UP)]
    assert watch.state is State.UP


def test_paused_is_told_not_seen_and_forgets_what_was_being_confirmed() -> None:
    confirming, _, _ = run(Watch(), GOOD, REFUSED)
    watch, move = tell(confirming, "chatbot", State.PAUSED, START)
    assert move is not None
    assert (move.old, move.new, watch.confirming) == (State.UP, State.PAUSED, None)


@given(st.lists(st.sampled_from(LOOKS), max_size=60), st.booleans())
def test_states_follow_only_from_what_was_seen(looks: list[Observation], is_free: bool) -> None:
    policy, watch, bad = (FREE if is_free else POLICY), Watch(), 0
    for n, look in enumerate(looks):
        look = replace(look, at=START + timedelta(seconds=n))
        step = advance(watch, look, policy)
        verdict = judge(look, policy)
        if look.check == "http":
            bad = bad + 1 if verdict in (Verdict.BAD, Verdict.WAKING) else 0 if verdict is not Verdict.OURS else bad
        if step.move is not None:
            assert step.move.old is watch.state
            assert step.move.new is step.watch.state
            assert step.move.old is not step.move.new
            if step.move.new is State.UP:
                assert look.failure is None
            if step.move.new is State.DOWN:
                # Never on less than four failed looks; here nobody waits long enough for a wake to count as failed.
                assert bad >= 1 + len(policy.confirm_s)
        else:
            assert step.watch.state is watch.state
        if look.check == policy.primary:
            assert step.next is not None
            assert 0 <= step.next.after_s <= max(policy.every_s, policy.wake_patience_s)
        watch = step.watch


@pytest.mark.parametrize(("seen", "again_s"), [(REFUSED_BESIDE, 20.0), (SAYS_NO, 1.0)])
def test_another_check_that_fails_is_looked_at_again_soon_and_asks_the_primary_one(
    seen: Observation, again_s: float
) -> None:
    up, _, _ = run(Watch(), GOOD)
    first = advance(up, at(seen, 60.0), POLICY)
    assert first.next is not None
    assert (first.next.after_s, first.asks, first.move) == (again_s, True, None)
    again = advance(advance(first.watch, at(GOOD, 61.0), POLICY).watch, at(seen, 80.0), POLICY)
    assert again.move is not None
    assert (again.move.new, again.next) == (State.DEGRADED, None), "from then on in its own interval"


def test_who_failed_a_moment_ago_is_watched_closely_and_confirmed_four_times_as_fast() -> None:
    watch, _, pauses = run(Watch(), GOOD, at(REFUSED, 10.0), at(GOOD, 11.0))
    assert pauses == [180.0, 0.0, 3.0]
    late, _, _ = run(watch, at(GOOD, 80.0))
    assert advance(late, at(GOOD, 80.0), POLICY).next == advance(Watch(), GOOD, POLICY).next, "and not for ever"
    again, moves, pauses = run(watch, *(at(REFUSED, 14.0 + after_s) for after_s in (0.0, 0.0, 0.25, 1.0)))
    assert (again.state, moves) == (State.DOWN, [(State.UP, State.DOWN)])
    assert pauses[:3] == [0.0, 0.25, 0.75]
    assert run(watch, at(REFUSED, 100.0), at(REFUSED, 100.0))[2] == [0.0, 1.0]
