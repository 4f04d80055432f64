"""Between the port's values and what a store keeps."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from chatify.chatbot.stores._values import at_us, digest_of, us_of


@given(st.datetimes(datetime(2000, 1, 1), datetime(2240, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_time_comes_back_to_the_microsecond(at: datetime) -> None:
    assert at_us(us_of(at)) == at


@given(st.text(), st.text())
def test_two_texts_have_two_digests(one: str, other: str) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)
