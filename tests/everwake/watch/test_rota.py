"""Whose turn it is to rest, by windows that follow the wall clock and by use that follows the monotonic one."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from everwake.fleet.schema import Service
from everwake.fleet.windows import is_awake
from everwake.watch.rota import Rota, chain

NIGHT = datetime(2026, 1, 1, 22, 59, tzinfo=UTC)
DAYS = "08:00-24:00 Europe/Berlin"


def service(name: str, awake: str = "always") -> Service:
    return Service(name=name, url=f"https://{name}.example", awake=awake)


def rota(now: datetime, **awake: str) -> Rota:
    made = Rota()
    made.take([service(name, plan) for name, plan in awake.items()], now, 0.0)
    return made


def test_who_is_always_awake_never_rests_and_is_never_due() -> None:
    made = rota(NIGHT, a="always")
    assert not made.rests("a")
    assert made.due(NIGHT + timedelta(days=99), 1e9) == ()


def test_a_window_ends_and_begins_at_its_local_time() -> None:
    made = rota(NIGHT, a=DAYS)
    assert not made.rests("a")
    assert made.turn("a").until == NIGHT + timedelta(minutes=1)
    assert made.due(NIGHT, 0.0) == ()
    assert made.due(NIGHT + timedelta(minutes=1), 60.0) == ("a",)
    assert made.rests("a")
    assert made.due(NIGHT + timedelta(hours=8), 9e3) == ()
    assert made.due(NIGHT + timedelta(hours=8, minutes=1), 9e3) == ("a",)
    assert not made.rests("a")


def test_the_night_on_which_summer_begins_is_an_hour_shorter() -> None:
    made = rota(datetime(2026, 3, 28, 23, 0, tzinfo=UTC), a=DAYS)
    assert made.rests("a")
    assert made.turn("a").until == datetime(2026, 3, 29, 6, 0, tzinfo=UTC)


def test_a_clock_that_is_put_back_over_a_change_brings_the_turn_of_before() -> None:
    made = rota(NIGHT + timedelta(hours=1), a=DAYS)
    assert made.rests("a")
    made.jumped()
    assert made.due(NIGHT - timedelta(hours=2), 1.0) == ("a",)
    assert not made.rests("a")


def test_on_demand_rests_but_while_it_is_used_whatever_the_wall_clock_does() -> None:
    made = rota(NIGHT, a="on-demand")
    assert made.rests("a")
    made.hold("a", 600.0)
    assert made.due(NIGHT, 1.0) == ("a",)
    made.jumped()
    assert made.due(NIGHT + timedelta(days=1), 599.0) == ()
    assert made.due(NIGHT, 600.0) == ("a",)
    assert made.rests("a")


def test_use_that_goes_on_holds_longer_and_never_shorter() -> None:
    made = rota(NIGHT, a="on-demand")
    for until_s in (600.0, 900.0, 700.0):
        made.hold("a", until_s)
    made.due(NIGHT, 1.0)
    assert made.due(NIGHT, 899.0) == ()
    assert made.due(NIGHT, 900.0) == ("a",)


def test_use_does_not_stretch_a_window() -> None:
    made = rota(NIGHT, a=DAYS)
    made.hold("a", 1e9)
    assert made.due(NIGHT + timedelta(minutes=2), 1.0) == ("a",)
    assert made.rests("a")


def test_a_fleet_taken_anew_keeps_who_is_in_use() -> None:
    made = rota(NIGHT, a="on-demand", b="on-demand")
    made.hold("a", 600.0)
    made.take([service("a", "on-demand"), service("b")], NIGHT, 10.0)
    assert (made.rests("a"), made.rests("b")) == (False, False)


def test_a_chain_has_what_is_needed_first() -> None:
    needs = {"frontend": ("backend",), "backend": ("chatbot", "redis"), "chatbot": ("redis",)}
    assert chain("frontend", needs) == ("redis", "chatbot", "backend", "frontend")


NAMES = st.sampled_from("abcdef")


@given(NAMES, st.dictionaries(NAMES, st.lists(NAMES, max_size=4)))
def test_a_chain_ends_with_who_was_asked_for_and_names_nobody_twice_also_in_a_loop(
    name: str, needs: dict[str, list[str]]
) -> None:
    order = chain(name, needs)
    assert order[-1] == name
    assert len(set(order)) == len(order)


@given(st.lists(st.tuples(st.integers(-90_000, 90_000), st.booleans()), max_size=20))
def test_wherever_the_wall_clock_goes_the_turn_is_that_of_the_window(steps: list[tuple[int, bool]]) -> None:
    """A step forward is time that passes; one back is a jump, which the keeper notices."""
    now, made = NIGHT, rota(NIGHT, a=DAYS)
    for seconds, is_jump in steps:
        now += timedelta(seconds=seconds)
        if is_jump or seconds < 0:
            made.jumped()
        made.due(now, 0.0)
        assert made.rests("a") is not is_awake(DAYS, now)
