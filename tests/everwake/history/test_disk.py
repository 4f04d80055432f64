"""A locked, full, slow, read-only or broken disk: the keeper never waits, it is said in words, and it mends by itself."""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from everwake.errors import OutOfReach
from everwake.history import FromTheFuture, History, _file
from everwake.history._lanes import MOST_LOOKS
from everwake.model import Level, LogLine, State
from tests.everwake.history.conftest import Story, hours, look
from tests.support.fake_clock import FakeClock


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def line(clock: FakeClock, text: str = "x") -> LogLine:
    return LogLine(at=clock.now(), level=Level.INFO, text=text)


def transitions(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT old, new FROM transitions ORDER BY id").fetchall()
    finally:
        connection.close()


async def test_while_the_file_is_locked_nothing_waits_and_afterwards_nothing_is_missing(
    history: History, clock: FakeClock
) -> None:
    story = Story(history)
    story.move(State.UP, clock.now())
    history.flush()
    lock = sqlite3.connect(history.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    began_s = time.perf_counter()
    for n in range(1_000):
        history.looked([look(clock.now() + hours(n / 3_600))])
        history.said(line(clock))
    story.move(State.DOWN, clock.now() + hours(1))
    assert time.perf_counter() - began_s < 0.5
    await until(lambda: history.trouble is not None)
    assert history.trouble is not None
    assert history.trouble.startswith("The history is not being written: its file is locked by another program.")
    with pytest.raises(OutOfReach):
        await history.claim("w", clock.now(), 60)
    assert not history.flush(0.05)
    assert [standing.state for standing in history.standings()] == [State.UP]  # reading goes on
    lock.execute("ROLLBACK")
    lock.close()
    await until(lambda: history.trouble is None)
    assert history.flush()
    assert transitions(history.path) == [("unknown", "up"), ("up", "down")]
    assert sqlite3.connect(history.path).execute("SELECT count(*) FROM looks").fetchone() == (1_000,)
    assert history.lost == 0


async def test_too_many_looks_drop_the_oldest_looks_and_nothing_else(history: History, clock: FakeClock) -> None:
    history.said(line(clock))
    history.flush()
    lock = sqlite3.connect(history.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    story, begin = Story(history), clock.now()
    story.move(State.UP, begin)
    history.said(line(clock, "waits"))
    await until(lambda: history.trouble is not None)
    at = [begin + hours(n / 3_600) for n in range(MOST_LOOKS + 500)]
    for moment in at:
        history.looked([look(moment)])
    story.move(State.DOWN, at[-1])
    assert history.lost == 500
    assert history.waiting <= MOST_LOOKS + 10
    await until(lambda: "500 were lost" in (history.trouble or ""))
    lock.execute("ROLLBACK")
    lock.close()
    assert history.flush(20)
    assert transitions(history.path) == [("unknown", "up"), ("up", "down")]
    told = sqlite3.connect(history.path).execute("SELECT text FROM log ORDER BY id").fetchall()
    assert ("waits",) in told
    assert ("The history is written again; 500 rows were lost",) in told
    kept = sqlite3.connect(history.path).execute("SELECT count(*), min(key) FROM looks").fetchone()
    assert kept[0] == MOST_LOOKS


async def test_a_full_disk_is_said_and_when_there_is_room_again_everything_is_written(
    path: Path, clock: FakeClock
) -> None:
    made: list[sqlite3.Connection] = []

    def small(where: Path) -> sqlite3.Connection:
        connection = _file.connect(where)
        connection.execute("PRAGMA max_page_count = 60")
        made.append(connection)
        return connection

    history = History(path, clock, connect=small)
    history.open()
    story = Story(history)
    story.move(State.UP, clock.now())
    for n in range(2_000):
        history.said(line(clock, f"{n} " + "x" * 500))
    await until(lambda: "the disk is full" in (history.trouble or ""))
    story.move(State.DOWN, clock.now())
    for connection in tuple(made):
        connection.execute("PRAGMA max_page_count = 100000")
    assert history.flush(20)
    assert history.trouble is None
    assert transitions(path) == [("unknown", "up"), ("up", "down")]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM log WHERE text LIKE '% x%'").fetchone() == (2_000,)
    history.close()


async def test_a_slow_disk_delays_nobody_and_is_said(path: Path, clock: FakeClock) -> None:
    gate, stuck = threading.Event(), threading.Event()
    gate.set()

    class Slow(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:  # type: ignore[override]
            if statement == "COMMIT" and not gate.is_set():
                stuck.set()
                gate.wait(20)
            return super().execute(statement, *values)  # type: ignore[arg-type]

    def connect(where: Path) -> sqlite3.Connection:
        return sqlite3.connect(where, isolation_level=None, check_same_thread=False, factory=Slow)

    history = History(path, clock, connect=connect)
    history.open()
    history.flush()
    gate.clear()
    Story(history).move(State.UP, clock.now())
    await until(stuck.is_set)
    assert history.trouble is None
    await clock.advance(7)
    assert history.trouble is not None
    assert history.trouble.startswith("The history's disk is slow: one write takes 7 s.")
    began_s = time.perf_counter()
    history.said(line(clock))
    assert time.perf_counter() - began_s < 0.1
    gate.set()
    assert history.flush()
    history.said(line(clock))
    assert history.flush()
    assert history.trouble is None
    history.close()


async def test_a_file_that_may_only_be_read_is_said_and_mends(path: Path, clock: FakeClock) -> None:
    is_readonly = False

    def connect(where: Path) -> sqlite3.Connection:
        connection = _file.connect(where)
        connection.execute(f"PRAGMA query_only = {is_readonly:d}")
        made.append(connection)
        return connection

    made: list[sqlite3.Connection] = []
    history = History(path, clock, connect=connect)
    history.open()
    history.flush()
    is_readonly = True
    made[0].execute("PRAGMA query_only = 1")
    Story(history).move(State.UP, clock.now())
    await until(lambda: "may only be read" in (history.trouble or ""))
    is_readonly = False
    assert history.flush(20)
    assert transitions(path) == [("unknown", "up")]
    history.close()


async def test_a_folder_that_cannot_be_used_is_trouble_until_it_can(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "data"
    folder.write_text("not a folder")
    history = History(folder / "history.sqlite3", clock)
    history.open()
    Story(history).move(State.UP, clock.now())
    assert history.trouble is not None
    with pytest.raises(OutOfReach):
        history.standings()
    folder.unlink()
    assert history.flush(20)
    assert [standing.state for standing in history.standings()] == [State.UP]
    assert history.trouble is None
    history.close()


async def test_a_broken_file_is_kept_under_another_name_and_a_new_one_begins(path: Path, clock: FakeClock) -> None:
    path.write_bytes(b"this is no database at all" * 1_000)
    history = History(path, clock)
    history.open()
    Story(history).move(State.UP, clock.now())
    assert history.flush()
    (aside,) = path.parent.glob("history.broken-*.sqlite3")
    assert aside.read_bytes().startswith(b"this is no database")
    assert history.trouble == f"The history was damaged; it is kept as {aside.name}, and a new one was begun."
    assert transitions(path) == [("unknown", "up")]
    history.close()


async def test_a_file_that_breaks_while_it_is_used_is_replaced_and_told_how_everything_stands(
    history: History, clock: FakeClock
) -> None:
    story = Story(history)
    story.move(State.UP, clock.now())
    incident = story.move(State.DOWN, clock.now() + hours(1))
    for n in range(2_000):
        history.said(line(clock, f"{n} " + "x" * 300))
    assert history.flush()
    connection = sqlite3.connect(history.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with history.path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(history.path.stat().st_size - 4096))
    for n in range(200):
        history.said(line(clock, f"after {n}"))
    await until(lambda: "was damaged" in (history.trouble or ""))
    assert history.flush()
    (standing,) = history.standings()
    assert (standing.state, standing.incident, standing.told) == (State.DOWN, incident, True)
    assert len(list(history.path.parent.glob("history.broken-*.sqlite3"))) == 1
    again = story.move(State.UP, clock.now() + hours(2))
    assert again is not None
    assert history.flush()
    assert transitions(history.path) == [("down", "up")]


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let go of an open file")
async def test_a_file_that_was_taken_away_is_made_anew(history: History, clock: FakeClock) -> None:
    Story(history).move(State.UP, clock.now())
    history.flush()
    for name in ("", "-wal", "-shm"):
        history.path.with_name(history.path.name + name).unlink()
    await clock.advance(11)
    history.said(line(clock))
    await until(lambda: "was taken away" in (history.trouble or ""))
    assert history.flush()
    assert [standing.state for standing in history.standings()] == [State.UP]


def test_a_file_from_the_future_is_refused_and_left_as_it_is(path: Path, clock: FakeClock) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.execute("CREATE TABLE later (x)")
    connection.close()
    history = History(path, clock)
    with pytest.raises(FromTheFuture, match="written by a newer Everwake") as refusal:
        history.open()
    assert refusal.value.exit_code == 2
    assert refusal.value.hint is not None
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall() == [("later",)]
    history.close()


def test_closing_a_locked_history_ends(path: Path, clock: FakeClock) -> None:
    history = History(path, clock)
    history.open()
    history.flush()
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    history.said(line(clock))
    history.close()
    lock.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("history-")]
