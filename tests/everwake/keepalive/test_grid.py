"""The wheel of beats, pure: nobody drifts, nobody waits longer than a period, and a crowd is spread."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from everwake.keepalive.grid import Wheel

EARLY_S = 0.001001  # what a wheel forgives a timer that fires too early


def beats(wheel: Wheel[int], until_s: float) -> list[tuple[float, int]]:
    """Run a wheel as a perfect timer would: (when, who)."""
    found: list[tuple[float, int]] = []
    while (at := wheel.next_at) is not None and at <= until_s:
        found += [(at, who) for who in wheel.due(at)]
    return found


def test_a_lone_line_beats_one_period_after_it_came_and_then_on_its_grid() -> None:
    wheel: Wheel[int] = Wheel(30.0, start_s=1000.0)
    wheel.join(7, 1012.34)
    at = [when for when, _ in beats(wheel, 1012.34 + 301)]
    assert len(at) == 10
    assert 1042.34 - 0.1 <= at[0] <= 1042.34
    assert all(abs(when - (at[0] + 30 * n)) < 1e-6 for n, when in enumerate(at))


@given(
    every_s=st.sampled_from([0.05, 1.0, 30.0]),
    comes=st.lists(st.floats(0, 100), min_size=1, max_size=40),
    lag=st.floats(0, 0.5),
)
def test_late_calls_neither_move_the_grid_nor_send_twice(every_s: float, comes: list[float], lag: float) -> None:
    """Whoever is due is told at the first call after, however late; the next beat comes on the old grid."""
    wheel: Wheel[int] = Wheel(every_s, start_s=0.0)
    slots = {who: wheel.join(who, at) for who, at in enumerate(sorted(comes))}
    now = max(comes)
    wheel.due(now)
    grid: dict[int, float] = {}
    for _ in range(20):
        due = wheel.next_at
        assert due is not None
        now = max(now, due) + lag * every_s
        told = wheel.due(now)
        assert len(told) == len(set(told))
        for who in told:
            if lag == 0:
                phase = due % every_s
                known = grid.setdefault(who, phase)
                drift = abs(phase - known)
                assert min(drift, every_s - drift) < 1e-6 * max(1.0, now)
    for who, slot in slots.items():
        wheel.leave(who, slot)
    assert wheel.next_at is None


@given(every_s=st.sampled_from([0.05, 5.0, 30.0]), count=st.integers(1, 400), at=st.floats(0, 1000))
@settings(max_examples=50)
def test_a_crowd_is_spread_and_each_of_it_beats_within_a_period(every_s: float, count: int, at: float) -> None:
    wheel: Wheel[int] = Wheel(every_s, start_s=0.0)
    slots = Counter(wheel.join(who, at) for who in range(count))
    slots_there = max(10, round(every_s / 0.1))
    assert len(slots) == min(count, slots_there)
    assert max(slots.values()) == -(-count // slots_there)
    first = beats(wheel, at + every_s + EARLY_S)
    assert {who for _, who in first} == set(range(count))
    assert all(at < when for when, _ in first)


@given(moves=st.lists(st.tuples(st.sampled_from(["join", "leave", "due"]), st.floats(0, 3)), max_size=120))
def test_whoever_is_there_is_told_and_whoever_left_is_not(moves: list[tuple[str, float]]) -> None:
    wheel: Wheel[int] = Wheel(1.0, start_s=0.0)
    now, number, there = 0.0, 0, {}
    told_at: dict[int, float] = {}
    for move, step in moves:
        now += step
        if move == "join":
            number += 1
            there[number] = wheel.join(number, now)
            told_at[number] = now
        elif move == "leave" and there:
            who, slot = there.popitem()
            wheel.leave(who, slot)
        else:
            told = wheel.due(now)
            assert set(told) <= set(there)
            for who in told:
                told_at[who] = now
            for who in there:
                assert now - told_at[who] <= 1.0 + EARLY_S
        assert wheel.count == len(there)
    for who, slot in there.items():
        wheel.leave(who, slot)
    assert wheel.due(now + 10) == []


def test_a_loop_that_stood_still_for_an_hour_sends_one_beat_not_hundreds() -> None:
    wheel: Wheel[int] = Wheel(30.0, start_s=0.0)
    wheel.join(1, 0.0)
    assert wheel.due(3600.0) == [1]
    assert wheel.due(3600.0) == []
