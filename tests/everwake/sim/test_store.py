"""What lasts: records come back as they were, a write is all or nothing, logs and events stay bounded."""

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.errors import Misused
from everwake.sim import books as books_module
from everwake.sim import store as store_module
from everwake.sim._codec import dumped, loaded
from everwake.sim.books import Books
from everwake.sim.instance import shell
from everwake.sim.lines import Lines, level_of, matches
from everwake.sim.meter import Meter
from everwake.sim.processes import tree
from everwake.sim.records import (
    Broken,
    Commit,
    Deploy,
    DeployStatus,
    LogEntry,
    Service,
    ServiceType,
    Suspender,
    Trigger,
)
from everwake.sim.store import Store
from everwake.sim.verbs import LogQuery, Metric, Refused

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
TEXT = st.text(max_size=30)
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - a zone is given
COMMITS = st.builds(
    Commit, id=TEXT, message=TEXT, created_at=TIMES, build_command=st.none() | TEXT, start_command=st.none() | TEXT
)
SERVICES = st.builds(
    Service, id=TEXT, owner_id=TEXT, name=TEXT, type=st.sampled_from(ServiceType), plan=TEXT, created_at=TIMES, updated_at=TIMES,
    port=st.integers(0, 65535), env=st.dictionaries(TEXT, TEXT, max_size=3), groups=st.lists(TEXT, max_size=2).map(tuple),
    commits=st.lists(COMMITS, max_size=2).map(tuple), suspenders=st.frozensets(st.sampled_from(Suspender)), ours=st.booleans(),
)  # fmt: skip
BROKEN = st.builds(
    Broken, service_id=TEXT, how=TEXT, at=TIMES, variables=st.dictionaries(TEXT, st.none() | TEXT, max_size=3),
    health_check_path=st.none() | TEXT, commit_id=TEXT,
)  # fmt: skip


@given(SERVICES | BROKEN)
def test_a_record_comes_back_as_it_was(record: Service | Broken) -> None:
    assert loaded(type(record), dumped(record)) == record


def deploy(n: int, status: DeployStatus = DeployStatus.CANCELED) -> Deploy:
    commit = Commit(id="c", message="", created_at=NOW)
    at = NOW + timedelta(seconds=n)
    return Deploy(
        id=f"dep-{n}", service_id="srv-1", commit=commit, status=status, trigger=Trigger.API, created_at=at, updated_at=at
    )  # fmt: skip


def test_a_write_is_all_or_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "a.sqlite3") as store:
        store.write([deploy(1)])
        with pytest.raises(TypeError):
            store.write([deploy(2), replace(deploy(3), env={"A": object()})], gone=[deploy(1)])  # type: ignore[dict-item]
        assert [each.id for each in store.read(Deploy)] == ["dep-1"]


def test_a_file_of_a_newer_version_or_none_at_all_is_told(tmp_path: Path) -> None:
    newer, none = tmp_path / "newer.sqlite3", tmp_path / "none.sqlite3"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    none.write_bytes(b"this is not a database, whatever its name says" * 50)
    for file in (newer, none):
        with pytest.raises(Misused), Store(file):
            pass


def test_old_deploys_and_events_make_room_but_never_the_live_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books_module, "KEPT_DEPLOYS", 5)
    monkeypatch.setattr(books_module, "KEPT_EVENTS", 5)
    with Store(tmp_path / "a.sqlite3") as store:
        books = Books(store, lambda: NOW)
        books.put(deploy(0, DeployStatus.LIVE), replace(books.standing("srv-1"), live="dep-0"))
        for n in range(1, 20):
            books.put(deploy(n), books.happened("srv-1", "server_available"))
        for those in (books, Books(store, lambda: NOW)):
            assert [each.id for each in those.deploys("srv-1")] == ["dep-19", "dep-18", "dep-17", "dep-16", "dep-0"]
            assert len(those.events("srv-1")) == 5


