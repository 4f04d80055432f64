"""One place knows whether the chatbot is awake."""

from hypothesis import given
from hypothesis import strategies as st

from chatify.backend.gate import FRESH_S, Gate, Standing, look_again_s


def test_nothing_is_sent_before_somebody_looked():
    gate = Gate(most=10)
    assert not gate.knock(1.0)
    assert gate.is_wanted
    assert gate.answered(2.0)
    assert gate.knock(3.0)
    assert not gate.is_wanted


def test_what_was_seen_long_ago_is_not_believed():
    gate = Gate(most=10)
    gate.answered(0.0)
    assert gate.knock(FRESH_S - 1)
    assert not gate.knock(FRESH_S + 1)
    assert gate.standing is Standing.UNKNOWN
    assert gate.is_wanted


def test_one_miss_shuts_the_gate_for_all():
    gate = Gate(most=10)
    gate.answered(0.0)
    gate.missed(1.0, 2.0)
    assert not gate.is_open(2.0)
    assert gate.is_wanted


def test_a_miss_from_before_the_wake_up_does_not_shut_the_gate_again():
    gate = Gate(most=10)
    gate.answered(0.0)
    gate.missed(1.0, 2.0)
    gate.answered(50.0)
    gate.missed(1.5, 51.0)
    assert gate.is_open(51.0)


def test_waking_is_news_once():
    gate = Gate(most=10)
    gate.knock(0.0)
    assert gate.asleep(2.0)
    assert not gate.asleep(3.0)
    assert gate.since == 2.0
    assert gate.answered(60.0)
    assert not gate.answered(61.0)


def test_a_backlog_is_let_in_slowly_after_a_wake_up():
    gate = Gate(most=200)
    gate.answered(0.0)
    assert gate.room == 8
    for _ in range(300):
        gate.answered(1.0, is_reply=True)
    assert gate.room == 200
    gate.missed(1.0, 2.0)
    gate.answered(40.0)
    assert gate.room == 8


reports = st.sampled_from(["knock", "answered", "reply", "missed", "asleep"])


@given(st.lists(st.tuples(reports, st.floats(0, 50)), max_size=60), st.integers(1, 30))
def test_the_gate_is_open_only_after_a_fresh_answer_and_wanted_only_when_shut(events, most):
    gate, now, answer_at = Gate(most=most), 0.0, None
    for what, later_s in events:
        now += later_s
        match what:
            case "knock":
                assert gate.knock(now) == gate.is_open(now)
            case "answered" | "reply":
                gate.answered(now, is_reply=what == "reply")
                answer_at = now
            case "missed":
                gate.missed(now, now)
                answer_at = None
                assert gate.is_wanted
            case "asleep":
                gate.asleep(now)
                answer_at = None
        assert gate.is_open(now) == (answer_at is not None and now - answer_at < FRESH_S)
        assert 1 <= gate.room <= max(most, 8)
        assert not (gate.is_wanted and gate.is_open(now))


@given(st.integers(1, 10_000), st.none() | st.floats(0, 3600), st.floats(0, 1))
def test_looks_are_spread_bounded_and_keep_what_the_edge_asked_for(misses, asked_s, dice):
    wait_s = look_again_s(misses, asked_s, dice)
    assert wait_s >= (asked_s or 0)
    assert 0.1 <= wait_s <= max(30.0, 1.25 * (asked_s or 0))


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_port_that_refuses_is_asked_again_within_three_seconds(misses, dice):
    assert 0.1 <= look_again_s(misses, None, dice, is_refused=True) <= 3
    assert look_again_s(1, None, dice, is_refused=True) == look_again_s(1, None, dice)
    assert look_again_s(20, None, dice) >= 15
