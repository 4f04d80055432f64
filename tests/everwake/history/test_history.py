"""What is recorded is there again: after a flush, after a restart, in every way it can be asked for."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from everwake.errors import OutOfReach
from everwake.history import History, Resolution, fitting, queries
from everwake.model import (
    Beat,
    BeatKind,
    Failure,
    FailureKind,
    Incident,
    Level,
    LogLine,
    Observation,
    Phase,
    State,
    Transition,
)
from everwake.ports import Standing
from tests.everwake.history.conftest import REFUSED, Story, hours, look
from tests.support.fake_clock import FakeClock


def reopened(history: History, clock: FakeClock) -> History:
    history.close()
    again = History(history.path, clock)
    again.open()
    return again


async def test_looks_come_back_in_their_order_page_by_page(history: History, clock: FakeClock) -> None:
    begin = clock.now()
    seen = [look(begin + timedelta(seconds=10 * n), took_s=n / 1000, check=("http", "tcp")[n % 2]) for n in range(700)]
    history.looked(seen)
    assert history.flush()
    found: list[Observation] = []
    cursor = None
    while True:
        page = await history.read(
            queries.observations, "a", since=begin, until=begin + hours(3), limit=90, cursor=cursor
        )
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    assert found == seen
    only = await history.read(queries.observations, "a", since=begin + hours(1), until=begin + hours(1.5), check="tcp")
    assert [row.at for row in only.items] == [
        row.at for row in seen if row.check == "tcp" and hours(1) <= row.at - begin < hours(1.5)
    ]


async def test_a_failure_is_kept_whole_and_with_its_secrets_hidden(history: History, clock: FakeClock) -> None:
    seen = Observation(
        service="a", check="http", at=clock.now(), took_s=30.0, status=503,
        failure=Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail="GET https://u:pw@x/?key=abc"),
        phases={Phase.DNS: 0.25}, headers={"x-auth": "Bearer abcdef"}, excerpt='{"password": "hunter22"} \ud800' + "x" * 5_000,
    )  # fmt: skip
    history.looked([seen])
    history.flush()
    page = await history.read(queries.observations, "a", since=clock.now(), until=clock.now() + hours(1))
    (kept,) = page.items
    assert kept.failure == Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT, detail="GET https://***@x/?key=***")
    assert (kept.status, kept.took_s, kept.phases) == (503, 30.0, {Phase.DNS: 0.25})
    assert kept.headers == {"x-auth": "Bearer ***"}
    assert "hunter22" not in kept.excerpt
    assert len(kept.excerpt) <= 2_000
    for table in ("failures", "incidents", "standings"):
        assert "hunter22" not in str(sqlite3.connect(history.path).execute(f"SELECT * FROM {table}").fetchall())


async def test_some_good_looks_keep_their_phases(history: History, clock: FakeClock) -> None:
    phases = {Phase.DNS: 0.5}
    for n in range(120):
        at = clock.now() + timedelta(seconds=n)
        history.looked([Observation(service="a", check="http", at=at, took_s=1.0, status=200, phases=phases)])
    history.flush()
    page = await history.read(queries.observations, "a", since=clock.now(), until=clock.now() + hours(1))
    assert [n for n, seen in enumerate(page.items) if seen.phases == phases] == [0, 60]


def test_a_restart_knows_how_everything_stood(history: History, clock: FakeClock) -> None:
    at = clock.now()
    a, b = Story(history, "a"), Story(history, "b")
    a.move(State.UP, at)
    b.move(State.UP, at)
    incident = b.move(State.DOWN, at + hours(1))
    clock.jump(7200)
    history.looked([look(at + hours(2), "a", took_s=0.25), look(at + hours(2), "b", failure=REFUSED, status=None)])
    again = reopened(history, clock)
    one, other = again.standings()
    again.close()
    assert (one.service, one.state, one.since, one.incident) == ("a", State.UP, at, None)
    assert one.last == look(at + hours(2), "a", took_s=0.25)
    assert (other.state, other.incident, other.told) == (State.DOWN, incident, True)
    assert other.last is not None
    assert other.last.failure == REFUSED


def test_an_incident_that_closed_is_not_open_after_a_restart(history: History, clock: FakeClock) -> None:
    story, at = Story(history), clock.now()
    for n, state in enumerate((State.UP, State.DOWN, State.UP)):
        story.move(state, at + hours(n))
    again = reopened(history, clock)
    (standing,) = again.standings()
    again.close()
    assert (standing.state, standing.incident, standing.told) == (State.UP, None, False)


async def test_an_incident_tells_what_happened_in_it(history: History, clock: FakeClock) -> None:
    story, at = Story(history), clock.now()
    for n, state in enumerate((State.UP, State.DOWN, State.WAKING, State.UP)):
        story.move(state, at + hours(n))
    history.flush()
    (found,) = (await history.read(queries.incidents)).items
    told = await history.read(queries.incident, found.id)
    assert told is not None
    assert (told.incident, told.told) == (found, True)
    assert [(move.old, move.new) for move in told.transitions] == [
        (State.UP, State.DOWN), (State.DOWN, State.WAKING), (State.WAKING, State.UP),
    ]  # fmt: skip
    assert told.transitions[0].failure == REFUSED
    assert await history.read(queries.incident, "inc-none") is None


async def test_incidents_are_paged_newest_first(history: History, clock: FakeClock) -> None:
    at = clock.now()
    for n in range(7):
        Story(history, f"s{n % 2}").move(State.DOWN, at + hours(n))
    history.flush()
    first = await history.read(queries.incidents, limit=4)
    rest = await history.read(queries.incidents, limit=4, cursor=first.next)
    opened = [incident.opened_at for incident in first.items + rest.items]
    assert opened == [at + hours(n) for n in reversed(range(7))]
    assert rest.next is None
    of_one = await history.read(queries.incidents, service="s1")
    assert [incident.opened_at for incident in of_one.items] == [at + hours(n) for n in (5, 3, 1)]
    with pytest.raises(ValueError):
        await history.read(queries.incidents, cursor="; DROP TABLE")


async def test_the_log_is_paged_newest_first_by_level_and_service(history: History, clock: FakeClock) -> None:
    for n in range(30):
        level = Level.ERROR if n % 3 == 0 else Level.INFO
        history.said(LogLine(at=clock.now(), level=level, text=f"line {n} \udfff", service=("a", None)[n % 2]))
    history.flush()
    first = await history.read(queries.log, limit=20)
    rest = await history.read(queries.log, limit=20, cursor=first.next)
    assert [line.text for line in first.items + rest.items] == [f"line {n} ?" for n in reversed(range(30))]
    errors = await history.read(queries.log, level=Level.ERROR, service="a")
    assert [line.text for line in errors.items] == [f"line {n} ?" for n in (24, 18, 12, 6, 0)]
    with pytest.raises(ValueError):
        await history.read(queries.log, cursor="x")


async def test_uptime_comes_from_transitions_and_leaves_out_when_no_keeper_ran(
    history: History, clock: FakeClock, path: Path
) -> None:
    story = Story(history)
    story.move(State.UP, clock.now())
    history.flush()
    await clock.advance(3600 * 6)
    story.move(State.DOWN, clock.now())
    await clock.advance(3600 * 2)
    history.said(LogLine(at=clock.now(), level=Level.INFO, text="still here"))
    history.close()
    clock.jump(3600 * 100)
    again = History(path, clock)
    again.open()
    await clock.advance(3600 * 2)
    again.said(LogLine(at=clock.now(), level=Level.INFO, text="here again"))
    again.flush()
    uptimes = (await again.read(queries.uptimes, clock.now()))["a"]
    again.close()
    assert uptimes["7d"] == pytest.approx(6 / 10)
    assert uptimes["24h"] == 0.0


async def test_a_laptop_that_slept_was_not_up_meanwhile(history: History, clock: FakeClock) -> None:
    story = Story(history)
    story.move(State.UP, clock.now())
    history.flush()
    clock.jump(3600)
    story.move(State.DOWN, clock.now())
    history.flush()
    await clock.advance(1800)
    story.move(State.UP, clock.now())
    history.flush()
    await clock.advance(1800)
    history.said(LogLine(at=clock.now(), level=Level.INFO, text="here"))
    history.flush()
    assert (await history.read(queries.uptimes, clock.now()))["a"]["24h"] == pytest.approx(0.5)


async def test_strips_show_the_last_looks(history: History, clock: FakeClock) -> None:
    for n in range(100):
        clock.jump(180)
        history.looked(
            [look(clock.now(), "a"), look(clock.now(), "b", failure=REFUSED if n % 2 else None, status=None)]
        )
    history.flush()
    strips = await history.read(queries.strips, clock.now(), 60)
    assert [len(strip) for strip in strips.values()] == [60, 60]
    assert [glimpse.good for glimpse in strips["b"]] == [n % 2 == 0 for n in range(40, 100)]
    assert strips["a"][-1].at == clock.now()


def test_beats_are_looks_at_the_line(history: History, clock: FakeClock) -> None:
    kinds = (BeatKind.CONNECTED, BeatKind.BEAT, BeatKind.LATE, BeatKind.MISSED, BeatKind.CLOSED)
    for n, kind in enumerate(kinds):
        history.beat(Beat(service="a", kind=kind, at=clock.now() + timedelta(seconds=n), took_s=0.5))
    history.flush()
    (strip,) = queries.strips(sqlite3.connect(history.path), clock.now() + hours(0.1), check="heartbeat").values()
    assert [glimpse.good for glimpse in strip] == [True, True, False]


async def test_the_chain_of_states_has_no_gap_even_when_the_keeper_forgot(history: History, clock: FakeClock) -> None:
    at = clock.now()
    Story(history).move(State.UP, at)
    Story(history).move(State.DOWN, at + hours(1))  # believes that it comes from `unknown`
    Story(history).move(State.DOWN, at + hours(2))  # is stored already
    history.flush()
    rows = sqlite3.connect(history.path).execute("SELECT old, new FROM transitions ORDER BY id").fetchall()
    assert rows == [("unknown", "up"), ("up", "down")]


async def test_a_closed_incident_stays_closed_and_what_was_told_stays_told(history: History, clock: FakeClock) -> None:
    at = clock.now()
    incident = Incident(id="i", service="a", opened_at=at, closed_at=at + hours(1))
    move = Transition(service="a", old=State.DOWN, new=State.DOWN, at=at)

    def store(incident: Incident, told: bool) -> None:
        history.moved(move, Standing(service="a", state=State.DOWN, since=at, incident=incident, told=told))

    opened = Incident(id="i", service="a", opened_at=at, flaps=1)
    store(opened, True)
    store(opened, False)
    store(incident, False)
    store(opened, False)
    history.flush()
    story = await history.read(queries.incident, "i")
    assert story is not None
    assert (story.incident.closed_at, story.told) == (at + hours(1), True)


def test_how_fine_a_picture_is_follows_its_span(clock: FakeClock) -> None:
    now = clock.now()
    picks = [fitting(now - hours(h), now) for h in (1, 6, 24, 24 * 14, 24 * 90)]
    assert picks == [Resolution.RAW, Resolution.RAW, Resolution.HOUR, Resolution.HOUR, Resolution.DAY]


async def test_a_closed_history_says_so(history: History) -> None:
    history.close()
    history.close()
    with pytest.raises(OutOfReach):
        await history.read(queries.log)
    with pytest.raises(OutOfReach):
        await history.claim("w", FakeClock().now(), 60)
    assert not history.flush()


async def test_many_read_while_one_writes(history: History, clock: FakeClock) -> None:
    async def ask() -> int:
        return len((await history.read(queries.log, limit=1000)).items)

    counts = []
    for n in range(20):
        history.said(LogLine(at=clock.now(), level=Level.INFO, text=str(n)))
        counts += await asyncio.gather(*(ask() for _ in range(5)))
    history.flush()
    assert counts == sorted(counts) or max(counts) <= 20
    assert await ask() == 20


def test_a_row_that_cannot_be_stored_takes_nobody_along(history: History, clock: FakeClock) -> None:
    good = LogLine(at=clock.now(), level=Level.INFO, text="good")
    for line in (good, LogLine(at=clock.now(), level=Level.INFO, text=None), good):  # type: ignore[arg-type]
        history.said(line)
    assert history.flush()
    assert sqlite3.connect(history.path).execute("SELECT count(*) FROM log WHERE text = 'good'").fetchone() == (2,)
    assert history.lost == 1
