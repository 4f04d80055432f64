"""What people are told: why, in their words; since when and how long; never more of others' words than fits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.fleet.schema import Service
from everwake.model import (
    Cause,
    Diagnosis,
    Failure,
    FailureKind,
    Incident,
    Level,
    Observation,
    Phase,
    State,
    Transition,
)
from everwake.watch import words

AT = datetime(2026, 1, 1, 11, 30, tzinfo=UTC)
CHATBOT = Service(name="chatbot", url="https://chatbot.example")
LINK = "http://127.0.0.1:8600/#/service/chatbot"


def seen(
    kind: FailureKind, phase: Phase = Phase.EXPECT, *, status: int | None = None, took_s: float = 0.3, detail: str = "",
    check: str = "http",
) -> Observation:  # fmt: skip
    failure = Failure(kind=kind, phase=phase, detail=detail)
    return Observation(service="chatbot", check=check, at=AT, took_s=took_s, status=status, failure=failure)


def incident(first: Observation | None, **given: object) -> Incident:
    return Incident(id="inc-1", service="chatbot", opened_at=AT, first=first, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (seen(FailureKind.STATUS, status=503), "it answered 503"),
        (seen(FailureKind.REFUSED, Phase.CONNECT), "connection refused"),
        (seen(FailureKind.TIMEOUT, Phase.FIRST_BYTE, took_s=30.01), "no answer in 30 s"),
        (seen(FailureKind.TIMEOUT, Phase.CONNECT, took_s=10.0), "no connection in 10 s"),
        (seen(FailureKind.TIMEOUT, Phase.TRANSFER, took_s=15.2, status=200), "its answer did not end in 15 s"),
        (seen(FailureKind.TIMEOUT, Phase.FIRST_BYTE, took_s=0.5), "no answer in 0.5 s"),
        (seen(FailureKind.DNS_NO_SUCH_NAME, Phase.DNS), "no such name"),
        (seen(FailureKind.CERTIFICATE_EXPIRED, Phase.TLS), "its certificate has expired"),
        (seen(FailureKind.JSON, detail='status is "ill"'), 'its JSON is not as expected: status is "ill"'),
        (seen(FailureKind.BEAT_MISSED, Phase.BEAT, check="heartbeat"), "its heartbeat stopped"),
        (seen(FailureKind.REFUSED, Phase.CONNECT, check="redis:0"), "redis check: connection refused"),
    ],
)
def test_a_cause_is_said_as_a_person_would_say_it(look: Observation, said: str) -> None:
    assert words.why(look) == said


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_kind_of_failure_has_words_of_its_own(kind: FailureKind) -> None:
    assert "_" not in words.why(seen(kind))
    assert words.why(seen(kind)) != kind.value


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(seconds=65), "65 s"),
        (timedelta(minutes=12, seconds=20), "12 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(days=2, hours=4), "2 d 4 h"),
        (timedelta(seconds=-5), "0 s"),
    ],
)
def test_a_duration_is_said_as_a_person_would_say_it(span: timedelta, said: str) -> None:
    assert words.duration(span) == said


def test_a_beginning_says_what_since_when_why_and_where_to_look() -> None:
    told = words.notice(CHATBOT, incident(seen(FailureKind.STATUS, status=503)), LINK, opened=True)
    assert told.title == "Chatbot is down"
    assert told.body == (
        "Chatbot (https://chatbot.example) is down since 2026-01-01 11:30:00 UTC.\n"
        "Cause: it answered 503.\n"
        "http://127.0.0.1:8600/#/service/chatbot"
    )


def test_an_end_says_how_long_it_was() -> None:
    over = incident(seen(FailureKind.REFUSED, Phase.CONNECT), closed_at=AT + timedelta(hours=1, minutes=2), flaps=3)
    told = words.notice(CHATBOT, over, LINK, opened=False)
    assert told.title == "Chatbot is up again"
    assert told.body == (
        "Chatbot (https://chatbot.example) is up again after 1 h 2 min: from 2026-01-01 11:30:00 UTC to 2026-01-01 12:32:00 UTC."
        " It fell again 3 times meanwhile.\n"
        "The cause was: connection refused.\n"
        "http://127.0.0.1:8600/#/service/chatbot"
    )


def test_what_was_found_out_comes_before_what_was_seen() -> None:
    found = Diagnosis(state=State.DOWN, causes=(Cause(cause="redis_refused", sure=0.9, next="Start Redis."),))
    one = incident(seen(FailureKind.STATUS, status=500), cause="redis_refused", diagnosis=found)
    body = words.notice(CHATBOT, one, LINK, opened=True).body
    assert "Cause: redis refused (it answered 500).\nNext: Start Redis.\n" in body


def test_a_service_that_is_degraded_is_not_called_down() -> None:
    told = words.notice(CHATBOT, incident(seen(FailureKind.SLOW)), "", opened=True, state=State.DEGRADED)
    assert (told.title, told.body.splitlines()[1:]) == ("Chatbot is degraded", ["Cause: it is slower than wanted."])


def test_a_service_that_did_not_wake_is_told_as_that() -> None:
    one = incident(seen(FailureKind.STATUS, status=503), cause="wake_failed")
    assert (
        "Cause: its platform did not wake it in time (it answered 503)."
        in words.notice(CHATBOT, one, "", opened=True).body
    )


@given(detail=st.text(max_size=400), next_=st.text(max_size=400), kind=st.sampled_from(FailureKind))
def test_the_words_of_others_are_bounded_and_on_one_line(detail: str, next_: str, kind: FailureKind) -> None:
    look = seen(kind, detail=detail)
    assert len(words.why(look)) < 200
    assert len(words.why(look).splitlines()) == 1
    found = Diagnosis(state=State.DOWN, causes=(Cause(cause="x", sure=0.5, next=next_),))
    body = words.notice(CHATBOT, incident(look, diagnosis=found), LINK, opened=True).body
    assert len(body.splitlines()) <= 4
    assert body.splitlines()[-1] == LINK
    assert len(words.of_diagnosis(CHATBOT, found, AT).text.splitlines()) == 1


def test_what_is_said_anyway_is_not_said_twice() -> None:
    def of(old: State, new: State, cause: str | None = None) -> str | None:
        line = words.of_move(CHATBOT, Transition(service="chatbot", old=old, new=new, at=AT, cause=cause), AT)
        return line.text if line else None

    assert of(State.PAUSED, State.UNKNOWN) is None, "Start has been said"
    assert of(State.UP, State.WAKING, "waking") == "Chatbot is waking up"
    assert of(State.WAKING, State.DOWN, "wake_failed") == "Chatbot is down (wake_failed)"
    assert of(State.UP, State.UNKNOWN, "our own line") == "Chatbot is not known (our own line)"


def test_a_move_is_dated_when_it_was_decided_not_when_it_began() -> None:
    later = AT + timedelta(seconds=35)
    line = words.of_move(CHATBOT, Transition(service="chatbot", old=State.UP, new=State.DOWN, at=AT), later)
    assert line is not None
    assert line.at == later


def test_an_answer_that_says_it_wakes_is_no_error() -> None:
    look = seen(FailureKind.STATUS, status=503)
    assert words.of_look(CHATBOT, look, "waking", AT).level is Level.WARNING
    assert words.of_look(CHATBOT, look, None, AT).level is Level.ERROR
