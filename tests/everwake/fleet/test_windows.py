"""When a service is meant to be awake: days that are longer and shorter included."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.fleet.windows import hours_awake, is_awake, next_change, spans

MOMENTS = st.integers(0, 4 * 366 * 24 * 60).map(
    lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
CLOCK = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))
ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"))
WINDOWS = st.builds(lambda begin, end, zone: f"{begin}-{'24:00' if begin == end else end} {zone}", CLOCK, CLOCK, ZONES)


def test_a_window_is_local_time_so_summer_begins_an_hour_earlier() -> None:
    day = datetime(2026, 3, 28, tzinfo=UTC)
    winter, summer = spans("08:00-24:00 Europe/Berlin", day, day + timedelta(days=2))
    assert (winter[0].hour, summer[0].hour) == (7, 6)


@pytest.mark.parametrize(("night", "hours"), [("2026-03-28", 7.0), ("2026-10-24", 9.0), ("2026-07-01", 8.0)])
def test_a_night_on_which_the_clocks_change_has_an_hour_more_or_less(night: str, hours: float) -> None:
    noon = datetime.fromisoformat(f"{night}T12:00:00+00:00")
    assert hours_awake("22:00-06:00 Europe/Berlin", noon, noon + timedelta(days=1)) == hours


@given(MOMENTS, st.integers(1, 2_000))
def test_always_is_always_and_on_demand_never(at: datetime, hours: int) -> None:
    until = at + timedelta(hours=hours)
    assert hours_awake("always", at, until) == pytest.approx(hours)
    assert hours_awake("on-demand", at, until) == 0
    assert next_change("always", at) is None is next_change("on-demand", at)


@given(WINDOWS, MOMENTS, st.integers(0, 40_000))
def test_spans_lie_within_in_order_and_apart(window: str, since: datetime, minutes: int) -> None:
    until = since + timedelta(minutes=minutes)
    found = list(spans(window, since, until))
    assert all(since <= begin < end <= until for begin, end in found)
    assert all(one[1] < two[0] for one, two in pairwise(found))


@given(WINDOWS, MOMENTS, st.integers(0, 10_000), st.integers(0, 10_000))
def test_what_is_awake_before_and_after_a_moment_is_all_there_is(window: str, since: datetime, a: int, b: int) -> None:
    middle, until = since + timedelta(minutes=a), since + timedelta(minutes=a + b)
    parts = hours_awake(window, since, middle) + hours_awake(window, middle, until)
    assert hours_awake(window, since, until) == pytest.approx(parts)


@given(WINDOWS, MOMENTS)
def test_it_changes_when_it_says_it_does_and_not_before(window: str, at: datetime) -> None:
    change = next_change(window, at)
    if change is None:
        assert hours_awake(window, at, at + timedelta(days=8)) in (0, pytest.approx(8 * 24))
        return
    second = timedelta(seconds=1)
    assert is_awake(window, at) is is_awake(window, change - second) is not is_awake(window, change)
