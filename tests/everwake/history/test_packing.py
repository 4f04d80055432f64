"""Integers and JSON that come back as what they were."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from everwake.history import packing
from everwake.model import Failure, FailureKind, Observation, Phase

# Hypothesis wants bounds without a zone.
SINCE_1970, SINCE_2025, UNTIL_2090 = (datetime(year, 1, 1) for year in (1970, 2025, 2090))  # noqa: DTZ001
times = st.datetimes(SINCE_2025, UNTIL_2090, timezones=st.just(UTC))
statuses = st.none() | st.integers(100, 999)


@given(st.integers(0, packing.MOST_STREAMS - 1), times)
def test_a_key_tells_its_stream_and_its_millisecond(stream: int, at: datetime) -> None:
    ms = packing.look_ms(at)
    key = packing.pack_key(stream, ms)
    assert (packing.stream_of(key), packing.time_of_key(key)) == (stream, ms)
    assert packing.pack_looks([("x", ms, 7)], {"x": stream}) == [(key, 7)]
    assert 0 <= key < 1 << 63


@given(st.tuples(times, st.integers(0, 1000)), st.tuples(times, st.integers(0, 1000)))
def test_keys_are_in_the_order_of_hour_then_stream_then_time(
    one: tuple[datetime, int], other: tuple[datetime, int]
) -> None:
    def order(row: tuple[datetime, int]) -> tuple[int, int, int]:
        ms = packing.look_ms(row[0])
        return ms // packing.HOUR_MS, row[1], ms

    def key(row: tuple[datetime, int]) -> int:
        return packing.pack_key(row[1], packing.look_ms(row[0]))

    assert (key(one) < key(other)) == (order(one) < order(other))


@given(st.floats(0, 209), statuses, st.booleans())
def test_a_value_tells_duration_status_and_outcome(took_s: float, status: int | None, failed: bool) -> None:
    value = packing.pack_value(took_s, status, failed=failed)
    tenths, told, was_failed, ours = packing.unpack_value(value)
    assert abs(tenths / 10_000 - took_s) <= 0.00005001
    assert (told, was_failed, ours) == (status, failed, False)
    assert -(1 << 31) <= value < 1 << 31


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.integers())
def test_hostile_numbers_are_bounded_not_fatal(took_s: float, status: int | None) -> None:
    assert -(1 << 31) <= packing.pack_value(took_s, status, failed=True, ours=True) < 1 << 31


def test_a_failure_of_our_own_is_told_from_a_servers() -> None:
    assert packing.unpack_value(packing.pack_value(1.0, None, failed=True, ours=True)) == (10_000, None, True, True)


def test_a_good_look_at_a_usual_speed_takes_two_bytes() -> None:
    assert 0 <= packing.pack_value(3.2, 200, failed=False) < 1 << 15


def test_a_time_before_the_history_began_counts_as_its_beginning() -> None:
    assert packing.look_ms(datetime(1970, 1, 1, tzinfo=UTC)) == 0


@given(
    at=st.datetimes(SINCE_1970, timezones=st.just(UTC)),
    text=st.text(),
    phases=st.dictionaries(st.sampled_from(Phase), st.floats(0, 1e6)),
)
def test_an_observation_survives_json_whatever_a_server_sent(
    at: datetime, text: str, phases: dict[Phase, float]
) -> None:
    seen = Observation(
        service="a", check="http", at=at, took_s=1.5, status=503, phases=phases, headers={"x": text}, excerpt=text,
        failure=Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail=text), certificate_expires_at=at,
    )  # fmt: skip
    assert packing.read_observation(packing.write_observation(seen)) == seen


@given(at=st.datetimes(SINCE_1970, timezones=st.just(UTC)))
def test_a_time_survives_to_the_microsecond(at: datetime) -> None:
    assert packing.to_time(packing.to_us(at)) == at


@given(st.text(st.characters()))
def test_cleaned_text_can_be_stored(text: str) -> None:
    assert packing.clean(text + "\ud800").encode()


def test_days_are_counted_in_utc() -> None:
    assert packing.day_of(datetime(2025, 1, 2, tzinfo=UTC) - timedelta(microseconds=1)) == 0
    assert packing.day_of(datetime(2025, 1, 2, tzinfo=UTC)) == 1
