"""The ways to make the hours last: the cheapest first, none that lies, and no owner's window made longer or moved."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.budget.forecast import forecast, planned_h
from everwake.budget.ledger import Source, Usage, month_of
from everwake.budget.plan import Way, ways_out
from everwake.fleet.windows import ALWAYS, ON_DEMAND, spans

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
END = month_of(BEGIN)[1]
THREE = dict.fromkeys(("chatbot", "backend", "redis"), ALWAYS)
MIXED = {"chatbot": "22:00-06:00 UTC", "backend": ALWAYS, "redis": "10:00-12:00 UTC"}
PLANS = (ALWAYS, ON_DEMAND, "22:00-06:00 UTC", "10:00-12:00 UTC", "08:00-24:00 Europe/Berlin", "07:30-23:15 UTC")


def used(hours: float) -> list[Usage]:
    return [Usage(service="all", used_h=hours, low_h=hours, high_h=hours, source=Source.SEEN)]


def says(ways: tuple[Way, ...]) -> list[str]:
    return [way.says for way in ways]


def test_where_one_service_is_enough_nobody_is_asked_to_change_two() -> None:
    ways = ways_out(used(0), MIXED, BEGIN)
    assert says(ways) == [
        'keep backend awake 14 h a day: awake = "08:00-22:00 UTC"',
        'let backend sleep until somebody comes: awake = "on-demand"',
        "move backend to a paid instance, from 7 dollars a month",
    ]


def test_three_round_the_clock_are_offered_three_ways_and_each_lasts() -> None:
    ways = ways_out(used(0), THREE, BEGIN, needed_by={"chatbot": 1})
    assert says(ways) == [
        'keep all of them awake 8 h a day: awake = "08:00-16:00 UTC"',
        'let all of them sleep until somebody comes: awake = "on-demand"',
        "move chatbot and backend to paid instances, from 14 dollars a month",
    ]
    assert all(way.lasts for way in ways)


def test_a_way_pays_for_the_tail_of_every_window_too() -> None:
    december = datetime(2026, 12, 1, tzinfo=UTC)
    assert 3 * 31 * 8 < 750 < 3 * 31 * 8.25
    assert says(ways_out(used(0), THREE, december))[0] == (
        'keep all of them awake 7 h a day: awake = "08:00-15:00 UTC"'
    )  # fmt: skip


def test_the_least_needed_sleep_and_the_most_needed_are_paid_for() -> None:
    needed = {"backend": 2, "redis": 1}
    two = {"chatbot": ALWAYS, "backend": ALWAYS, "redis": ON_DEMAND}
    _, asleep, paid = ways_out(used(0), two, BEGIN + timedelta(days=14), needed_by=needed)
    assert asleep.says.startswith("let chatbot sleep")
    assert paid.says.startswith("move backend to")


def test_an_owners_longer_windows_are_cut_only_where_those_always_awake_are_not_enough() -> None:
    fifteenth = BEGIN + timedelta(days=14)
    plans = {"a": "22:00-08:00 UTC", "b": "09:00-20:00 UTC", "c": ALWAYS}
    assert says(ways_out(used(300), plans, fifteenth))[0] == 'keep c awake 6 h a day: awake = "08:00-14:00 UTC"'
    assert says(ways_out(used(560), plans, fifteenth))[0] == (
        'keep all of them awake 3 h a day: a "22:00-01:00 UTC", b "09:00-12:00 UTC" and c "08:00-11:00 UTC"'
    )


@given(
    st.lists(st.sampled_from(PLANS), min_size=1, max_size=5), st.floats(0, 760), st.integers(0, 29), st.integers(0, 23)
)
def test_what_is_offered_lasts_and_no_window_is_made_longer_or_moved(
    plans: list[str], hours: float, day: int, hour: int
) -> None:
    awake = {f"s{n}": plan for n, plan in enumerate(plans)}
    now = BEGIN + timedelta(days=day, hours=hour)
    for way in ways_out(used(hours), awake, now):
        assert "\n" not in way.says
        if way.lasts:
            assert forecast(used(hours), way.awake, now).lasts
        for name, plan in way.awake.items():
            before = list(spans(awake[name], BEGIN, END))
            assert plan == awake[name] or awake[name] != ON_DEMAND
            for begin, end in spans(plan, BEGIN, END):
                assert any(first <= begin and end <= last for first, last in before), (awake[name], plan)


@given(st.lists(st.sampled_from(PLANS), min_size=2, max_size=5), st.floats(0, 740), st.integers(0, 29))
def test_no_smaller_set_would_do(plans: list[str], hours: float, day: int) -> None:
    awake, now = {f"s{n}": plan for n, plan in enumerate(plans)}, BEGIN + timedelta(days=day)
    will = {name: planned_h(plan, now, END) for name, plan in awake.items()}
    asleep_h = planned_h(ON_DEMAND, now, END)

    def enough(names: tuple[str, ...], each_h: float) -> bool:
        after = sum(will.values()) - sum(will[name] - each_h for name in names)
        return hours + after + 1 <= 750

    for way in ways_out(used(hours), awake, now):
        if way.says.startswith("let ") and way.lasts:
            changed = [name for name in awake if way.awake[name] != awake[name]]
            each_h = asleep_h
        elif way.says.startswith("move ") and "sleep" not in way.says:
            changed, each_h = [name for name in awake if name not in way.awake], 0.0
            assert way.costs == 7 * len(changed)
        else:
            continue
        for size in range(len(changed)):
            assert not any(enough(names, each_h) for names in combinations(awake, size))


@pytest.mark.parametrize("hours", range(0, 250, 3))
def test_three_round_the_clock_have_a_day_and_three_ways_out_whenever_they_are_asked(hours: int) -> None:
    now, have = BEGIN + timedelta(hours=hours), used(3.0 * hours)
    fore = forecast(have, THREE, now)
    assert fore.ends_at is not None
    assert fore.ends_at.day == 11
    ways = ways_out(have, THREE, now)
    assert len(ways) == 3
    assert [way.lasts for way in ways] == sorted((way.lasts for way in ways), reverse=True)
    assert [way.costs for way in ways if way.lasts] == sorted(way.costs for way in ways if way.lasts)


@pytest.mark.parametrize("day", range(10, 30))
@pytest.mark.parametrize("hours", [720.0, 740.0, 749.9])
def test_late_in_the_month_other_workspaces_pay_and_sleep_take_the_place_of_windows(day: int, hours: float) -> None:
    ways = ways_out(used(hours), THREE, BEGIN + timedelta(days=day))
    assert len(ways) == 3
    assert any(way.costs for way in ways)


def test_where_no_window_lasts_any_more_each_way_says_what_it_does() -> None:
    assert says(ways_out(used(720), THREE, BEGIN + timedelta(days=10), needed_by={"redis": 2, "chatbot": 1})) == [
        "make all of them anew in 3 other workspaces, with 750 h each",
        "move chatbot and redis to paid instances, from 14 dollars a month, and let backend sleep until somebody comes: "
        'awake = "on-demand"',
        'let all of them sleep until somebody comes: awake = "on-demand"; lasts while used less than 90 min a day together',
    ]


def test_of_many_services_those_that_save_most_are_taken_and_a_few_are_named() -> None:
    many = {f"s{n:02d}": ALWAYS if n else "08:00-09:00 UTC" for n in range(20)}
    *_, paid = ways_out(used(0), many, BEGIN)
    assert paid.says == "move s01, s02, s03 and 16 others to paid instances, from 133 dollars a month"
    assert list(paid.awake) == ["s00"]
    assert len(ways_out(used(0), {f"s{n}": ALWAYS for n in range(500)}, BEGIN)) == 3


def test_hours_that_are_used_up_leave_waiting_another_workspace_and_paying() -> None:
    now = BEGIN + timedelta(days=27)
    ways = ways_out(used(778), THREE, now, suspended=tuple(THREE))
    assert says(ways) == [
        "wait until 1 December; planned as now, the new hours end on 11 December",
        "make anew what is needed before that, in another workspace with 750 h of its own",
        "move what is needed before that to a paid instance, from 7 dollars a month each",
    ]
    assert [(way.costs, way.lasts) for way in ways] == [(0, False), (0, False), (7, False)]
    assert says(ways_out(used(750), {"chatbot": ALWAYS}, now))[2] == (
        "move chatbot to a paid instance, from 7 dollars a month"
    )


def test_a_month_that_lasts_needs_no_way_out() -> None:
    assert ways_out(used(0), {"chatbot": ALWAYS}, BEGIN) == ()
