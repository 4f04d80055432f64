"""Rolling up and cutting off: what is told of hours and days is what the looks were, and old looks go."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everwake.history import History, Resolution, Rollup, queries
from everwake.model import Failure, FailureKind, Level, LogLine, Observation, Phase, State
from tests.everwake.history.conftest import REFUSED, Story, hours, look
from tests.support.fake_clock import START, FakeClock

MIDNIGHT = START.replace(hour=0, minute=0)


def near(told: float | None, true: float) -> bool:
    return told is not None and abs(told - true) <= 0.02 * true + 0.1


def expected(seen: Iterable[Observation], begin: datetime, span: timedelta) -> tuple[int, int, float | None]:
    inside = [row for row in seen if begin <= row.at < begin + span]
    good = [row.took_s * 1000 for row in inside if row.failure is None]
    return len(inside), len(inside) - len(good), max(good, default=None)


async def told(history: History, clock: FakeClock, resolution: Resolution) -> tuple[Rollup, ...]:
    since, until = MIDNIGHT, clock.now() + hours(1)
    return await history.read(queries.rollups, "a", resolution, since=since, until=until, now=clock.now())


async def test_hours_and_days_are_told_the_same_before_and_after_they_are_rolled_up(
    history: History, clock: FakeClock
) -> None:
    story = Story(history)
    story.move(State.UP, clock.now())
    seen: list[Observation] = []
    for n in range(400):
        await clock.advance(300)
        failure = REFUSED if n % 10 == 0 else None
        seen.append(look(clock.now(), took_s=0.1 + n / 1_000, failure=failure))
        history.looked(seen[-1:])
        if n % 100 == 0:
            story.move(State.DOWN if n % 200 == 0 else State.UP, clock.now())
        history.said(LogLine(at=clock.now(), level=Level.INFO, text="x"))
        history.flush()
    before = {resolution: await told(history, clock, resolution) for resolution in (Resolution.HOUR, Resolution.DAY)}
    history.tidy()
    after = {resolution: await told(history, clock, resolution) for resolution in (Resolution.HOUR, Resolution.DAY)}
    assert before[Resolution.HOUR] == after[Resolution.HOUR]
    for resolution, span in ((Resolution.HOUR, hours(1)), (Resolution.DAY, hours(24))):
        assert len(after[resolution]) == len({row.at - (row.at - MIDNIGHT) % span for row in seen})
        for rollup in after[resolution]:
            looks, failed, most = expected(seen, rollup.at, span)
            assert (rollup.looks, rollup.failed) == (looks, failed)
            assert most is None or near(rollup.max_ms, most)
            assert rollup.uptime is not None
    assert [row[:3] for row in before[Resolution.DAY]] == [row[:3] for row in after[Resolution.DAY]]


async def test_looks_that_come_late_are_counted_in_their_hour(history: History, clock: FakeClock) -> None:
    begin = clock.now()
    history.looked([look(begin, took_s=0.1)])
    await clock.advance(3 * 3600)
    history.flush()
    history.tidy()
    history.looked([look(begin + timedelta(seconds=1), took_s=0.2), look(begin + timedelta(seconds=2), took_s=0.3)])
    history.flush()
    history.tidy()
    (hour,) = await told(history, clock, Resolution.HOUR)
    assert hour.looks == 3
    assert near(hour.max_ms, 300)


async def test_a_failure_of_our_own_is_not_counted_against_the_service(history: History, clock: FakeClock) -> None:
    ours = Failure(kind=FailureKind.INTERNAL, phase=Phase.EXPECT)
    history.looked([look(clock.now()), look(clock.now() + timedelta(seconds=1), failure=ours, status=None)])
    history.flush()
    (hour,) = await told(history, clock, Resolution.HOUR)
    assert (hour.looks, hour.failed) == (1, 0)


async def test_looks_are_kept_a_week_failures_ninety_days_and_rollups_for_ever(
    history: History, clock: FakeClock
) -> None:
    begin = clock.now()
    for day in range(120):
        history.looked([look(begin + timedelta(days=day)), look(begin + timedelta(days=day, hours=1), failure=REFUSED)])
    history.flush()
    clock.jump(119 * 86_400 + 7_200)
    history.tidy()
    connection = sqlite3.connect(history.path)
    assert connection.execute("SELECT count(*) FROM looks").fetchone()[0] == 14
    assert connection.execute("SELECT count(*) FROM failures").fetchone()[0] == 90
    days = await told(history, clock, Resolution.DAY)
    assert [(day.looks, day.failed) for day in days] == [(2, 1)] * 120
    page = await history.read(queries.observations, "a", since=begin, until=clock.now(), limit=1_000)
    assert len(page.items) == 7 + 90
    assert all(seen.failure == REFUSED for seen in page.items[:83])


async def test_the_log_keeps_its_newest_lines(history: History, clock: FakeClock) -> None:
    for start in range(0, 110_000, 5_000):
        for n in range(start, start + 5_000):
            history.said(LogLine(at=clock.now(), level=Level.INFO, text=str(n)))
        assert history.flush()
    history.tidy()
    count, oldest = sqlite3.connect(history.path).execute("SELECT count(*), min(id) FROM log").fetchone()
    assert (count, oldest) == (100_000, 10_001)


async def test_the_grid_of_days_is_what_transitions_say(history: History, clock: FakeClock) -> None:
    await clock.advance(12.5 * 3600)  # to midnight
    stories = [Story(history, name) for name in ("a", "b")]
    for story in stories:
        story.move(State.UP, clock.now())
    history.flush()
    for day in range(5):
        await clock.advance(6 * 3600)
        stories[1].move(State.DOWN, clock.now())
        history.flush()
        await clock.advance(6 * 3600 * (day % 2 + 1))
        stories[1].move(State.UP, clock.now())
        history.flush()
        await clock.advance(86_400 - 6 * 3600 - 6 * 3600 * (day % 2 + 1))
        history.said(LogLine(at=clock.now(), level=Level.INFO, text="x"))
        history.flush()
    live = await history.read(queries.days, clock.now(), 7)
    history.tidy()
    grid = await history.read(queries.days, clock.now(), 7)
    assert grid.uptimes["b"] == pytest.approx([None, 0.75, 0.5, 0.75, 0.5, 0.75, None], nan_ok=True)
    assert grid.uptimes["a"] == (None, 1.0, 1.0, 1.0, 1.0, 1.0, None)
    assert grid.first == (clock.now() - timedelta(days=6)).date()
    assert live.uptimes["b"][-2:] == grid.uptimes["b"][-2:]


@settings(max_examples=20, deadline=None)
@given(
    looks=st.lists(
        st.tuples(st.integers(0, 3 * 86_400_000), st.floats(0.0001, 100), st.booleans()), max_size=60,
        unique_by=lambda row: row[0],
    ),
    cuts=st.lists(st.integers(0, 60), max_size=3),
)  # fmt: skip
def test_however_often_and_whenever_it_is_rolled_up_the_figures_are_those_of_the_looks(
    tmp_path_factory: pytest.TempPathFactory, looks: list[tuple[int, float, bool]], cuts: list[int]
) -> None:
    clock = FakeClock(MIDNIGHT + timedelta(days=3, hours=2))
    history = History(tmp_path_factory.mktemp("history") / "h.sqlite3", clock)
    history.open()
    seen = [
        look(MIDNIGHT + timedelta(milliseconds=ms), took_s=took_s, failure=REFUSED if failed else None)
        for ms, took_s, failed in looks
    ]
    for n, row in enumerate(seen):
        history.looked([row])
        if n in cuts:
            history.flush()
            history.tidy()
    history.flush()
    history.tidy()
    connection = sqlite3.connect(history.path)
    for resolution, span in ((Resolution.HOUR, hours(1)), (Resolution.DAY, hours(24))):
        rows = queries.rollups(connection, "a", resolution, since=MIDNIGHT, until=clock.now(), now=clock.now())
        assert sum(row.looks for row in rows) == len(seen)
        for row in rows:
            count, failed, most = expected(seen, row.at, span)
            assert (row.looks, row.failed) == (count, failed)
            assert most is None or near(row.max_ms, most)
    connection.close()
    history.close()
