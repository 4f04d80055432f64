"""Hours used, the day they run out, and the ways to make them last."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.budget.forecast import forecast
from everwake.budget.ledger import Source, Usage, month_of, of_counts, of_states
from everwake.budget.plan import ways_out
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


def test_three_round_the_clock_are_offered_three_ways_and_each_lasts() -> None:
    ways = ways_out(used(0), THREE, BEGIN, needed_by={"chatbot": 1})
    assert [way.costs for way in ways] == [0, 0, 14]
    assert all(way.spare_h >= 0 for way in ways)
    assert any("backend and redis sleep" in way.says for way in ways)
    assert any('awake = "08:00-16:00 UTC"' in way.says for way in ways)


@given(st.floats(0, 750), st.integers(0, 30), st.integers(1, 6))
def test_what_is_offered_always_lasts(hours: float, day: int, services: int) -> None:
    awake = {f"s{n}": "always" for n in range(services)}
    now = BEGIN + timedelta(days=day)
    for way in ways_out(used(hours), awake, now):
        assert forecast(used(hours), way.awake, now).lasts


def test_a_month_that_lasts_needs_no_way_out() -> None:
    assert ways_out(used(0), {"chatbot": "always"}, BEGIN) == ()
