"""Keep-alive lines: memory a line, CPU a beat and lateness of a beat, ours beside a bare ASGI handler.

python bench/keepalive.py           10,000 lines, a beat every 10 s, 3 rounds
python bench/keepalive.py --quick    2,000 lines, a beat every 2 s, 3 rounds

Each server is a uvicorn process of its own (websockets-sansio, uvloop, no permessage-deflate, no WebSocket ping of its
own) and this process is the load: one protocol object a client, which answers every beat with a constant pong.
    ours      everwake.keepalive.KeepAlive
    bare      the least that pings: accept, a task that reads and throws away, a loop of send and sleep
    pasted    the endpoint that was asked for at first: sleep, send, wait up to 1 s for a pong, in one loop
CPU is the server process's own (user and system) over the window, divided by the beats that arrived in it; memory its
resident set, with all lines open minus with none. Lateness is seen by the client: arrival behind the line's own grid,
where the grid is a period long and lies on the line's most punctual beat; so it holds the network and the client, too.
"""

import argparse
import asyncio
import datetime
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvloop

PATH = "/ws/keepalive"
_SENT_FRAME = b"\x81"
CONNECTS_AT_ONCE = 100
WAIT_S = 120.0

App = Callable[[Any, Any, Any], Awaitable[None]]


# --- the servers ---------------------------------------------------------------------------------------------------


def _ping(seq: int) -> str:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return f'{{"type":"ping","timestamp":"{now}","status":"alive","service":"bench","seq":{seq}}}'


def bare(every_s: float) -> App:
    """The floor."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def read() -> None:
            while (await receive())["type"] != "websocket.disconnect":
                pass

        reader = asyncio.create_task(read())
        seq = 0
        try:
            while not reader.done():
                await send({"type": "websocket.send", "text": _ping(seq)})
                seq += 1
                await asyncio.sleep(every_s)
        finally:
            reader.cancel()

    return app


def pasted(every_s: float) -> App:
    """Sends and reads by turns in one loop."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await asyncio.sleep(every_s)
            now = datetime.datetime.now(datetime.UTC).isoformat()
            await send({"type": "websocket.send", "text": json.dumps({"type": "ping", "timestamp": now})})
            try:
                event = await asyncio.wait_for(receive(), timeout=1.0)
                if event["type"] == "websocket.disconnect":
                    return
                json.loads(event["text"])
            except TimeoutError:
                pass

    return app


def ours(every_s: float) -> App:
    """The library."""
    from everwake.keepalive import KeepAlive

    return KeepAlive(service="bench", every_s=every_s)


SERVERS = {"ours": ours, "bare": bare, "pasted": pasted}


