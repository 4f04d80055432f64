"""Hours used, the day they run out, and the ways to make them last."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.budget.forecast import Ended, forecast, planned_h
from everwake.budget.ledger import Source, Usage, month_of, of_counts, of_states
from everwake.model import State

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
THREE = dict.fromkeys(("chatbot", "backend", "redis"), "always")


def used(hours: float, spread_h: float = 0.0) -> list[Usage]:
    low, high = hours - spread_h, hours + spread_h
    return [Usage(service="all", used_h=hours, low_h=low, high_h=high, source=Source.SEEN)]


def test_a_month_is_the_calendars_in_utc() -> None:
    assert month_of(datetime(2026, 12, 31, 23, tzinfo=UTC)) == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )


def test_the_platforms_count_holds_until_its_next_sample() -> None:
    samples = [(BEGIN, 1.0), (BEGIN + timedelta(hours=3), 0.0), (BEGIN + timedelta(hours=5), 2.0)]
    usage = of_counts("chatbot", samples, BEGIN, BEGIN + timedelta(hours=6))
    assert (usage.used_h, usage.low_h, usage.high_h, usage.source) == (5.0, 5.0, 5.0, Source.PLATFORM)


def test_hours_before_the_first_sample_are_possible_not_certain() -> None:
    usage = of_counts("chatbot", [(BEGIN + timedelta(hours=10), 1.0)], BEGIN, BEGIN + timedelta(hours=12))
    assert (usage.used_h, usage.low_h, usage.high_h) == (2.0, 2.0, 12.0)


def test_asleep_costs_nothing_and_down_may_cost() -> None:
    moves = [(BEGIN + timedelta(hours=h), s) for h, s in ((0, State.UP), (4, State.ASLEEP), (6, State.DOWN))]
    usage = of_states("chatbot", moves, BEGIN, BEGIN + timedelta(hours=7))
    assert (usage.low_h, usage.high_h) == (4.0, 5.0)


@given(st.lists(st.tuples(st.integers(0, 800), st.sampled_from(State)), max_size=12))
def test_what_was_seen_never_exceeds_the_time_there_was(moves: list[tuple[int, State]]) -> None:
    entered = [(BEGIN + timedelta(hours=h), s) for h, s in sorted(moves, key=lambda move: move[0])]
    usage = of_states("chatbot", entered, BEGIN, BEGIN + timedelta(hours=700))
    assert 0 <= usage.low_h <= usage.used_h <= usage.high_h <= 700


def test_three_services_round_the_clock_end_on_the_eleventh() -> None:
    fore = forecast(used(0), THREE, BEGIN)
    assert fore.ends_at is not None
    assert fore.ends_at.date().isoformat() == "2026-01-11"
    assert fore.spare_h == pytest.approx(750 - 3 * 744)


def test_one_service_round_the_clock_lasts() -> None:
    fore = forecast(used(0), {"chatbot": "always"}, BEGIN)
    assert fore.lasts
    assert fore.spare_h == pytest.approx(6)


@given(st.floats(0, 700), st.floats(0, 50), st.integers(0, 29))
def test_the_range_holds_the_forecast(hours: float, spread_h: float, day: int) -> None:
    fore = forecast(used(hours, spread_h), THREE, BEGIN + timedelta(days=day))
    end = month_of(BEGIN)[1]
    assert (fore.earliest or end) <= (fore.ends_at or end) <= (fore.latest or end)


# --- the tail of a window ---------------------------------------------------------------------------------------------


def test_a_window_costs_the_quarter_of_an_hour_after_it_each_day() -> None:
    november = datetime(2026, 11, 1, tzinfo=UTC)
    fore = forecast(used(0), dict.fromkeys(THREE, "08:00-16:00 UTC"), november)
    assert sum(fore.planned_h.values()) == pytest.approx(3 * 30 * 8.25)


@pytest.mark.parametrize(
    ("plan", "since_h", "until_h", "hours"),
    [
        ("08:00-16:00 UTC", 16.125, 24, 0.125),  # within the tail of a window that has ended
        ("08:00-16:00 UTC", 17, 24, 0.0),
        ("08:00-16:00 UTC", 0, 16.125, 8.125),  # the month may end within it
        ("06:00-05:50 UTC", 0, 48, 48.0),  # the next window begins before it is over
        ("always", 0, 48, 48.0),
        ("on-demand", 0, 48, 2.0),
    ],
)
def test_the_tail_is_counted_once_and_only_where_it_lies(
    plan: str, since_h: float, until_h: float, hours: float
) -> None:
    day = datetime(2026, 11, 2, tzinfo=UTC)
    assert planned_h(plan, day + timedelta(hours=since_h), day + timedelta(hours=until_h)) == pytest.approx(hours)


# --- used up ----------------------------------------------------------------------------------------------------------


def test_hours_that_are_used_up_end_when_the_platform_suspended_and_not_later_with_every_call() -> None:
    at, now = datetime(2026, 11, 28, 13, 12, tzinfo=UTC), datetime(2026, 11, 29, tzinfo=UTC)
    for passed in (timedelta(0), timedelta(hours=9)):
        fore = forecast(used(778), THREE, now + passed, suspended=tuple(THREE), ended_at=at)
        assert fore.ends_at == at
        assert not fore.lasts
        assert fore.ended == Ended(since=at, suspended=tuple(THREE), again_at=datetime(2026, 12, 1, tzinfo=UTC))
        assert not any(fore.planned_h.values())


def test_the_platform_that_suspended_all_of_them_is_right_where_less_was_counted() -> None:
    fore = forecast(used(600), THREE, BEGIN + timedelta(days=20), suspended=tuple(THREE))
    assert fore.ended is not None
    assert (fore.ended.since, fore.ends_at, fore.lasts) == (None, None, False)


def test_one_that_is_suspended_for_something_else_does_not_end_the_hours_of_the_others() -> None:
    assert forecast(used(100), THREE, BEGIN, suspended=("redis",)).ended is None
