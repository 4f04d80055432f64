"""WebSockets through the edge: both ways, to their end, and what counts as something that came in."""

import asyncio
import contextlib
import sys

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from everwake.sim.edge.limits import Limits
from everwake.sim.edge.routes import Refusal
from tests.everwake.sim.edge.standing import SERVICE, before, split, until
from tests.support import faulty
from tests.support.fake_clock import FakeClock

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


async def echo(line: ServerConnection) -> None:
    async for message in line:
        if message == "close":
            await line.close(4_001, "as asked")
        elif message == "count":
            for number in range(100):
                await line.send(str(number))
        else:
            await line.send(message)


@contextlib.asynccontextmanager
async def chatting(**options: object):  # type: ignore[no-untyped-def]
    """(edge before a server of `websockets`, a client of it through the edge)"""
    async with serve(echo, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        async with before(server.sockets[0].getsockname()[1]) as standing:
            async with connect(
                f"ws://127.0.0.1:{standing.port}/ws", max_size=None, ping_interval=None, **options
            ) as line:
                yield standing, line


async def ask(line: ClientConnection, message: str | bytes) -> str | bytes:
    await line.send(message)
    return await asyncio.wait_for(line.recv(), 10)


async def test_messages_of_every_size_pass_both_ways() -> None:
    async with chatting() as (standing, line):
        assert line.response.headers["x-render-origin-server"] == "Render"
        assert "rndr-id" in line.response.headers
        sizes = [0, 1, 125, 126, 65_535, 65_536, 3_000_000]
        for size in sizes:
            assert await ask(line, b"\x81" * size) == b"\x81" * size
            assert await ask(line, "é" * size) == "é" * size
        assert standing.platform.heard[SERVICE] == 2 * len(sizes)
        assert standing.edge.traffic()[SERVICE].statuses == {101: 1}


async def test_what_the_server_says_and_pings_do_not_count_as_inbound() -> None:
    async with chatting() as (standing, line):
        assert await ask(line, "count") == "0"
        for number in range(1, 100):
            assert await line.recv() == str(number)
        for _ in range(5):
            await (await line.ping())
            await line.pong()
        assert await ask(line, "last") == "last"
        assert standing.platform.heard[SERVICE] == 2


async def test_a_compressed_message_counts_like_any_other() -> None:
    async with chatting(compression="deflate") as (standing, line):
        assert "permessage-deflate" in line.response.headers["Sec-WebSocket-Extensions"]
        for _ in range(20):
            await ask(line, "the same words " * 50)
        assert standing.platform.heard[SERVICE] == 20


async def test_a_message_in_fragments_is_one_message() -> None:
    async with chatting() as (standing, line):
        await line.send(["a", "b", "c"])
        assert await line.recv() == "abc"
        assert standing.platform.heard[SERVICE] == 1


async def test_the_codes_of_a_close_pass_both_ways() -> None:
    async with chatting() as (standing, line):
        with pytest.raises(ConnectionClosedError) as closed:
            await ask(line, "close")
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4_001, "as asked")  # type: ignore[union-attr]
    codes = []

    async def tells(line: ServerConnection) -> None:
        await line.wait_closed()
        codes.append(line.close_code)

    async with serve(tells, "127.0.0.1", 0) as server, before(server.sockets[0].getsockname()[1]) as standing:
        async with connect(f"ws://127.0.0.1:{standing.port}/") as line:
            await line.close(4_002)
        await until(lambda: codes == [4_002])
        await until(lambda: standing.edge.connections == 0)


async def test_a_server_that_dies_is_noticed_and_so_is_a_client() -> None:
    gone = asyncio.Event()

    async def one(line: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosedError):
            async for message in line:
                if message == "die":
                    line.transport.abort()
        gone.set()

    async with serve(one, "127.0.0.1", 0) as server, before(server.sockets[0].getsockname()[1]) as standing:
        async with connect(f"ws://127.0.0.1:{standing.port}/") as line:
            with pytest.raises(ConnectionClosedError):
                await ask(line, "die")
        gone.clear()
        async with connect(f"ws://127.0.0.1:{standing.port}/") as line:
            line.transport.abort()
            await asyncio.wait_for(gone.wait(), 5)
        await until(lambda: standing.edge.connections == 0)


async def test_a_service_that_refuses_the_upgrade_is_quoted_and_the_platform_too() -> None:
    async with before(faulty.says(b"no", status="403 Forbidden")) as standing:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{standing.port}/")
        assert refused.value.response.status_code == 403
    async with before(Refusal(status=503, routing="suspend")) as standing:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{standing.port}/")
        assert refused.value.response.headers["x-render-routing"] == "suspend"


async def test_a_switch_that_nobody_asked_for_is_no_answer() -> None:
    async with before(faulty.raw(SWITCHED)) as standing:
        assert split(await standing.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))[0] == 502
        # To h2c neither: the edge does not pass that wish on.
        assert (
            split(await standing.say(UPGRADE.replace(b"websocket", b"h2c").replace(b"Upgrade\r", b"Upgrade, close\r")))[
                0
            ]
            == 502
        )


