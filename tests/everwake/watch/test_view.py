"""What people are shown."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from everwake.model import State
from everwake.watch.view import Seen, Strip, overall

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOKS = st.tuples(st.sampled_from(State), st.one_of(st.none(), st.integers(0, 100_000).map(float)))


@given(st.lists(LOOKS, max_size=150))
def test_a_strip_holds_the_last_sixty_looks_in_order(looks: list[tuple[State, float | None]]) -> None:
    strip = Strip()
    for n, (state, ms) in enumerate(looks):
        strip.add(START + timedelta(seconds=n), state, ms)
    wanted = [Seen(START + timedelta(seconds=n), state, ms) for n, (state, ms) in enumerate(looks)]
    assert strip.looks() == tuple(wanted[-Strip.LONGEST :])


@given(st.lists(st.sampled_from(State)))
def test_a_fleet_is_up_only_when_nobody_is_worse(states: list[State]) -> None:
    worst, counts = overall(states)
    assert sum(counts.values()) == len(states)
    if worst is State.UP:
        assert set(states) <= {State.UP, State.ASLEEP, State.PAUSED}
    if not states:
        assert worst is State.UNKNOWN