def serve(name: str, every_s: float) -> None:
    """The server process: says its port and serves until it is killed."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        SERVERS[name](every_s),
        ws="websockets-sansio",
        loop="uvloop",
        lifespan="off",
        log_level="error",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


# --- the load ------------------------------------------------------------------------------------------------------

_UPGRADE = (
    f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
_PONG_TEXT = b'{"type":"pong","timestamp":"2026-01-01T00:00:00.000Z"}'
# A mask of zeros leaves the text as it is (RFC 6455 section 5.3), so one frame serves all clients.
_PONG = bytes([0x81, 0x80 | len(_PONG_TEXT), 0, 0, 0, 0]) + _PONG_TEXT


class Client(asyncio.Protocol):
    """The cheapest client: when each beat came, and a pong for it."""

    __slots__ = ("beats", "is_open", "transport")

    def __init__(self) -> None:
        self.is_open = False
        self.beats: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(_UPGRADE)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self.is_open:
            assert data.startswith(b"HTTP/1.1 101"), data[:100]
            self.is_open = True
            data = data.partition(b"\r\n\r\n")[2]
            if not data:
                return
        assert data.startswith(_SENT_FRAME), data[:20]
        self.beats.append(time.monotonic())
        self.transport.write(_PONG)  # type: ignore[attr-defined]

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False


@dataclass(frozen=True)
class Run:
    """One server, one round."""

    memory_kb: float
    cpu_us: float
    late_p50_ms: float
    late_p99_ms: float


def lateness_ms(beats: list[float], every_s: float, since: float) -> list[float]:
    """How far behind its grid each beat since `since` came."""
    offsets = [at - number * every_s for number, at in enumerate(at for at in beats if at >= since)]
    best = min(offsets, default=0.0)
    return [1000 * (offset - best) for offset in offsets]


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds used so far; the scheduler's own nanoseconds on Linux, for the usual clock ticks are 10 ms."""
    threads = list(Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
    if threads:
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    return sum(process.cpu_times()[:2])


async def load(port: int, pid: int, lines: int, every_s: float, window_s: float) -> Run:
    loop = asyncio.get_running_loop()
    process = psutil.Process(pid)
    idle_bytes = process.memory_info().rss
    clients: list[Client] = []
    for _ in range(0, lines, CONNECTS_AT_ONCE):
        batch = [loop.create_connection(Client, "127.0.0.1", port) for _ in range(CONNECTS_AT_ONCE)]
        clients += [client for _, client in await asyncio.gather(*batch)]
        async with asyncio.timeout(WAIT_S):
            while not all(client.is_open for client in clients[-CONNECTS_AT_ONCE:]):
                await asyncio.sleep(0.001)
    # One whole period first: ours moves lines that came together apart with their second beat.
    await asyncio.sleep(1.2 * every_s)
    since = time.monotonic()
    before, used_s = sum(len(client.beats) for client in clients), cpu_s(process)
    await asyncio.sleep(window_s)
    beats = sum(len(client.beats) for client in clients) - before
    used_s = cpu_s(process) - used_s
    full_bytes = process.memory_info().rss
    gone = sum(not client.is_open for client in clients)
    assert not gone, f"{gone} of {lines} lines were lost"
    late = sorted(ms for client in clients for ms in lateness_ms(client.beats, every_s, since))
    for client in clients:
        client.transport.close()
    return Run(
        (full_bytes - idle_bytes) / lines / 1024,
        used_s / beats * 1e6,
        late[len(late) // 2],
        late[int(len(late) * 0.99)],
    )


def measure(name: str, lines: int, every_s: float, window_s: float) -> Run:
    command = [sys.executable, __file__, "--serve", name, "--every", str(every_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            with socket.create_connection(("127.0.0.1", port), timeout=30) as first:
                # A plain request first, so that what is imported late is there before memory is read.
                first.sendall(_UPGRADE)
                first.recv(4096)
            return uvloop.run(load(port, server.pid, lines, every_s, window_s))
        finally:
            server.kill()


def table(runs: dict[str, list[Run]]) -> None:
    print(f"{'server':8} {'KB a line':>20} {'CPU us a beat':>22} {'late p50 ms':>20} {'late p99 ms':>22}")
    for name, rounds in runs.items():
        cells = [spread([getattr(run, field) for run in rounds]) for field in Run.__dataclass_fields__]
        print(f"{name:8} {cells[0]:>20} {cells[1]:>22} {cells[2]:>20} {cells[3]:>22}")
    for name in [name for name in runs if name != "bare"]:
        pairs = list(zip(runs[name], runs["bare"], strict=True))
        memory = spread([run.memory_kb / floor.memory_kb for run, floor in pairs], 2)
        cpu = spread([run.cpu_us / floor.cpu_us for run, floor in pairs], 2)
        print(f"{name} / bare, median of the rounds: memory {memory} x, CPU {cpu} x")


def spread(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 lines, a beat every 2 s")
    parser.add_argument("--lines", type=int)
    parser.add_argument("--every", type=float)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(SERVERS), default=list(SERVERS))
    parser.add_argument("--serve", choices=list(SERVERS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    every_s = given.every or (2.0 if given.quick else 10.0)
    if given.serve:
        serve(given.serve, every_s)
        return
    lines = given.lines or (2_000 if given.quick else 10_000)
    window_s = 3 * every_s
    print(
        f"{lines} lines, a beat every {every_s:g} s, window {window_s:g} s, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}"
    )
    runs: dict[str, list[Run]] = {name: [] for name in given.only}
    for turn in range(given.rounds):
        # Every other round backwards: a machine that warms up or tires favours nobody.
        for name in given.only if turn % 2 == 0 else reversed(given.only):
            runs[name].append(measure(name, lines, every_s, window_s))
    table(runs)


if __name__ == "__main__":
    main()
