"""The persistent client against real servers: what it sends, what it tells, when it hangs up and calls again."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from everwake.keepalive import KeepAlive
from everwake.keepalive.client import (
    Beat,
    Closed,
    Connected,
    Event,
    Failed,
    KeepAliveClient,
    Late,
    Missed,
    Reconnecting,
    hold,
)
from everwake.keepalive.protocol import Pings, pong
from everwake.keepalive.reconnect import Backoff
from tests.everwake.keepalive.servers import WITHIN_S, serving, until


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def answering(talk: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """A WebSocket server that does what `talk` says with each line."""
    async with serve(talk, "127.0.0.1", 0, compression=None, close_timeout=0.1, ping_interval=None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def first(client: KeepAliveClient, count: int) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(WITHIN_S):
        async for event in client:
            found.append(event)
            if len(found) == count:
                break
    return found


def kinds(events: list[Event]) -> list[type]:
    return [type(event) for event in events]


async def test_every_ping_is_told_and_answered_with_its_seq() -> None:
    keepalive = KeepAlive(every_s=0.05)
    async with serving(keepalive) as url, KeepAliveClient(url, every_s=10) as client:
        events = await first(client, 5)
        assert kinds(events) == [Connected, Beat, Beat, Beat, Beat]
        assert [event.seq for event in events if isinstance(event, Beat)] == [0, 1, 2, 3]
        await until(lambda: keepalive.stats.heard >= 4)
        assert keepalive.stats.ignored == 0


async def test_it_shows_its_token() -> None:
    async with serving(KeepAlive(token="sesame")) as url:
        async with KeepAliveClient(url, token="sesame") as client:
            assert kinds(await first(client, 2)) == [Connected, Beat]
        async with KeepAliveClient(url, token="wrong") as client:
            events = await first(client, 2)
            assert isinstance(events[1], Closed)
            assert events[1].code == 1008


async def test_a_server_without_beats_gets_pings_of_the_clients_own_and_its_pongs_count() -> None:
    asked = []

    async def talk(line: ServerConnection) -> None:
        async for data in line:
            asked.append(json.loads(data))
            await line.send(pong(asked[-1]["seq"], 0.0))

    async with answering(talk) as url, KeepAliveClient(url, every_s=0.1, late_s=0.01) as client:
        events = await first(client, 7)
        assert kinds(events) == [Connected, Beat, Beat, Beat, Beat, Beat, Beat]
        assert [(said["type"], said["seq"]) for said in asked] == [("ping", n) for n in range(6)]
        assert [event.gap_s for event in events[2:] if isinstance(event, Beat)] == [pytest.approx(0.1, abs=0.05)] * 5


async def test_silence_is_told_late_then_missed_and_after_two_it_hangs_up_and_calls_again() -> None:
    async def talk(line: ServerConnection) -> None:
        await line.send(Pings("chatbot").frame(0, 0.0))
        await asyncio.sleep(0.05)
        await line.send(Pings("chatbot").frame(1, 0.0))
        await line.wait_closed()

    backoff = Backoff(first_s=0.01)
    async with answering(talk) as url, KeepAliveClient(url, every_s=0.1, late_s=0.01, backoff=backoff) as client:
        events = await first(client, 9)
        assert kinds(events) == [Connected, Beat, Beat, Late, Missed, Missed, Closed, Reconnecting, Connected]
        assert [event.count for event in events if isinstance(event, Missed)] == [1, 2]
        closed = events[6]
        assert isinstance(closed, Closed)
        assert closed.by_us
        assert closed.lasted_s >= 0.25


async def test_a_line_that_stayed_but_said_nothing_does_not_count_as_one_that_lasted() -> None:
    async def talk(line: ServerConnection) -> None:
        await line.wait_closed()

    backoff = Backoff(first_s=0.001, stable_s=0.05)
    async with answering(talk) as url, KeepAliveClient(url, every_s=0.05, late_s=0.01, backoff=backoff) as client:
        events = await first(client, 14)
        assert [event.drops for event in events if isinstance(event, Reconnecting)] == [1, 2]


async def test_the_servers_close_code_is_told() -> None:
    async def talk(line: ServerConnection) -> None:
        await line.close(1013, "full")

    async with answering(talk) as url, KeepAliveClient(url) as client:
        closed = (await first(client, 2))[1]
        assert isinstance(closed, Closed)
        assert (closed.code, closed.reason, closed.by_us) == (1013, "full", False)


async def test_a_line_that_breaks_is_told_as_1006() -> None:
    async def talk(line: ServerConnection) -> None:
        line.transport.abort()

    async with answering(talk) as url, KeepAliveClient(url) as client:
        closed = (await first(client, 2))[1]
        assert isinstance(closed, Closed)
        assert closed.code == 1006


async def test_a_server_that_accepts_and_hangs_up_is_not_hammered() -> None:
    """An hour of it, on a clock of the test's own: a naive client makes 3,600 calls and more."""
    calls = 0

    async def talk(line: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        await line.close(1001)

    clock = Clock()
    told: list[Event] = []
    async with answering(talk) as url:
        holding = asyncio.create_task(
            hold(url, told.append, now=clock.now, sleep=clock.sleep, roll=lambda: 0.5, backoff=Backoff())
        )
        await until(lambda: clock.now_s >= 3600)
        holding.cancel()
        await asyncio.wait({holding})
    assert clock.slept[:7] == [1, 2, 4, 8, 16, 32, 40]
    assert calls < 100
    assert [event.drops for event in told if isinstance(event, Reconnecting)][:3] == [1, 2, 3]


async def test_a_line_that_lasted_is_called_again_soon() -> None:
    clock, lines = Clock(), 0

    async def talk(line: ServerConnection) -> None:
        await line.close(1001)

    def tell(event: Event) -> None:
        nonlocal lines
        if isinstance(event, Connected):
            lines += 1
            clock.now_s += 100 if lines == 4 else 0  # the fourth line lasts

    async with answering(talk) as url:
        # Patience of a day, so that the jump of the clock is no silence.
        holding = asyncio.create_task(
            hold(
                url,
                tell,
                every_s=86_400,
                now=clock.now,
                sleep=clock.sleep,
                roll=lambda: 0.5,
                backoff=Backoff(stable_s=60),
            )
        )
        await until(lambda: len(clock.slept) >= 6)
        holding.cancel()
        await asyncio.wait({holding})
    assert clock.slept[:6] == [1, 2, 4, 1, 2, 4]


async def test_a_refused_connection_is_told_with_its_error_and_tried_again() -> None:
    clock, told = Clock(), list[Event]()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    holding = asyncio.create_task(
        hold(f"ws://127.0.0.1:{port}", told.append, now=clock.now, sleep=clock.sleep, roll=lambda: 0.5)
    )
    await until(lambda: len(told) >= 4)
    holding.cancel()
    await asyncio.wait({holding})
    assert kinds(told)[:4] == [Failed, Reconnecting, Failed, Reconnecting]
    assert isinstance(told[0], Failed)
    assert isinstance(told[0].error, ConnectionRefusedError)


async def test_an_http_answer_is_told_with_its_status() -> None:
    async def asleep(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 503, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"Service Suspended"})

    async with serving(asleep) as url, KeepAliveClient(url) as client:
        failed = (await first(client, 1))[0]
        assert isinstance(failed, Failed)
        assert failed.status == 503


