"""One task that waits for a message or a knock: nothing is lost, and the task and its context stay the server's own."""

import asyncio
import contextvars
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.keepalive._ear import Ear
from tests.everwake.keepalive.servers import until

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO")


def queue_ear() -> tuple[asyncio.Queue[Any], Ear]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    return queue, Ear(queue.get, asyncio.get_running_loop())


async def turn() -> None:
    """One turn of the loop."""
    await asyncio.sleep(0)


def knock(ear: Ear) -> None:
    """As the ticker does: from a callback of the loop."""
    asyncio.get_running_loop().call_soon(ear.knock)


@given(moves=st.lists(st.sampled_from(["message", "knock", "turn"]), max_size=60))
def test_every_message_comes_once_and_in_order_whatever_knocks_in_between(moves: list[str]) -> None:
    async def run() -> None:
        queue, ear = queue_ear()
        found: list[Any] = []
        knocks = 0

        async def listen() -> None:
            nonlocal knocks
            while True:
                event = await ear.listen()
                if event is None:
                    knocks += 1
                else:
                    found.append(event)

        task = asyncio.create_task(listen())
        sent, knocked = 0, 0
        for move in moves:
            if move == "message":
                queue.put_nowait(sent)
                sent += 1
            elif move == "knock":
                knock(ear)
                knocked += 1
            else:
                await turn()
        await until(lambda: len(found) == sent)
        await turn()
        assert found == list(range(sent))
        assert knocks <= knocked
        assert (knocks > 0) == (knocked > 0)
        task.cancel()
        await asyncio.wait({task})
        ear.close()

    asyncio.run(run())


async def test_receiving_and_what_follows_run_in_the_same_task_and_context() -> None:
    seen = []

    async def receive() -> Any:
        seen.append((asyncio.current_task(), WHO.get()))
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        seen.append((asyncio.current_task(), WHO.get()))
        return {"type": "x"}

    async def line() -> None:
        WHO.set("line")
        ear = Ear(receive, asyncio.get_running_loop())
        asyncio.get_running_loop().call_later(0.0005, ear.knock)
        while await ear.listen() is None:
            seen.append((asyncio.current_task(), WHO.get()))

    task = asyncio.create_task(line())
    await task
    assert set(seen) == {(task, "line")}


async def test_a_cancelled_line_cancels_what_it_was_receiving() -> None:
    ends = []

    async def receive() -> Any:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # tidying up may wait
            ends.append("cancelled")
            raise

    ear = Ear(receive, asyncio.get_running_loop())
    task = asyncio.create_task(ear.listen())
    await turn()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["cancelled"]


async def test_a_timeout_inside_a_server_works() -> None:
    async def receive() -> Any:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            return {"type": "timed out"}

    ear = Ear(receive, asyncio.get_running_loop())
    assert await ear.listen() == {"type": "timed out"}


async def test_what_a_server_raises_comes_out() -> None:
    async def receive() -> Any:
        await asyncio.sleep(0)
        raise ConnectionResetError("gone")

    ear = Ear(receive, asyncio.get_running_loop())
    with pytest.raises(ConnectionResetError, match="gone"):
        await ear.listen()


async def test_a_line_that_ends_closes_what_it_was_receiving() -> None:
    ends = []

    async def receive() -> Any:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ends.append("closed")

    ear = Ear(receive, asyncio.get_running_loop())
    knock(ear)
    await turn()
    assert await ear.listen() is None  # knocked before it ever received
    knock(ear)
    assert await ear.listen() is None  # knocked while receiving
    assert ends == []
    ear.close()
    assert ends == ["closed"]
