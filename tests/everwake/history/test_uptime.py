"""Uptime from transitions, held against counting every single tick."""

from hypothesis import given
from hypothesis import strategies as st

from everwake.history.uptime import Course, shares
from everwake.model import State

UP, NOT_UP = {State.UP, State.DEGRADED}, {State.DOWN, State.WAKING}
ticks = st.integers(0, 60)
spans = st.tuples(ticks, ticks).map(lambda span: (min(span), max(span)))
courses = st.builds(
    lambda first, changes: Course(first, sorted(changes, key=lambda change: change[0])),
    st.sampled_from(State),
    st.lists(st.tuples(ticks, st.sampled_from(State)), max_size=12),
)


def counted(course: Course, runs: list[tuple[int, int]], span: tuple[int, int]) -> float | None:
    """The plain way: tick by tick."""
    up = known = 0
    for tick in range(*span):
        state = course.first
        for at, new in course.changes:
            if at <= tick:
                state = new
        if any(begin <= tick < end for begin, end in runs) and state in UP | NOT_UP:
            known += 1
            up += state in UP
    return up / known if known else None


@given(courses, st.lists(spans, max_size=5), st.lists(spans, min_size=1, max_size=4))
def test_shares_are_what_counting_every_tick_gives(
    course: Course, runs: list[tuple[int, int]], wanted: list[tuple[int, int]]
) -> None:
    assert shares(course, runs, wanted) == [counted(course, runs, span) for span in wanted]


@given(courses, st.lists(spans, max_size=5), spans)
def test_a_share_is_a_share_or_unknown(course: Course, runs: list[tuple[int, int]], span: tuple[int, int]) -> None:
    (share,) = shares(course, runs, [span])
    assert share is None or 0.0 <= share <= 1.0


@given(st.lists(st.tuples(ticks, st.sampled_from(State)), max_size=12), spans)
def test_a_clock_that_went_back_makes_no_share_impossible(
    changes: list[tuple[int, State]], span: tuple[int, int]
) -> None:
    (share,) = shares(Course(State.UP, changes), [(0, 60)], [span])
    assert share is None or 0.0 <= share <= 1.0


def test_what_is_paused_asleep_unknown_or_unwatched_is_left_out() -> None:
    course = Course(
        State.UNKNOWN,
        [(10, State.UP), (20, State.PAUSED), (30, State.DOWN), (40, State.ASLEEP), (50, State.UP)],
    )
    assert shares(course, [(0, 60)], [(0, 60)]) == [20 / 30]
    assert shares(course, [(0, 35)], [(0, 60)]) == [10 / 15]
    assert shares(course, [(0, 60)], [(0, 10), (20, 30)]) == [None, None]
