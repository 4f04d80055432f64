"""The growing wait before a crashed process starts again."""

from hypothesis import given
from hypothesis import strategies as st

from everwake.sim.processes._restarts import Restarts


def test_the_wait_doubles_from_one_second_to_thirty() -> None:
    assert [Restarts().wait_s(crashes) for crashes in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_process_that_lasted_begins_anew() -> None:
    restarts = Restarts()
    assert restarts.crashes(7, lived_s=59.9) == 8
    assert restarts.crashes(7, lived_s=60.0) == 1


@given(lives=st.lists(st.floats(0, 1e6), min_size=1, max_size=2000))
def test_every_wait_stays_between_its_bounds(lives: list[float]) -> None:
    restarts, crashes = Restarts(), 0
    for lived_s in lives:
        crashes = restarts.crashes(crashes, lived_s)
        assert 1.0 <= restarts.wait_s(crashes) <= 30.0
