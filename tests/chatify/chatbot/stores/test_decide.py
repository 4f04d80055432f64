"""The pure decision: what must hold whatever the session looks like."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chatify.chatbot.sessions import (
    Expired,
    Failed,
    InTheMaking,
    KeyReused,
    LimitReached,
    Missing,
    Replay,
    Reply,
    Session,
)
from chatify.chatbot.stores._decide import Start, Turn, begin, may_go_on
from tests.chatify.chatbot.stores.told import NOW, at

SESSION = Session(
    id="s", user_id="u", personality_id="p", response_limit=5, responses_used=0, created_at=NOW, expires_at=at(100)
)
FAILED = Failed(status=503, code="c", detail="d", retry_after_s=None)
times = st.integers(0, 120).map(at)
sessions = st.none() | st.builds(lambda used: replace(SESSION, responses_used=used), st.integers(0, 5))
turns = st.none() | st.builds(
    Turn,
    message_id=st.sampled_from("ab"),
    digest=st.sampled_from("xy"),
    attempt=st.integers(1, 3),
    leased_until=times,
    outcome=st.sampled_from([None, FAILED, Reply(text="t", provider="offline")]),
    responses_used=st.integers(1, 5),
)
waiting = st.none() | st.integers(1, 3)


def decided(session: Session | None, turn: Turn | None, others: int, now: datetime, waited_for: int | None) -> object:
    return begin(session, turn, others=others, message_id="new", digest="x", now=now, waited_for=waited_for)


@given(sessions, turns, st.integers(0, 8), times, waiting)
def test_a_place_is_only_taken_while_one_is_free_in_a_living_session(
    session: Session | None, turn: Turn | None, others: int, now: datetime, waited_for: int | None
) -> None:
    if isinstance(decided(session, turn, others, now, waited_for), Start):
        assert session is not None
        assert now < session.expires_at
        assert session.responses_used + others < session.response_limit


@given(sessions, turns, st.integers(0, 8), times, waiting)
def test_a_finished_turn_is_never_begun_again_and_a_living_lease_never_taken_away(
    session: Session | None, turn: Turn | None, others: int, now: datetime, waited_for: int | None
) -> None:
    answer = decided(session, turn, others, now, waited_for)
    if turn is not None and isinstance(answer, Start):
        assert not isinstance(turn.outcome, Reply)
        assert turn.outcome is not None or turn.leased_until <= now
        assert (answer.message_id, answer.attempt) == (turn.message_id, turn.attempt + 1)


@given(turns, st.integers(0, 8), times, waiting)
def test_the_order_of_the_answers_is_that_of_the_port(
    turn: Turn | None, others: int, now: datetime, waited_for: int | None
) -> None:
    assert decided(None, turn, others, now, waited_for) == Missing()
    expired = replace(SESSION, expires_at=now)
    assert decided(expired, turn, others, now, waited_for) == Expired(session=expired)
    living = replace(SESSION, expires_at=now + timedelta(microseconds=1))
    answer = decided(living, turn, others, now, waited_for)
    if turn is not None and turn.digest != "x":
        assert answer == KeyReused()
    elif turn is not None and isinstance(turn.outcome, Reply):
        assert isinstance(answer, Replay)
    elif turn is not None and turn.outcome is None and turn.leased_until > now:
        assert answer == InTheMaking(attempt=turn.attempt)
    elif turn is not None and turn.outcome == FAILED and waited_for == turn.attempt:
        assert answer == FAILED
    else:
        assert isinstance(answer, LimitReached if others >= 5 else Start)


@given(sessions.filter(bool), turns, st.integers(0, 8), times, st.sampled_from("ab"), st.integers(1, 3))
def test_only_the_newest_ticket_of_an_open_turn_with_a_place_goes_on(
    session: Session, turn: Turn | None, others: int, now: datetime, message_id: str, attempt: int
) -> None:
    answer = may_go_on(session, turn, others=others, message_id=message_id, attempt=attempt, now=now)
    if turn is None or (turn.message_id, turn.attempt) != (message_id, attempt) or turn.outcome == FAILED:
        assert answer == "no"
    elif turn.outcome is not None:
        assert answer == "done"
    else:
        has_place = turn.leased_until > now or session.responses_used + others < session.response_limit
        assert answer == ("yes" if has_place else "no")
