"""What a message says, and when it is tried again."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from everwake.notify import compose
from everwake.ports import Notice

AT = datetime(2026, 1, 1, 11, 30, tzinfo=UTC)


def notice(title: str = "Chatbot is down", body: str = "since 11:30", *, opened: bool = True) -> Notice:
    return Notice(
        key="inc-1:opened@aa", service="chatbot", incident="inc-1", opened=opened, title=title, body=body, at=AT
    )


def test_a_message_says_what_the_notice_says_and_keeps_its_key() -> None:
    assert compose.message(notice()) == compose.Message(
        key="inc-1:opened@aa", title="Chatbot is down", body="since 11:30", is_bad=True
    )
    assert not compose.message(notice(opened=False)).is_bad


@given(title=st.text(max_size=500), body=st.text(max_size=5_000))
def test_whatever_a_service_answered_a_message_is_bounded_and_printable(title: str, body: str) -> None:
    said = compose.message(notice(title, body))
    assert len(said.title) <= compose.TITLE_CHARS
    assert len(said.body) <= compose.BODY_CHARS
    assert said.title.isprintable()
    assert all(char == "\n" or char.isprintable() for char in said.body)


@given(failures=st.integers(1, 10_000), dice=st.floats(0, 1))
def test_the_wait_grows_to_a_quarter_of_an_hour_and_no_further(failures: int, dice: float) -> None:
    wait = compose.wait_s(failures, dice)
    assert 3.75 <= wait <= compose.LONGEST_WAIT_S
    assert compose.wait_s(failures + 1, dice) >= wait
    assert compose.wait_s(failures, 1.0) <= 5.0 * 2.0 ** min(failures - 1, 20)
