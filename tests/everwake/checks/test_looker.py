"""The engine under HTTP: the same promises on every way of watching sockets, in the loop and from a thread beside it."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from everwake.checks._curl import Looker
from everwake.checks._sockets import EpollWatch, LoopWatch
from everwake.checks._transfer import Answer, Manner
from everwake.model import FailureKind, Phase
from tests.support import faulty
from tests.support.faulty import serve

PLAIN = Manner()
WAYS = {"epoll": (EpollWatch, False), "loop": (LoopWatch, False), "thread": (LoopWatch, True)}


def make(way: str, *, at_once: int = 1_000) -> Looker:
    watch, in_thread = WAYS[way]
    return Looker(watch=watch, in_thread=in_thread, at_once=at_once)  # type: ignore[arg-type]


@pytest.fixture(params=WAYS)
async def looker(request: pytest.FixtureRequest) -> AsyncIterator[Looker]:
    made = make(request.param)
    yield made
    await made.close()


async def test_many_looks_at_once_each_get_their_own_answer(looker: Looker) -> None:
    async def echoes(line: faulty.Connection) -> None:
        path = (await line.request()).split()[1]
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(path), path))
        await line.hold()

    async with serve(echoes) as server:
        answers = await asyncio.gather(*(looker.ask(f"{server.url}/{n}", PLAIN, 10.0) for n in range(200)))
    assert [answer.body for answer in answers] == [f"/{n}".encode() for n in range(200)]
    assert {answer.status for answer in answers} == {200}


async def test_good_and_bad_looks_side_by_side_do_not_mix(looker: Looker) -> None:
    kinds = {
        faulty.says(): None,
        faulty.hangs_up_without_a_word: FailureKind.CLOSED_EARLY,
        faulty.stalls_in_the_body: FailureKind.TIMEOUT,
        faulty.raw(faulty.BAD_CHUNK): FailureKind.BAD_PROTOCOL,
        faulty.many_headers(10_000): FailureKind.HEADERS_TOO_LARGE,
    }

    async def one(handler: faulty.Handler) -> FailureKind | None:
        async with serve(handler) as server:
            # Only what stalls may run out of time, however busy the machine is.
            answer = await looker.ask(server.url, PLAIN, 0.5 if handler is faulty.stalls_in_the_body else 30.0)
            return answer.failure and answer.failure.kind

    for _ in range(3):
        found = await asyncio.gather(*(one(handler) for handler in kinds))
        assert found == list(kinds.values())


async def test_a_cancelled_look_closes_its_connection(looker: Looker) -> None:
    ended = asyncio.Event()

    async def waits(line: faulty.Connection) -> None:
        begun.set()
        await line.hold()
        ended.set()

    begun = asyncio.Event()
    async with serve(waits) as server:
        asking = asyncio.create_task(looker.ask(server.url, PLAIN, 30.0))
        await asyncio.wait_for(begun.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("way", WAYS)
async def test_closing_ends_what_is_under_way(way: str) -> None:
    looker, ended, begun = make(way), asyncio.Event(), asyncio.Event()

    async def waits(line: faulty.Connection) -> None:
        begun.set()
        await line.hold()
        ended.set()

    answered: list[Answer] = []
    async with serve(waits) as server:
        looker.start(server.url, PLAIN, 30.0, answered.append)
        await asyncio.wait_for(begun.wait(), 5)
        await looker.close()
        await looker.close()
        await asyncio.wait_for(ended.wait(), 5)
    assert answered == []
    with pytest.raises(RuntimeError):
        looker.start("http://127.0.0.1:1/", PLAIN, 1.0, answered.append)


@pytest.mark.parametrize("way", WAYS)
async def test_more_looks_than_fit_wait_their_turn(way: str) -> None:
    looker, most, now = make(way, at_once=3), 0, 0

    async def counts(line: faulty.Connection) -> None:
        nonlocal most, now
        await line.request()
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await line.hold()

    async with serve(counts) as server:
        answers = await asyncio.gather(*(looker.ask(server.url, PLAIN, 10.0) for _ in range(20)))
    await looker.close()
    assert all(answer.failure is None for answer in answers)
    assert most <= 3


async def test_a_look_that_waits_its_turn_can_be_cancelled() -> None:
    looker = make("epoll", at_once=1)
    async with serve(faulty.never_says_anything) as server:
        first = asyncio.create_task(looker.ask(server.url, PLAIN, 30.0))
        second = asyncio.create_task(looker.ask(server.url, PLAIN, 30.0))
        await asyncio.sleep(0)
        for task in (second, first):
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError)
            for end in await asyncio.gather(first, second, return_exceptions=True)
        )
        async with serve(faulty.says()) as good:
            assert (await looker.ask(good.url, PLAIN, 5.0)).status == 200
    await looker.close()


async def test_a_handle_that_was_used_for_something_else_remembers_nothing_of_it() -> None:
    """One handle, asked in ever other manners: nothing of a look may be seen in the next one."""
    looker = make("epoll", at_once=1)
    post = Manner(method="POST", body=b"secret body", headers=("X-Secret: 1",))
    async with serve(faulty.says()) as server:
        await looker.ask(server.url, post, 5.0)
        await looker.ask(server.url, PLAIN, 5.0)
        await looker.ask(f"{server.url}/x", PLAIN, 5.0)
        requests = server.requests
    await looker.close()
    assert requests[0].startswith(b"POST / ")
    for request in requests[1:]:
        assert request.startswith(b"GET /")
        assert b"X-Secret" not in request
        assert b"ontent-" not in request


async def test_a_timeout_of_one_look_does_not_end_the_next_one_early() -> None:
    looker = make("epoll", at_once=1)
    async with serve(faulty.says(delay_s=0.3)) as server:
        hasty = await looker.ask(server.url, PLAIN, 0.1)
        patient = await looker.ask(server.url, PLAIN, 5.0)
    await looker.close()
    assert hasty.failure is not None
    assert hasty.failure.phase is Phase.FIRST_BYTE
    assert patient.failure is None


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc/self/fd: run it on Linux")
@pytest.mark.parametrize("way", WAYS)
async def test_fifty_starts_and_stops_leave_no_descriptor_task_or_thread(way: str) -> None:
    def standing() -> tuple[int, int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks()), threading.active_count()

    async def cycle(url: str) -> None:
        looker = make(way)
        await asyncio.gather(*(looker.ask(url, PLAIN, 5.0) for _ in range(3)))
        looker.start(url, PLAIN, 5.0, lambda answer: None)
        await looker.close()

    async with serve(faulty.says()) as server:
        await cycle(server.url)
        await _until(lambda: not server._open)
        before = standing()
        for _ in range(50):
            await cycle(server.url)
        await _until(lambda: not server._open)
        await _until(lambda: standing() <= before)
        assert standing() <= before


async def _until(is_so: object, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # type: ignore[operator]
            await asyncio.sleep(0.005)


def test_on_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop", reason="pip install uvloop")

    async def asks() -> int:
        looker = Looker()
        async with serve(faulty.says()) as server:
            answers = await asyncio.gather(*(looker.ask(server.url, PLAIN, 5.0) for _ in range(20)))
        await looker.close()
        return sum(answer.status == 200 for answer in answers)

    assert uvloop.run(asks()) == 20


async def test_the_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty.refusing_port() as port:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setitem(os.environ, name, f"http://127.0.0.1:{port}")
        looker = Looker()
        async with serve(faulty.says()) as server:
            assert (await looker.ask(server.url, PLAIN, 5.0)).status == 200
        await looker.close()
