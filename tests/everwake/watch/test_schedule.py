"""When looks are due."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from everwake.watch.schedule import GRID_S, Schedule, next_on_grid

NAMES = st.text(min_size=1, max_size=8)


@given(NAMES, st.floats(1, 86_400), st.floats(0, 1e7))
def test_the_next_turn_is_ahead_and_at_most_one_interval_away(name: str, every_s: float, now_s: float) -> None:
    at_s = next_on_grid(name, every_s, now_s)
    assert now_s < at_s <= now_s + every_s * (1 + 1e-6)


@given(NAMES, st.floats(1, 3600), st.floats(0, 1e6), st.integers(1, 50))
def test_a_late_look_does_not_shift_the_following_ones(name: str, every_s: float, now_s: float, turns: int) -> None:
    at_s = next_on_grid(name, every_s, now_s)
    for _ in range(turns):
        at_s = next_on_grid(name, every_s, at_s + every_s * 0.3)
    phase = (at_s - next_on_grid(name, every_s, now_s)) / every_s
    assert abs(phase - round(phase)) < 1e-6


def test_ten_thousand_services_are_spread_over_their_minute_without_a_burst() -> None:
    slots = Counter(int(next_on_grid(f"service-{n}", 60.0, 1000.0) / GRID_S) for n in range(10_000))
    assert max(slots.values()) <= 45  # 16.7 in the mean; a burst at a full minute would be 10,000


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.floats(0, 100))), max_size=80), st.floats(0, 120))
def test_whatever_was_planned_is_due_once_in_order_and_never_early(
    plans: list[tuple[int, float | None]], now_s: float
) -> None:
    schedule, model = Schedule(), dict[str, float]()
    for key, at_s in plans:
        if at_s is None:
            schedule.cancel(str(key))
            model.pop(str(key), None)
        else:
            schedule.plan(str(key), at_s)
            model[str(key)] = at_s
    assert len(schedule) == len(model)
    taken = schedule.due(now_s)
    assert [when for _, when in taken] == sorted(when for _, when in taken)
    for key, when in taken:
        assert model[key] - 1e-6 <= when <= now_s + 1e-6
        assert when - model[key] <= GRID_S + 1e-6
    left = {key: at for key, at in model.items() if key not in dict(taken)}
    assert all(at > now_s - GRID_S for at in left.values())
    assert len(schedule) == len(left)
    assert (schedule.next_s is None) == (not left)


@given(st.dictionaries(NAMES, st.floats(0, 50), max_size=40), st.integers(0, 15))
def test_what_is_too_much_at_once_stays_due_since_when_it_was(plans: dict[str, float], most: int) -> None:
    at_once, by_and_by = Schedule(), Schedule()
    for key, at_s in plans.items():
        at_once.plan(key, at_s)
        by_and_by.plan(key, at_s)
    taken: list[tuple[str, float]] = []
    while part := by_and_by.due(60.0, most):
        assert len(part) <= most
        taken += part
    assert taken == (at_once.due(60.0) if most else [])
    assert len(by_and_by) == (0 if most else len(plans))
