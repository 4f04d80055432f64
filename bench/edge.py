"""The edge of the simulated platform: what it adds to a request, what a stream and a WebSocket through it cost.

python bench/edge.py            15 rounds of 400 requests, 1 GB each way, 1,000 WebSockets
python bench/edge.py --quick     5 rounds of 200 requests, 200 MB each way, 1,000 WebSockets

The app is uvicorn in a process of its own, and this process is the load. It reaches the app in three ways, in turn:
    direct    straight: the floor
    pump      through a process that copies bytes both ways and understands nothing: the least a proxy can be
    edge      through everwake.sim.edge, which asks a platform that answers at once
Requests of the three ways are interleaved, one of each, so a machine that gets slower in between favours nobody. Their
connections are kept; the edge makes a new one to the app for every request. Memory is the proxy process's proportional set.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import psutil
import uvloop

WAYS = ("direct", "pump", "edge")
WEBSOCKETS = 1_000
BLOCK = bytes(1 << 16)
MB = 1_000_000
MESSAGE = b"\x81\xfe\x01\xf4\0\0\0\0" + b"x" * 500  # a masked text frame of 500 bytes


# --- the app ----------------------------------------------------------------------------------------------------------


async def app(scope: Any, receive: Any, send: Any) -> None:
    """GET /: a small answer. GET /SIZE: a stream. POST: how much came. WebSocket: an echo."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        return
    if scope["type"] != "http":
        return
    got = 0
    if scope["method"] == "POST":
        while (event := await receive()).get("more_body"):
            got += len(event["body"])
        got += len(event.get("body", b""))
    size = int(scope["path"][1:] or 0)
    body = json.dumps({"got": got}).encode()
    length = size or len(body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % length)]})
    for _ in range(size // len(BLOCK)):
        await send({"type": "http.response.body", "body": BLOCK, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if size else body})


async def serve_app(_: int) -> None:
    """Prints its port."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, log_level="error", access_log=False, ws="websockets-sansio", ws_per_message_deflate=False
        )
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


# --- the proxies ------------------------------------------------------------------------------------------------------


class Side(asyncio.Protocol):
    """One side of the pump."""

    other: "Side | None" = None
    transport: asyncio.Transport

    def __init__(self, port: int | None) -> None:
        self._port = port
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._port is not None:
            self._connecting = asyncio.ensure_future(self._connect(self._port))

    async def _connect(self, port: int) -> None:
        _, other = await asyncio.get_running_loop().create_connection(lambda: Side(None), "127.0.0.1", port)
        self.other, other.other = other, self
        for data in self._early:
            other.transport.write(data)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()


async def serve_pump(port: int) -> None:
    """Prints its port."""
    server = await asyncio.get_running_loop().create_server(lambda: Side(port), "127.0.0.1", 0, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def serve_edge(port: int) -> None:
    """Prints its port."""
    from everwake.clock import SystemClock
    from everwake.sim.edge.routes import Refusal, Upstream
    from everwake.sim.edge.server import Edge

    class Platform:
        async def route(self, service_id: str, *, wants_html: bool) -> Upstream | Refusal:
            return Upstream(port)

        def inbound(self, service_id: str) -> None:
            pass

        def service_of(self, host: str) -> str:
            return "srv-1"

        def unreachable(self, service_id: str) -> Refusal:
            return Refusal(status=502, routing="dynamic-free-error")

    async with Edge(Platform(), SystemClock()) as edge:
        print(await edge.open("srv-1"), flush=True)
        await asyncio.Event().wait()


SERVERS = {"app": serve_app, "pump": serve_pump, "edge": serve_edge}


@dataclass(slots=True)
class Server:
    """One of them, running."""

    port: int
    process: psutil.Process

    @property
    def memory(self) -> int:
        """Bytes."""
        info = self.process.memory_full_info()
        return int(getattr(info, "pss", info.rss))


@contextlib.contextmanager
def running(name: str, port: int = 0) -> Iterator[Server]:
    """In a process of its own."""
    with subprocess.Popen(
        [sys.executable, __file__, "--serve", name, str(port)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            yield Server(int(child.stdout.readline()), psutil.Process(child.pid))
        finally:
            child.kill()


# --- the load ---------------------------------------------------------------------------------------------------------


class Line:
    """A connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask_s(self) -> float:
        """One small request: seconds."""
        began_s = time.perf_counter()
        self._writer.write(
            b"GET / HTTP/1.1\r\nHost: app.localhost\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n"
        )
        await self._reader.readuntil(b"\r\n\r\n")
        await self._reader.readexactly(len(b'{"got": 0}'))
        return time.perf_counter() - began_s

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@contextlib.asynccontextmanager
async def lines(ports: dict[str, int], each: int) -> AsyncIterator[dict[str, list[Line]]]:
    """So many for each way."""
    opened = {
        way: [Line(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(each)]
        for way, port in ports.items()
    }
    try:
        yield opened
    finally:
        for several in opened.values():
            for line in several:
                line.close()


async def requests(ports: dict[str, int], rounds: int, count: int, at_once: int) -> None:
    """The table of latencies."""
    p50: dict[str, list[float]] = {way: [] for way in WAYS}
    p99: dict[str, list[float]] = {way: [] for way in WAYS}
    async with lines(ports, at_once) as opened:
        for number in range(rounds + 1):  # the first warms and is not counted
            took: dict[str, list[float]] = {way: [] for way in WAYS}
            for turn in range(count):
                for way in WAYS if turn % 2 else reversed(WAYS):
                    took[way] += await asyncio.gather(*(line.ask_s() for line in opened[way]))
            for way, all_s in took.items():
                if number:
                    all_s.sort()
                    p50[way].append(all_s[len(all_s) // 2] * 1_000)
                    p99[way].append(all_s[int(len(all_s) * 0.99)] * 1_000)
    print(
        f"\n{rounds} rounds of {count} small requests each way, {at_once} at once; ms, median of the rounds (min-max)"
    )
    print(f"{'':<8}{'p50':>20}{'added':>22}{'/ direct':>10}{'p99':>22}{'added':>22}{'/ direct':>10}")
    for way in WAYS:
        cells = ""
        for of in (p50, p99):
            added = [ours - floor for ours, floor in zip(of[way], of["direct"], strict=True)]
            ratio = statistics.median(ours / floor for ours, floor in zip(of[way], of["direct"], strict=True))
            cells += f"{spread(of[way]):>{20 if of is p50 else 22}}{spread(added) if way != 'direct' else '':>22}"
            cells += f"{ratio:>9.2f}x"
        print(f"{way:<8}{cells}")
    if at_once == 1:
        print(
            f"the edge adds {statistics.median(added_of(p50)):.2f} ms to p50 (at most 1 is wanted) and "
            f"{statistics.median(added_of(p99)):.2f} ms to p99 (at most 5)"
        )


def added_of(of: dict[str, list[float]]) -> list[float]:
    """What the edge adds, by round."""
    return [ours - floor for ours, floor in zip(of["edge"], of["direct"], strict=True)]


async def download(port: int, size: int) -> None:
    """From the app."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(b"GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % size)
    await reader.readuntil(b"\r\n\r\n")
    got = 0
    while got < size:
        piece = await reader.read(1 << 20)
        assert piece, f"ended after {got} bytes"
        got += len(piece)
    writer.close()


async def upload(port: int, size: int) -> None:
    """To the app, chunked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK)
    for _ in range(size // len(BLOCK)):
        writer.write(chunk)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    assert b'{"got": %d}' % size in await reader.read()
    writer.close()


async def streams(ports: dict[str, int], edge: Server, size: int, rounds: int) -> None:
    """The table of streams, and the memory of the edge meanwhile."""
    size -= size % len(BLOCK)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, edge.memory)
            await asyncio.sleep(0.05)

    kinds: dict[str, Callable[[int, int], Any]] = {"down": download, "up": upload}
    for kind in kinds.values():
        await kind(ports["edge"], len(BLOCK) * 100)
    began = edge.memory
    print(f"\n{size / MB:,.0f} MB each way, {rounds} rounds; MB/s, median (min-max)")
    for name, stream in kinds.items():
        rates: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(rounds):
            for way in WAYS if number % 2 else reversed(WAYS):
                watching = asyncio.create_task(watch()) if way == "edge" else None
                began_s = time.perf_counter()
                await stream(ports[way], size)
                rates[way].append(size / MB / (time.perf_counter() - began_s))
                if watching is not None:
                    watching.cancel()
        for way in WAYS:
            ratio = statistics.median(ours / floor for ours, floor in zip(rates[way], rates["direct"], strict=True))
            print(f"{name:<5}{way:<8}{spread(rates[way], 0):>20}{ratio:>8.2f}x direct")
    print(f"memory of the edge: {began / MB:.1f} MB before, at most {most / MB:.1f} MB while all that went through")


async def websockets(port: int, proxy: Server, behind: Server) -> tuple[float, float]:
    """KB for each of 1,000 open lines, each of which has carried a message both ways: of the proxy, of the app behind."""
    before, app_before = proxy.memory, behind.memory
    writers = []
    for _ in range(WEBSOCKETS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(MESSAGE)
        await reader.readexactly(4 + 500)
        writers.append(writer)
    cost = (proxy.memory - before) / WEBSOCKETS / 1_000, (behind.memory - app_before) / WEBSOCKETS / 1_000
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.5)
    return cost


def spread(values: list[float], digits: int = 2) -> str:
    """Median and range."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


async def measure(*, quick: bool) -> None:
    """Everything."""
    with running("app") as behind, running("pump", behind.port) as pump, running("edge", behind.port) as edge:
        ports = {"direct": behind.port, "pump": pump.port, "edge": edge.port}
        await requests(ports, 5 if quick else 15, 200 if quick else 400, 1)
        await requests(ports, 3 if quick else 5, 50 if quick else 200, 8)
        await streams(ports, edge, (200 if quick else 1_000) * MB, 3)
    costs: dict[str, list[float]] = {"pump": [], "edge": [], "app": []}
    for number in range(3):
        for name in ("pump", "edge") if number % 2 else ("edge", "pump"):
            with running("app") as behind, running(name, behind.port) as proxy:
                for _ in range(20):
                    await download(proxy.port, len(BLOCK))  # warm
                kb, app_kb = await websockets(proxy.port, proxy, behind)
                costs[name].append(kb)
                costs["app"].append(app_kb)
    print(f"\n{WEBSOCKETS:,} WebSockets that have carried a message each; KB a line, median of 3 (min-max)")
    print(f"edge {spread(costs['edge'], 1)}, at most 60 are wanted")
    print(f"pump {spread(costs['pump'], 1)}   the app itself {spread(costs['app'], 1)}")
    print(f"edge / pump {statistics.median(costs['edge']) / statistics.median(costs['pump']):.2f}x")


def main() -> None:
    """Measure, or serve for who does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and 200 MB instead of 1 GB")
    parser.add_argument("--serve", nargs=2, metavar=("NAME", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        name, port = options.serve
        uvloop.run(SERVERS[name](int(port)))
    else:
        uvloop.run(measure(quick=options.quick))


if __name__ == "__main__":
    main()
