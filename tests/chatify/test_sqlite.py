"""One SQLite file for many tasks and several processes: group commit, savepoints, deadlines, a clean end."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from sqlite3 import Connection

import pytest

from chatify.sqlite import Database, DatabaseUnavailable

TABLE = (("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT UNIQUE)",),)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "folder" / "file.db", migrations=TABLE, deadline_s=2)
    await database.open()
    yield database
    await database.close()


def insert(text: str) -> Callable[[Connection], int | None]:
    def run(connection: Connection) -> int | None:
        return connection.execute("INSERT INTO t (text) VALUES (?)", (text,)).lastrowid

    return run


async def count(db: Database) -> int:
    return await db.read(lambda connection: int(connection.execute("SELECT count(*) FROM t").fetchone()[0]))


async def test_what_was_written_is_read_at_once(db: Database) -> None:
    for n in range(20):
        await db.write(insert(f"{n}"))
        assert await count(db) == n + 1


async def test_many_writes_share_commits(db: Database) -> None:
    commits = 0

    def look(connection: Connection) -> None:
        def counted(statement: str) -> None:
            nonlocal commits
            commits += statement == "COMMIT"

        connection.set_trace_callback(counted)

    await db.write(look)
    await asyncio.gather(*(db.write(insert(f"{n}")) for n in range(1000)))
    assert await count(db) == 1000
    assert commits <= 100


async def test_a_write_that_fails_takes_nobody_along(db: Database) -> None:
    await db.write(insert("taken"))

    def half(connection: Connection) -> None:
        connection.execute("INSERT INTO t (text) VALUES ('half')")
        raise KeyError("mine")

    told = await asyncio.gather(
        *(db.write(run) for n in range(50) for run in (insert(f"{n}"), insert("taken"), half)), return_exceptions=True
    )
    assert all(isinstance(one, int) for one in told[::3])
    assert all(isinstance(one, sqlite3.IntegrityError) for one in told[1::3])
    assert all(isinstance(one, KeyError) for one in told[2::3])
    assert await count(db) == 51


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration(), sqlite3.OperationalError("no code")])
async def test_a_single_write_that_fails_leaves_nothing(db: Database, error: Exception) -> None:
    def half(connection: Connection) -> None:
        connection.execute("INSERT INTO t (text) VALUES ('half')")
        raise error

    with pytest.raises((type(error), RuntimeError)):
        await db.write(half)
    assert await count(db) == 0
    await db.write(insert("next"))
    assert await count(db) == 1


async def test_a_mistake_in_the_sql_is_not_called_unavailable(db: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await db.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await db.read(lambda connection: connection.execute("SELECT * FROM nowhere").fetchone())


async def test_reading_changes_nothing(db: Database) -> None:
    with pytest.raises(DatabaseUnavailable) as told:
        await db.read(insert("x"))
    assert told.value.reason == "read_only"
    assert await count(db) == 0


async def test_the_loop_runs_on_while_a_write_takes_long(db: Database) -> None:
    release = threading.Event()
    writing = asyncio.ensure_future(db.write(lambda connection: release.wait(10)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert await count(db) == 0  # reading too
    assert not writing.done()
    release.set()
    assert await writing is True


async def test_who_waits_too_long_is_told_and_what_was_queued_is_not_run(tmp_path: Path) -> None:
    db = Database(tmp_path / "file.db", migrations=TABLE, deadline_s=0.3)
    await db.open()
    release = threading.Event()
    stuck = asyncio.ensure_future(db.write(lambda connection: release.wait(10)))
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable) as told:
        await db.write(insert("late"))
    assert told.value.reason == "timeout"
    release.set()
    with pytest.raises(DatabaseUnavailable):
        await stuck
    assert await count(db) == 0
    await db.write(insert("next"))
    await db.close()


async def test_who_leaves_before_its_turn_writes_nothing(db: Database) -> None:
    release = threading.Event()
    first = asyncio.ensure_future(db.write(lambda connection: release.wait(10)))
    await asyncio.sleep(0)
    left = asyncio.ensure_future(db.write(insert("left")))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    release.set()
    await first
    await db.write(insert("stayed"))
    assert await count(db) == 1


async def test_more_than_it_holds_is_overloaded_at_once(tmp_path: Path) -> None:
    db = Database(tmp_path / "file.db", migrations=TABLE, waiting_limit=10)
    await db.open()
    told = await asyncio.gather(*(db.write(insert(f"{n}")) for n in range(30)), return_exceptions=True)
    refused = [one for one in told if isinstance(one, DatabaseUnavailable)]
    assert len(refused) == 20
    assert {one.reason for one in refused} == {"overloaded"}
    assert await count(db) == 10
    await db.close()


async def test_closing_finishes_what_is_queued(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    db = Database(path, migrations=TABLE)
    await db.open()
    writes = [asyncio.ensure_future(db.write(insert(f"{n}"))) for n in range(500)]
    await asyncio.sleep(0)
    await db.close()
    await db.close()
    assert len(await asyncio.gather(*writes)) == 500
    with pytest.raises(DatabaseUnavailable) as told:
        await db.write(insert("after"))
    assert told.value.reason == "closed"
    assert sqlite3.connect(path).execute("SELECT count(*) FROM t").fetchone() == (500,)


async def test_fifty_lives_leave_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0

    db = Database(tmp_path / "file.db", migrations=TABLE)
    await db.open()
    await db.close()
    threads, opened = threading.active_count(), descriptors()
    for n in range(50):
        await db.open()
        await db.write(insert(f"{n}"))
        await db.close()
    assert threading.active_count() == threads
    assert descriptors() == opened


async def test_a_file_is_its_owners_alone(db: Database) -> None:
    if os.name == "posix":
        assert stat.S_IMODE(db.path.stat().st_mode) == 0o600


async def test_migrations_are_applied_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    versions = (*TABLE, ("ALTER TABLE t ADD COLUMN more TEXT DEFAULT 'new'",))
    for known in (versions[:1], versions, versions):
        db = Database(path, migrations=known)
        await db.open()
        await db.write(lambda connection: connection.execute("INSERT INTO t DEFAULT VALUES").lastrowid)
        await db.close()
    assert sqlite3.connect(path).execute("SELECT more FROM t").fetchall() == [("new",)] * 3
    older = Database(path, migrations=versions[:1])
    with pytest.raises(DatabaseUnavailable) as told:
        await older.open()
    assert told.value.reason == "too_new"


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    bad = Database(path, migrations=(*TABLE, ("CREATE TABLE u (n)", "CREATE TABLE t (n)")))
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        await bad.open()
    good = Database(path, migrations=TABLE)
    await good.open()
    assert await count(good) == 0
    await good.close()


async def test_several_first_starts_at_once_make_one_file(tmp_path: Path) -> None:
    databases = [Database(tmp_path / "file.db", migrations=TABLE, deadline_s=10) for _ in range(8)]
    await asyncio.gather(*(db.open() for db in databases))
    await asyncio.gather(*(db.write(insert(f"{n}-{i}")) for n, db in enumerate(databases) for i in range(50)))
    assert await count(databases[0]) == 400
    await asyncio.gather(*(db.close() for db in databases))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(b"SQLite format 3\x00" + b"\xff" * 5000, "corrupt"), (b"plain text, long enough" * 99, "corrupt")],
)
async def test_a_damaged_file_is_unavailable(tmp_path: Path, damage: bytes, reason: str) -> None:
    path = tmp_path / "file.db"
    path.write_bytes(damage)
    with pytest.raises(DatabaseUnavailable) as told:
        await Database(path, migrations=TABLE).open()
    assert told.value.reason == reason


async def test_a_folder_in_the_place_of_the_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable) as told:
        await Database(tmp_path).open()
    assert told.value.reason == "cannot_open"
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable) as told:
        await Database(tmp_path / "file" / "x.db").open()
    assert told.value.reason == "cannot_open"


async def test_a_full_disk_is_told_to_the_whole_group_and_ends_when_there_is_room(db: Database) -> None:
    async def pages(limit: int) -> None:
        await db.write(lambda connection: connection.execute(f"PRAGMA max_page_count = {limit}").fetchone())

    await db.write(insert("before"))
    await pages(20)
    told = await asyncio.gather(*(db.write(insert(f"{n}" * 4000)) for n in range(100)), return_exceptions=True)
    full = [one for one in told if isinstance(one, DatabaseUnavailable)]
    assert full
    assert {one.reason for one in full} == {"full"}
    assert await count(db) == 1 + sum(isinstance(one, int) for one in told)
    await pages(100_000)
    await db.write(insert("after"))


async def test_a_write_lock_that_somebody_else_holds_is_waited_for(db: Database) -> None:
    other = sqlite3.connect(db.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(db.write(insert("waits")))
    assert await count(db) == 0
    assert not writing.done()
    other.execute("COMMIT")
    other.close()
    assert await writing == 1


WRITER = """
import asyncio, sys
from pathlib import Path
from chatify.sqlite import Database

async def main():
    db = Database(Path(sys.argv[1]), migrations=((),), deadline_s=10)
    await db.open()
    print("ready", flush=True)
    for n in range(10**9):
        await db.write(lambda c: c.execute("INSERT INTO t (text) VALUES (?)", (f"{sys.argv[2]}-{n}",)))
        print(n, flush=True)

asyncio.run(main())
"""


async def test_what_was_answered_survives_a_kill_beside_another_writer(db: Database) -> None:
    for life in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(db.path), f"{life}"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            await db.write(insert(f"mine-{time.monotonic()}"))
        process.kill()
        answered = [line for line in process.stdout.read().split("\n")[:-1] if line]
        process.stdout.close()
        process.wait()
        stored = await db.read(
            lambda connection, life=life: {  # type: ignore[misc]
                row[0] for row in connection.execute("SELECT text FROM t WHERE text LIKE ?", (f"{life}-%",))
            }
        )
        assert {f"{life}-{n}" for n in answered} <= stored
        assert len(stored) <= len(answered) + 1
    assert await db.read(lambda connection: connection.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
