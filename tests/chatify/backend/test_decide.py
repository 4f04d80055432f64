"""What is decided about a message after a call to the chatbot."""

import json

from hypothesis import given
from hypothesis import strategies as st

from chatify.backend.answers import Answered, NotThere, Refused
from chatify.backend.decide import (
    GIVE_UP_AFTER_S,
    LONGEST_DELAY_S,
    Fail,
    NewSession,
    Store,
    TryAt,
    Wake,
    backoff_s,
    decide,
    history,
)

dice = st.floats(0, 1)
tries = st.integers(0, 10_000)
ages = st.floats(0, 2 * GIVE_UP_AFTER_S)
now = st.floats(1.7e9, 2e9)
waits = st.none() | st.floats(0, 3600)
answered = st.builds(
    Answered, response=st.text(), responses_used=st.integers(0), responses_left=st.integers(0), provider=st.text()
)
codes = st.sampled_from(
    [
        "session_not_found",
        "session_expired",
        "response_limit_reached",
        "provider_unavailable",
        "rate_limited",
        "provider_rejected_key",
        "unauthorized",
        "not_found",
        "message_too_long",
        "internal_error",
    ]
)
refused = st.builds(
    Refused,
    status=st.sampled_from([400, 401, 403, 404, 405, 408, 409, 410, 413, 422, 425, 429, 500, 502, 503, 504]),
    code=codes,
    problem=st.just({"code": "x"}),
    retry_after_s=waits,
)
not_there = st.builds(
    NotThere, why=st.sampled_from(["refused", "timeout", "broken", "edge"]), status=st.none(), retry_after_s=waits
)


@given(outcome=answered, tries=tries, age_s=ages, now=now, dice=dice)
def test_a_reply_is_always_kept_however_late_it_came(outcome, tries, age_s, now, dice):
    assert decide(outcome, tries=tries, age_s=age_s, now=now, dice=dice) == Store(outcome)


@given(outcome=refused | not_there, tries=tries, age_s=ages, now=now, dice=dice)
def test_nothing_is_tried_in_the_past_and_nothing_for_ever(outcome, tries, age_s, now, dice):
    decision = decide(outcome, tries=tries, age_s=age_s, now=now, dice=dice)
    if age_s >= GIVE_UP_AFTER_S:
        assert isinstance(decision, Fail)
    match decision:
        case TryAt(at=at, tries=after):
            assert now < at <= now + 3600 * 1.25 + LONGEST_DELAY_S
            assert after == tries + 1
        case Wake(at=at, tries=after):
            assert now <= at <= now + LONGEST_DELAY_S
            assert after == tries + 1
        case NewSession(tries=after):
            assert after == tries + 1


@given(outcome=not_there, tries=tries, age_s=st.floats(0, GIVE_UP_AFTER_S - 1), now=now, dice=dice)
def test_when_nobody_is_there_the_message_waits_for_the_wake_up(outcome, tries, age_s, now, dice):
    decision = decide(outcome, tries=tries, age_s=age_s, now=now, dice=dice)
    assert isinstance(decision, Wake)


@given(no=refused, tries=tries, age_s=st.floats(0, GIVE_UP_AFTER_S - 1), now=now, dice=dice)
def test_the_chatbots_own_no_never_wakes_anybody(no, tries, age_s, now, dice):
    assert not isinstance(decide(no, tries=tries, age_s=age_s, now=now, dice=dice), Wake | Store)


def test_a_message_is_sent_again_at_once_after_the_first_miss_and_later_after_more():
    first = decide(NotThere(why="broken"), tries=0, age_s=1, now=100.0, dice=0.5)
    later = decide(NotThere(why="broken"), tries=9, age_s=1, now=100.0, dice=0.5)
    assert first == Wake(100.0, 1)
    assert isinstance(later, Wake)
    assert later.at > 130


def test_retry_after_of_the_chatbot_is_kept():
    no = Refused(status=503, code="provider_unavailable", problem={}, retry_after_s=30)
    decision = decide(no, tries=0, age_s=1, now=100.0, dice=0.0)
    assert decision == TryAt(130.0, 1)


def test_limit_expiry_and_bad_text_are_final_at_once():
    for status, code in ((409, "response_limit_reached"), (410, "session_expired"), (422, "message_too_long")):
        no = Refused(status=status, code=code, problem={"code": code, "status": status})
        assert decide(no, tries=0, age_s=1, now=1.0, dice=0.5) == Fail({"code": code, "status": status})


def test_a_rejected_key_is_given_time_to_be_mended_but_not_a_day():
    no = Refused(status=502, code="provider_rejected_key", problem={"code": "provider_rejected_key"})
    decisions = [decide(no, tries=n, age_s=1, now=1.0, dice=0.5) for n in range(6)]
    assert [isinstance(d, Fail) for d in decisions] == [False, False, False, False, True, True]


def test_a_chatbot_that_forgets_every_session_is_not_given_new_ones_for_ever():
    no = Refused(status=404, code="session_not_found", problem={"code": "session_not_found"})
    decisions = [decide(no, tries=n, age_s=1, now=1.0, dice=0.5) for n in range(12)]
    assert decisions[0] == NewSession(1)
    assert isinstance(decisions[-1], Fail)


@given(tries=tries, dice=dice)
def test_delays_grow_and_are_bounded(tries, dice):
    assert 0 < backoff_s(tries, dice) <= LONGEST_DELAY_S
    assert backoff_s(tries, dice) <= backoff_s(tries + 1, dice)


turns = st.lists(st.tuples(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300)), max_size=20)


@given(turns=turns, budget_bytes=st.integers(8000, 20_000))
def test_a_restored_history_keeps_every_turn_within_its_budget(turns, budget_bytes):
    items = history(turns, budget_bytes)
    assert [item["role"] for item in items] == ["user", "assistant"] * len(turns)
    assert len(json.dumps(items)) <= budget_bytes
    for item, text in zip(items, (text for turn in turns for text in turn), strict=True):
        assert item["text"]
        assert text.startswith(item["text"].removesuffix("…"))


@given(turns=turns)
def test_a_history_that_fits_is_restored_word_for_word(turns):
    assert [item["text"] for item in history(turns, 1_000_000)] == [text for turn in turns for text in turn]
