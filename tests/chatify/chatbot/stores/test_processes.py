"""Several processes on one store, and what is left when one of them is killed."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatify.chatbot.sessions import Begun, LimitReached, Replay, SessionStore
from chatify.chatbot.stores.redis import RedisStore
from chatify.chatbot.stores.sqlite import SqliteStore
from tests.chatify.chatbot.stores.told import a_session, at, begin

ROOT = Path(__file__).parents[4]


@dataclass
class Shared:
    """A store of this process, and how another process gets at it."""

    store: SessionStore
    kind: str
    where: str

    @contextmanager
    def process(self, session_id: str, job: str) -> Iterator[subprocess.Popen[str]]:
        """Another process that is ready to begin."""
        argv = [sys.executable, "-m", "tests.chatify.chatbot.stores.a_process", self.kind, self.where, session_id, job]
        process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()
            process.communicate()

    def at_once(self, session_id: str, job: str, count: int) -> list[dict[str, int]]:
        """What `count` processes that begin at the same moment say."""
        with ExitStack() as stack:
            processes = [stack.enter_context(self.process(session_id, job)) for _ in range(count)]
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            return [json.loads(process.stdout.readline()) for process in processes if process.stdout]


@pytest.fixture(params=["sqlite", "redis"])
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    if request.param == "sqlite":
        where = str(tmp_path / "sessions.db")
        made = Shared(SqliteStore(Path(where)), "sqlite", where)
    else:
        where = request.getfixturevalue("redis_url")
        made = Shared(RedisStore(where), "redis", where)
    await made.store.open()
    yield made
    await made.store.close()


async def test_exactly_twenty_of_two_hundred_from_two_processes_are_answered(shared: Shared) -> None:
    session = a_session(limit=20)
    await shared.store.create(session)
    told = shared.at_once(session.id, "rush", 2)
    assert sum(one.get("Finished", 0) for one in told) == 20
    assert sum(one.get("LimitReached", 0) for one in told) == 180
    found = await shared.store.get(session.id)
    assert found is not None
    assert found.responses_used == 20
    assert len(await shared.store.messages(session.id)) == 40
    assert isinstance(await begin(shared.store, session), LimitReached)


async def test_one_key_from_two_processes_is_answered_once_and_alike(shared: Shared) -> None:
    session = a_session()
    await shared.store.create(session)
    told = shared.at_once(session.id, "same_key", 2)
    assert sum(one.pop("made") for one in told) == 1
    assert len({*told[0], *told[1]}) == 1
    assert len(await shared.store.messages(session.id)) == 2


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_what_a_killed_process_was_told_is_stored_and_nothing_is_half_there(shared: Shared) -> None:
    kills = int(os.environ.get("SOAK", "10"))
    for _ in range(kills):
        session = a_session(limit=100_000)
        await shared.store.create(session)
        with shared.process(session.id, "work") as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            first = process.stdout.readline().strip()
            time.sleep(random.uniform(0, 0.2))  # the moment of the kill, not something that is waited for
            process.kill()
            told = [first, *process.stdout.read().split()]
        whole = [key for key in told if len(key) == 32]  # the last line may be cut
        found = await shared.store.get(session.id)
        assert found is not None
        shown = []
        while page := await shared.store.messages(session.id, after=shown[-1].id if shown else None):
            shown += page
        assert len(shown) == 2 * found.responses_used
        assert [m.role for m in shown] == ["user", "assistant"] * found.responses_used
        assert {len(m.text) for m in shown} == {2000}
        ids = [m.id for m in shown if m.role == "assistant"]
        assert len(set(ids)) == len(ids)
        assert set(whole) <= set(ids)
        again = await shared.store.begin(
            session.id, message_id="new", key=whole[-1], text="q" * 2000, now=at(1), lease_s=1
        )
        assert isinstance(again, Replay)
        # The places of what it had in the making are free as soon as their leases run out, with nobody cleaning up.
        free = await begin(shared.store, session, now=at(3000))
        assert isinstance(free, Begun)
