"""An edge that stops: who may finish, who goes at once, and that nothing is left."""

import asyncio
import gc
import sys
import threading
from contextlib import suppress

import psutil
import pytest

from everwake.clock import SystemClock
from everwake.sim.edge.limits import Limits
from everwake.sim.edge.routes import Upstream
from everwake.sim.edge.server import Edge
from tests.everwake.sim.edge.standing import GET, LAST_GET, SERVICE, Platform, before, split, until
from tests.everwake.sim.edge.test_websockets import SWITCHED, UPGRADE
from tests.support import faulty


async def test_a_request_under_way_may_finish_within_the_grace() -> None:
    async with before(faulty.says(b"done", delay_s=0.2), limits=Limits(grace_s=5)) as standing:
        asking = asyncio.create_task(standing.say(GET))
        await until(lambda: len(standing.app.requests) == 1)
        began_s = asyncio.get_running_loop().time()
        await standing.edge.stop()
        assert asyncio.get_running_loop().time() - began_s < 2, "it waits for nothing else"
        status, headers, body = split(await asking)
        assert (status, headers["connection"], body) == (200, "close", b"done")
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", standing.port)


async def test_whatever_does_not_finish_is_cut_when_the_grace_is_over() -> None:
    async with before(faulty.never_says_anything, limits=Limits(grace_s=0.1)) as standing:
        asking = asyncio.create_task(standing.say(GET))
        await until(lambda: standing.app.connections == 1)
        held = Platform(Upstream(1), gate=asyncio.Event())
        async with Edge(held, SystemClock(), Limits(grace_s=0.1)) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", await edge.open(SERVICE))
            writer.write(GET)
            await until(lambda: len(held.asked) == 1)
        assert (held.let_go, edge.connections, await reader.read()) == (1, 0, b"")
        writer.close()
        await standing.edge.stop()
        assert await asking == b""


async def test_idle_connections_and_websockets_do_not_hold_up_a_stop() -> None:
    async def switches(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        await line.hold()

    async with before(switches, limits=Limits(grace_s=30)) as standing:
        async with (
            standing.line() as (idle, _),
            standing.line() as (reader, writer),
            standing.line() as (half, half_writer),
        ):
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            half_writer.write(b"GET / HT")
            await until(lambda: standing.edge.connections == 3)
            await asyncio.wait_for(standing.edge.stop(), 5)
            assert [await each.read() for each in (idle, reader)] == [b"", b""]
            with suppress(ConnectionResetError):  # that is how a system ends what had not been read yet
                assert await half.read() == b""


async def test_a_client_that_never_reads_does_not_hold_up_a_stop_beyond_the_grace() -> None:
    async with before(faulty.too_much(50_000_000, declared=True), limits=Limits(grace_s=0.1)) as standing:
        async with standing.line() as (_, writer):
            writer.transport.pause_reading()
            writer.write(GET)
            await until(lambda: standing.app.sent_bytes > 1_000_000)
            await asyncio.wait_for(standing.edge.stop(), 5)
            assert standing.edge.connections == 0


async def test_fifty_edges_leave_nothing() -> None:
    async def both(line: faulty.Connection) -> None:
        head = await line.request()
        await line.send(SWITCHED if b"websocket" in head else b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await line.hold()

    async with faulty.serve(both) as app:
        platform = Platform(Upstream(app.port))
        edge = Edge(platform, SystemClock(), Limits(grace_s=0.02))

        async def once(edge: Edge) -> None:
            async with edge:
                port, shared = await edge.open(SERVICE), await edge.open_shared()
                lines = [await asyncio.open_connection("127.0.0.1", each) for each in (port, port, port, shared)]
                for (_, writer), sent in zip(lines, (LAST_GET, UPGRADE, b"GET / HT", b"nonsense\r\n\r\n"), strict=True):
                    writer.write(sent)
                assert await lines[0][0].readuntil(b"\r\n\r\nok")
                await lines[1][0].readuntil(b"\r\n\r\n")
            for reader, writer in lines:
                await reader.read()
                writer.close()

        def left() -> tuple[int, int, int]:
            gc.collect()
            process = psutil.Process()
            handles = process.num_handles() if sys.platform == "win32" else process.num_fds()
            return handles, len(asyncio.all_tasks()), threading.active_count()

        await once(edge)
        await until(lambda: len(app._open) == 0)
        before_it = left()
        for number in range(50):
            await once(edge if number % 2 else Edge(platform, SystemClock(), Limits(grace_s=0.02)))
        await until(lambda: len(app._open) == 0 and left() <= before_it)
        assert not edge._house.tasks
        assert not edge._house.open
        assert not [
            each for each in gc.get_objects() if type(each).__name__ in {"Client", "Upstream"} and hasattr(each, "tick")
        ]
