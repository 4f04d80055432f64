"""How much an edge keeps in memory of what streams through it: seen from outside, in a process of its own."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.everwake.sim.edge.standing import until
from tests.everwake.sim.edge.test_websockets import SWITCHED, UPGRADE
from tests.support import faulty

ROOT = Path(__file__).parents[4]
SIZE = int(os.environ.get("EDGE_STREAM_MB", "200")) * 1_000_000
BLOCK = bytes(250_000)
MB = 1_000_000


@dataclass(slots=True)
class Lone:
    port: int
    process: psutil.Process
    most: int = 0

    @property
    def memory(self) -> int:
        info = self.process.memory_full_info() if sys.platform == "linux" else self.process.memory_info()
        return int(getattr(info, "pss", info.rss))

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """`most` is then the largest of what it was meanwhile."""

        async def watch() -> None:
            while True:
                self.most = max(self.most, self.memory)
                await asyncio.sleep(0.02)

        self.most = 0
        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()


@contextlib.asynccontextmanager
async def lone(app: faulty.Server) -> AsyncIterator[Lone]:
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    argv = [sys.executable, "-m", "tests.everwake.sim.edge.lone", loop]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdin
        assert child.stdout
        try:
            port = int(await asyncio.to_thread(child.stdout.readline))
            child.stdin.write(f"{app.port}\n")
            child.stdin.flush()
            await asyncio.to_thread(child.stdout.readline)
            yield Lone(port, psutil.Process(child.pid))
        finally:
            child.kill()


async def download(port: int, size: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    got = 0
    while piece := await reader.read(1 << 20):
        got += len(piece)
    assert got == size
    writer.close()


async def upload(port: int, size: int, *, chunked: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
    block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
    for _ in range(size // len(BLOCK)):
        writer.write(block)
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"x-got: %d" % (size + (size // len(BLOCK) * (len(block) - len(BLOCK)) + 5 if chunked else 0)) in head
    writer.close()


async def serve_streams(line: faulty.Connection) -> None:
    """GET: that many bytes. POST: reads them all and says how many they were."""
    head = await line.request()
    if head.startswith(b"GET"):
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(BLOCK)):
            await line.send(BLOCK)
        await line.hold()  # whoever leaves now takes along what the system has not sent yet
        return
    got, end = 0, b""
    while not (got == SIZE or end.endswith(b"0\r\n\r\n")):
        piece = await line.reader.read(1 << 20)
        got, end = got + len(piece), (end + piece[-5:])[-5:]
        if not piece:
            return
    await line.send(b"HTTP/1.1 200 OK\r\nx-got: %d\r\ncontent-length: 0\r\n\r\n" % got)
    await line.hold()


async def test_what_streams_through_leaves_memory_flat() -> None:
    async with faulty.serve(serve_streams) as app, lone(app) as edge:
        await asyncio.gather(download(edge.port, SIZE), upload(edge.port, SIZE, chunked=True))  # warm
        began = edge.memory
        async with edge.watched():
            await download(edge.port, SIZE)
            await upload(edge.port, SIZE, chunked=False)
            await upload(edge.port, SIZE, chunked=True)
        assert edge.most - began < 4 * MB, f"{edge.most / MB:.1f} MB after {began / MB:.1f}"


async def test_twenty_clients_that_do_not_read_cost_a_window_each() -> None:
    async with faulty.serve(faulty.too_much(SIZE, declared=True)) as app, lone(app) as edge:
        began, lines = edge.memory, []
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.transport.pause_reading()
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            lines.append((reader, writer))
        await until(lambda: app.connections == 20)
        sent = -1
        while sent != app.sent_bytes:
            sent = app.sent_bytes
            await asyncio.sleep(0.3)
        assert sent > 20 * MB, "it did stream"
        # A window, the block that overflowed it, and the next one, which was read before the app had been stopped.
        assert edge.memory - began < 20 * (65_536 + 2 * 262_144) + 2 * MB
        for _, writer in lines:
            writer.transport.abort()


async def test_a_thousand_websockets_cost_no_more_than_60_kb_each() -> None:
    async def answers(line: faulty.Connection) -> None:
        await line.request()
        await line.send(SWITCHED)
        while said := await line.reader.read(1_000):
            await line.send(said)

    async with faulty.serve(answers) as app, lone(app) as edge:
        began, lines = edge.memory, []
        message = b"\x81\xfe\x01\xf4\0\0\0\0" + b"x" * 500
        for _ in range(1_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(message)
            assert await reader.readexactly(len(message)) == message
            lines.append(writer)
        assert (edge.memory - began) / 1_000 < 60_000
        for writer in lines:
            writer.transport.abort()