@pytest.mark.parametrize("url", ["http://example.org", "example.org", "ws://"])
async def test_what_is_no_websocket_url_is_an_error_and_not_a_failure(url: str) -> None:
    with pytest.raises(ValueError, match="WebSocket URL"):
        async with KeepAliveClient(url) as client:
            await first(client, 1)


async def test_closing_takes_two_seconds_at_the_most_whatever_the_server_does() -> None:
    """A server that took the line and then does nothing, not even answer the close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from websockets.http11 import Request
        from websockets.server import ServerProtocol

        protocol = ServerProtocol()
        while not (asked := [event for event in protocol.events_received() if isinstance(event, Request)]):
            protocol.receive_data(await reader.read(4096))
        protocol.send_response(protocol.accept(asked[0]))
        writer.write(b"".join(protocol.data_to_send()))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            await hung.wait()
        writer.close()

    hung = asyncio.Event()
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        client = KeepAliveClient(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with client:
            assert kinds(await first(client, 1)) == [Connected]
            async with asyncio.timeout(4):
                await client.close()
        hung.set()


async def test_closing_while_it_waits_to_call_again_ends_the_iteration() -> None:
    async with KeepAliveClient("ws://127.0.0.1:1") as client:
        assert kinds(await first(client, 2)) == [Failed, Reconnecting]
        await client.close()
        assert [event async for event in client] == []


async def test_whoever_does_not_listen_loses_the_oldest_events_and_never_the_line() -> None:
    clock = Clock()
    async with KeepAliveClient("ws://127.0.0.1:1", now=clock.now, sleep=clock.sleep) as client:
        await until(lambda: client.lost >= 2)
        assert len(await first(client, 1000)) == 1000


async def test_twenty_times_open_and_close_leaves_no_task_behind() -> None:
    keepalive = KeepAlive(every_s=0.05)
    async with serving(keepalive) as url:
        before = len(asyncio.all_tasks())
        for _ in range(20):
            async with KeepAliveClient(url) as client:
                await first(client, 2)
        await until(lambda: keepalive.stats.lines == 0 and len(asyncio.all_tasks()) == before)