def test_of_a_chatty_service_the_latest_lines_are_kept_and_a_quiet_ones_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "KEPT_LINES", 50)
    monkeypatch.setattr(store_module, "TRIM_EVERY", 100)
    with Store(tmp_path / "a.sqlite3") as store:
        lines = Lines(store, lambda: NOW)
        lines.say("quiet", "once")
        for n in range(1000):
            lines.say("chatty", f"line {n}")
        lines.flush()
        chatty = store.lines(LogQuery(services=("chatty",), limit=100), 1000)
        assert 50 <= len(chatty) < 50 + 600
        assert chatty[0].text == "line 999"
        assert len(store.lines(LogQuery(services=("quiet",)), 10)) == 1


@given(text=st.text("ab%_*\\?[", max_size=8), wanted=st.text("ab%_*\\?[", min_size=1, max_size=4))
def test_a_page_and_a_follower_find_the_same_lines(text: str, wanted: str) -> None:
    with TemporaryDirectory() as folder, Store(Path(folder) / "a.sqlite3") as store:
        lines = Lines(store, lambda: NOW)
        lines.say("srv-1", text)
        query = LogQuery(services=("srv-1",), texts=(wanted,))
        entry = LogEntry(id="", service_id="srv-1", at=NOW, type="app", text=text)
        assert bool(lines.page(query).entries) == matches(entry, query)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("all is well", "info"), ("ERROR: broken", "error"), ("Traceback (most recent call last):", "error"),
        ("ModuleNotFoundError: No module named 'x'", "error"), ("2026 WARNING low", "warning"), ("DEBUG x", "debug"),
        ('{"level": "error", "message": "x"}', "error"), ('{"level": "odd"}', "info"), ("{ERROR: no JSON", "error"),
        ("terror", "info"),
    ],
)  # fmt: skip
def test_what_level_a_line_seems_to_be_of(text: str, level: str) -> None:
    assert level_of(text) == level


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("chatify chatbot", "exec chatify chatbot"),
        ("uvicorn app:app --port $PORT", "exec uvicorn app:app --port $PORT"),
        ("cd sub && npm start", "cd sub && npm start"),
        ("A=1 npm start", "A=1 npm start"),
        ("echo hi", "echo hi"),
        ("serve & wait", "serve & wait"),
        ("", ""),
    ],
)
def test_a_command_of_one_program_takes_the_shells_place(command: str, argument: str) -> None:
    assert shell(command) == ("/bin/sh", "-c", argument)


def test_what_a_process_and_its_children_use_is_added_up() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        everyone = tree.look()
        assert {os.getpid(), child.pid} <= tree.descendants(os.getpid(), everyone)
        both, alone = tree.used(os.getpid(), everyone), everyone[os.getpid()]
        assert both.memory_bytes > alone.memory_bytes > 10 * 2**20
        assert child.stdin is not None
        child.stdin.close()
    assert tree.descendants(2**30, everyone) == set()


def test_samples_are_put_into_buckets() -> None:
    meter = Meter()
    for n in range(4):
        at = NOW + timedelta(seconds=30 * n)
        meter.sampled("srv-1", {"srv-1-a": tree.Use(0, 100 + n, 1.5 * n)}, at)
        meter.answered("srv-1", {200: 2, 503: n}, 1000, at)
    window = (NOW, NOW + timedelta(hours=1), 60)
    memory = meter.series(Metric.MEMORY, "srv-1", *window)[0]
    assert [each.value for each in memory.samples] == [100.5, 102.5]
    assert [each.value for each in meter.series(Metric.CPU, "srv-1", *window)[0].samples] == [pytest.approx(0.05)] * 2
    assert [each.value for each in meter.series(Metric.BANDWIDTH, "srv-1", *window)[0].samples] == [2000, 2000]
    counted = meter.series(Metric.HTTP_REQUESTS, "srv-1", *window)
    requests = {each.labels["statusCode"]: [one.value for one in each.samples] for each in counted}
    assert requests == {"200": [4, 4], "503": [1, 5]}
    assert meter.series(Metric.MEMORY, "srv-2", *window) == []
    with pytest.raises(Refused):
        meter.series(Metric.CPU, "srv-1", NOW, NOW, 5)