async def test_what_comes_with_the_switch_itself_is_not_lost_on_either_side() -> None:
    async def hasty(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED + b"\x81\x02hi")
        line.server.requests.append(await line.reader.readexactly(8))
        await line.hold()

    async with before(hasty) as standing, standing.line() as (reader, writer):
        writer.write(UPGRADE + b"\x81\x82\0\0\0\0yo")  # sooner than it may; still its own
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await reader.readexactly(4) == b"\x81\x02hi"
        await until(lambda: standing.app.requests == [b"\x81\x82\0\0\0\0yo"])
        assert standing.platform.heard[SERVICE] == 1


async def test_one_side_may_have_said_all_while_the_other_goes_on() -> None:
    async def patient(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        said = await line.reader.read()
        for _ in range(3):
            await asyncio.sleep(0.02)
            await line.send(b"<" + said + b">")

    async with before(patient) as standing, standing.line() as (reader, writer):
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"bye")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b"<bye>" * 3
        await until(lambda: standing.edge.connections == 0)

    async def hasty(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        line.writer.write_eof()
        line.server.requests.append(await line.reader.read())

    async with before(hasty) as standing, standing.line() as (reader, writer):
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b""
        writer.write(b"still here")
        writer.write_eof()
        await until(lambda: standing.app.requests == [b"still here"])


async def test_a_side_that_never_ends_after_the_other_has_is_ended() -> None:
    async def frozen(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        await asyncio.sleep(60)

    clock = FakeClock()
    async with before(frozen, clock=clock) as standing, standing.line() as (reader, writer):
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        await clock.advance(86_400 / 24)  # a quiet line may be as quiet as it likes
        assert standing.edge.connections == 1
        writer.close()
        await asyncio.sleep(0.05)
        await clock.advance(4)
        await until(lambda: standing.edge.connections == 0)


async def test_a_client_that_stays_when_the_server_has_ended_is_ended() -> None:
    async def leaves(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        line.writer.write_eof()
        await line.hold()

    clock = FakeClock()
    async with before(leaves, clock=clock) as standing, standing.line() as (reader, writer):
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b""
        await clock.advance(20)
        assert standing.edge.connections == 1
        await clock.advance(20)
        await until(lambda: standing.edge.connections == 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say so before the socket is read")
async def test_a_client_lost_while_nobody_reads_what_it_sends_is_noticed() -> None:
    over = asyncio.Event()

    async def deaf(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()

    clock = FakeClock()
    async with before(deaf, clock=clock) as standing:
        async with standing.line() as (reader, writer):
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(bytes(50_000_000))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.5)
            faulty.Connection(reader, writer, standing.app).reset()
        await clock.advance(3)
        await until(lambda: not standing.edge._house.open)
        over.set()


async def test_a_client_that_does_not_read_holds_up_the_server() -> None:
    async def floods(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        while line.server.sent_bytes < 50_000_000:
            await line.send(faulty.BLOCK)

    async with before(floods) as standing, standing.line() as (reader, writer):
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        sent = -1
        while sent != standing.app.sent_bytes:
            sent = standing.app.sent_bytes
            await asyncio.sleep(0.2)
        assert sent < 30_000_000


async def test_a_server_that_does_not_read_holds_up_the_client() -> None:
    async def deaf(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with before(deaf) as standing, standing.line() as (reader, writer):
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while sent < 50_000_000:
                    writer.write(b"\x82\xff" + (1_000_000).to_bytes(8, "big") + bytes(4 + 1_000_000))
                    sent += 1_000_000
                    await writer.drain()
        assert sent < 30_000_000
        assert standing.platform.heard[SERVICE] <= sent // 1_000_000


async def test_a_thousand_lines_are_held_at_once() -> None:
    async def answers(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        while said := await line.reader.read(100):
            await line.send(said)

    async with before(answers, limits=Limits(grace_s=0.05)) as standing:

        async def one(number: int) -> None:
            async with standing.line() as (reader, writer):
                writer.write(UPGRADE)
                await reader.readuntil(b"\r\n\r\n")
                ready.release()
                await go.wait()
                message = b"\x81\x84\0\0\0\0%04d" % number
                writer.write(message)
                assert await asyncio.wait_for(reader.readexactly(len(message)), 30) == message

        ready, go = asyncio.Semaphore(0), asyncio.Event()
        async with asyncio.TaskGroup() as lines:
            for number in range(1_000):
                lines.create_task(one(number))
                if number % 50 == 49:
                    await asyncio.sleep(0)
            for _ in range(1_000):
                await asyncio.wait_for(ready.acquire(), 30)
            assert standing.edge.connections == 1_000
            go.set()
        assert standing.platform.heard[SERVICE] == 1_000
        await until(lambda: standing.edge.connections == 0)
