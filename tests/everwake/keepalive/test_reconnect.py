"""How long a client waits before it calls again."""

from hypothesis import given
from hypothesis import strategies as st

from everwake.keepalive.reconnect import Backoff

ROLLS = st.floats(0, 1)


def test_delays_grow_from_one_second_to_a_minute() -> None:
    means = [Backoff().delay_s(drops, 0.5) for drops in range(1, 9)]
    assert means == [1, 2, 4, 8, 16, 32, 40, 40]


@given(drops=st.integers(1, 10**9), roll=ROLLS)
def test_no_delay_is_shorter_than_half_a_second_or_longer_than_a_minute(drops: int, roll: float) -> None:
    assert 0.5 <= Backoff().delay_s(drops, roll) <= 60


def test_clients_that_were_dropped_together_do_not_come_back_together() -> None:
    assert Backoff().delay_s(1, 1.0) - Backoff().delay_s(1, 0.0) == 1.0


@given(lives=st.lists(st.floats(0, 200), max_size=50))
def test_only_a_line_that_lasted_makes_it_forget(lives: list[float]) -> None:
    backoff, drops = Backoff(stable_s=60), 0
    for lived_s in lives:
        before, drops = drops, backoff.drops(drops, lived_s)
        assert drops == (1 if lived_s >= 60 else before + 1)
