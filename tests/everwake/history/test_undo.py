"""What variables were before a remedy wrote them: back for whoever comes next with the platform's key, and for nobody else."""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.fleet.schema import Secret
from everwake.history import History
from everwake.history._sealing import seal, unseal
from everwake.history.schema import MIGRATIONS
from everwake.history.steps import StepStore
from everwake.history.undo import SealedUndo
from everwake.model import RemedyRun, RunState, State
from everwake.ports import Written
from tests.everwake.history.conftest import Story
from tests.everwake.history.test_steps import a_run
from tests.support.fake_clock import START, FakeClock

KEY = "the-platform-key-of-the-workspace"
OLD, NEW = "redis://me:hunter2-and-more@h -rsss", "redis://me:hunter2-and-more@h"
WRITTEN = Written(before={"REDIS_URL": OLD, "ADDED": None}, wrote={"REDIS_URL": NEW, "ADDED": "something-secret"})


class Folder:
    """A history that outlives the processes which use it."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.path, self.clock = path, clock
        self.history = History(path, clock)

    async def opened(self) -> None:
        self.history = History(self.path, self.clock)
        await asyncio.to_thread(self.history.open)

    async def again(self) -> None:
        """The process ended, and another begins."""
        await asyncio.to_thread(self.history.close)
        await self.opened()

    def undo(self, key: str | None = KEY) -> SealedUndo:
        return SealedUndo(self.history, self.clock, lambda service: None if key is None else Secret(key, "env KEY"))

    async def proposed(self, id: str = "rem-1", incident: str = "inc-1", service: str = "chatbot") -> RemedyRun:
        run = replace(a_run(id, service), incident=incident)
        assert await StepStore(self.history).propose(run)
        return run

    @property
    def records(self) -> int:
        with closing(sqlite3.connect(self.path)) as db:
            return int(db.execute("SELECT count(*) FROM sealed").fetchone()[0])

    @property
    def on_disk(self) -> bytes:
        return b"".join(file.read_bytes() for file in sorted(self.path.parent.iterdir()))


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    found = Folder(tmp_path / "history.sqlite3", FakeClock())
    await found.opened()
    yield found
    await asyncio.to_thread(found.history.close)


async def test_the_next_process_reads_it_with_the_platforms_key(folder: Folder) -> None:
    await folder.proposed()
    await folder.undo().keep("rem-1", "chatbot", WRITTEN)
    await folder.again()
    assert await folder.undo().recall("rem-1", "chatbot") == WRITTEN
    assert await folder.undo().recall("rem-2", "chatbot") is None


async def test_the_folder_shows_neither_values_nor_names_nor_the_key(folder: Folder) -> None:
    await folder.proposed()
    await folder.undo().keep("rem-1", "chatbot", WRITTEN)
    assert folder.records == 1
    assert {file.suffix for file in folder.path.parent.iterdir()} >= {".sqlite3", ".sqlite3-wal"}
    for look in (folder.on_disk, (await _closed(folder)).on_disk):
        for secret in (OLD, NEW, "hunter2", "something-secret", "REDIS_URL", KEY):
            for form in (
                secret.encode(),
                secret.encode("utf-16-le"),
                base64.b64encode(secret.encode()).rstrip(b"=")[:-1],
            ):
                assert form not in look, secret
    assert b"rem-1" in folder.on_disk  # the search would find what is there


async def _closed(folder: Folder) -> Folder:
    await asyncio.to_thread(folder.history.close)
    return folder


async def test_another_key_opens_nothing_and_says_so(folder: Folder) -> None:
    await folder.proposed()
    await folder.undo().keep("rem-1", "chatbot", WRITTEN)
    await folder.again()
    for key in ("another-key", None):
        assert await folder.undo(key).recall("rem-1", "chatbot") == Written(is_whole=False)
    # What was written after the key changed can be read, and that something is missing is known.
    undo, more = folder.undo("another-key"), Written(before={"PORT": "8000 "}, wrote={"PORT": "8000"})
    await undo.keep("rem-1", "chatbot", more)
    await folder.again()
    found = await folder.undo("another-key").recall("rem-1", "chatbot")
    assert found == Written(before=more.before, wrote=more.wrote, is_whole=False)


async def test_who_wrote_it_reads_it_whatever_became_of_the_key(folder: Folder) -> None:
    await folder.proposed()
    keys = [KEY]
    undo = SealedUndo(folder.history, folder.clock, lambda service: Secret(keys[-1], "env KEY"))
    await undo.keep("rem-1", "chatbot", WRITTEN)
    keys.append("another-key")
    assert await undo.recall("rem-1", "chatbot") == WRITTEN


async def test_without_a_key_it_is_remembered_by_this_process_alone(folder: Folder) -> None:
    await folder.proposed()
    undo = folder.undo(None)
    await undo.keep("rem-1", "chatbot", WRITTEN)
    assert folder.records == 0
    assert await undo.recall("rem-1", "chatbot") == WRITTEN
    assert await folder.undo(None).recall("rem-1", "chatbot") is None


async def test_a_record_moved_to_another_remedy_does_not_open(folder: Folder) -> None:
    await folder.proposed()
    await folder.proposed("rem-2", service="backend")
    await folder.undo().keep("rem-1", "chatbot", WRITTEN)
    await asyncio.to_thread(folder.history.close)
    with closing(sqlite3.connect(folder.path)) as db, db:
        db.execute("UPDATE sealed SET remedy = 'rem-2'")
    await folder.opened()
    assert await folder.undo().recall("rem-2", "backend") == Written(is_whole=False)


async def test_what_is_tried_again_is_kept_once_and_a_further_write_is_added(folder: Folder) -> None:
    await folder.proposed()
    undo = folder.undo()
    for _ in range(3):
        await undo.keep("rem-1", "chatbot", WRITTEN)
    assert folder.records == 1
    await undo.keep("rem-1", "chatbot", Written(before={"PORT": " 1"}, wrote={"PORT": "1"}))
    await folder.again()
    found = await folder.undo().recall("rem-1", "chatbot")
    assert found is not None
    assert (set(found.before), found.is_whole) == ({"REDIS_URL", "ADDED", "PORT"}, True)


async def test_after_seven_days_it_is_gone(folder: Folder) -> None:
    await folder.proposed()
    await folder.undo().keep("rem-1", "chatbot", WRITTEN)
    folder.clock.jump(timedelta(days=6, hours=23).total_seconds())
    await asyncio.to_thread(folder.history.tidy)
    assert await folder.undo().recall("rem-1", "chatbot") == WRITTEN
    folder.clock.jump(timedelta(hours=2).total_seconds())
    assert await folder.undo().recall("rem-1", "chatbot") is None
    await asyncio.to_thread(folder.history.tidy)
    assert folder.records == 0


async def test_when_its_incident_is_over_it_is_gone_and_others_stay(folder: Folder) -> None:
    await folder.proposed()
    await folder.proposed("rem-2", "inc-2", "backend")
    undo = folder.undo()
    await undo.keep("rem-1", "chatbot", WRITTEN)
    await undo.keep("rem-2", "backend", WRITTEN)
    await undo.forget("inc-1")
    assert folder.records == 1
    assert await undo.recall("rem-1", "chatbot") is None
    assert await undo.recall("rem-2", "backend") == WRITTEN


async def test_who_died_before_forgetting_leaves_it_to_the_upkeep(folder: Folder) -> None:
    story = Story(folder.history, "chatbot")
    opened = story.move(State.DOWN, folder.clock.now())
    assert opened is not None
    await folder.proposed(incident=opened.id)
    await folder.undo().keep("rem-1", "chatbot", WRITTEN)
    await asyncio.to_thread(folder.history.tidy)
    assert folder.records == 1
    story.move(State.UP, folder.clock.now())
    await asyncio.to_thread(folder.history.flush)
    await asyncio.to_thread(folder.history.tidy)
    assert folder.records == 0


@pytest.mark.parametrize("version", range(3, len(MIGRATIONS)))
async def test_an_older_file_opens_and_what_is_pending_in_it_goes_on(tmp_path: Path, version: int) -> None:
    path = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        for statement in [one for made in MIGRATIONS[:version] for one in made]:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
        db.execute(
            "INSERT INTO remedies (id, service, incident, playbook, about, cause, why, costs, proved_by, by_whom, state, target, "
            "before, back_to, deploys, asked_us, outcome, holder) VALUES ('rem-1', 'chatbot', 'inc-1', 'deploy', '', 'c', '', "
            "'', '', 'keeper', 'running', 'srv-1', 'down', '', 1, 1767267000000000, '', '')"
        )
        db.execute(
            "INSERT INTO steps (remedy, n, what, says, args, state, at_us, said) "
            "VALUES ('rem-1', 0, 'deploy', 'deploy', '{}', 'intended', 1767267000000000, '')"
        )
        db.commit()
    folder = Folder(path, FakeClock())
    await folder.opened()
    try:
        [pending] = await StepStore(folder.history).open()
        assert (pending.state, pending.next_step) == (RunState.RUNNING, 0)
        assert await StepStore(folder.history).claim("rem-1", "new", START, 30)
        await folder.undo().keep("rem-1", "chatbot", WRITTEN)
        assert await folder.undo().recall("rem-1", "chatbot") == WRITTEN
    finally:
        await asyncio.to_thread(folder.history.close)


# --- what belongs to it, alone ----------------------------------------------------------------------------------------------

values = st.text(max_size=4)
writes = st.dictionaries(st.sampled_from("ABC"), values, min_size=1)


@given(start=st.dictionaries(st.sampled_from("ABC"), values), ours=st.lists(writes, max_size=5))
def test_what_is_undone_is_what_was_there_before_the_first_write(
    start: dict[str, str], ours: list[dict[str, str]]
) -> None:
    env, known = dict(start), Written()
    for wanted in ours:
        known = known.then(Written(before={key: env.get(key) for key in wanted}, wrote=wanted))
        env |= wanted
    env = {key: value for key, value in {**env, **known.before}.items() if value is not None}
    assert env == start


@given(started=values, ours=values, theirs=values, again=values)
def test_what_somebody_wrote_in_between_is_what_comes_back(started: str, ours: str, theirs: str, again: str) -> None:
    first = Written(before={"A": started}, wrote={"A": ours})
    found = first.then(Written(before={"A": theirs}, wrote={"A": again}))
    assert found.before == {"A": started if theirs == ours else theirs}
    assert found.wrote == {"A": again}


@given(text=st.text(), key=st.text(min_size=1, max_size=50), other=st.text(min_size=1, max_size=50))
def test_what_is_sealed_opens_with_its_key_and_for_its_matter_alone(text: str, key: str, other: str) -> None:
    salt, token = seal(text, key, "rem-1")
    opened = unseal(salt, token, key, "rem-1")
    assert opened is not None
    assert opened.rstrip(" ") == text.rstrip(" ")
    assert unseal(salt, token, key, "rem-2") is None
    assert (unseal(salt, token, other, "rem-1") is None) is (other != key)
    assert unseal(salt, token[:-4] + b"AAAA", key, "rem-1") is None


@pytest.mark.parametrize("length", [1, 20, 900])
def test_how_long_a_value_is_does_not_show(length: int) -> None:
    assert len(seal("x" * length, KEY, "rem-1")[1]) == len(seal("x" * 500, KEY, "rem-1")[1])
