"""The whole keeper: CPU of one look with everything in, how late looks are, memory, and how soon a killed service is known.

A look has everything in: schedule, own connection, answer judged, state, activity line, history row. The keeper runs in a
process of its own; so does the floor, a bare pycurl multi loop that only asks and throws the answer away. Both in every round,
against one cheap server in another process. Memory and kills are measured on `everwake watch` itself.

python bench/keeper.py [--quick]
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: bench\r\nx-render-origin-server: Render\r\n"
    b"content-length: 20\r\n\r\n" + b'{"status":"healthy"}'
)
BEATING = """
import sys, uvicorn
from everwake.keepalive import KeepAlive
line = KeepAlive(service="bench", every_s=float(sys.argv[2]))
async def app(scope, receive, send):
    if scope["type"] == "websocket":
        return await line(scope, receive, send)
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, port=int(sys.argv[1]), log_level="critical", lifespan="off")
"""
IN_FLIGHT = 50
FROZEN_BEAT_S = 2.0
TIMEOUT_S = FROZEN_BEAT_S / 2  # a beat is missed half a period after it was expected (`keepalive.protocol.Watch`)


# --- the target -------------------------------------------------------------------------------------------------------


class Cheap(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


def target() -> None:
    import uvloop

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Cheap, "127.0.0.1", 0, backlog=4_096)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


# --- the keeper in a process of its own, and the floor ----------------------------------------------------------------


def keeper(url: str, services: int, every_s: float, warm_s: float, seconds: float) -> dict[str, float]:
    import uvloop

    from everwake.app.collecting import collect_rarely
    from everwake.app.eyes import CheckEyes
    from everwake.app.own_line import OwnLineProbe
    from everwake.app.past import Past
    from everwake.app.recording import Recording
    from everwake.checks import Checks
    from everwake.clock import SystemClock
    from everwake.fleet.schema import Expect, Fleet, Service
    from everwake.watch.keeper import Keeper

    expect = Expect(status=(200,), json={"status": "healthy"})
    fleet = Fleet(
        name="bench",
        services=tuple(Service(name=f"s{n}", url=url, every_s=every_s, expect=expect) for n in range(services)),
    )
    late: list[float] = []
    slots: defaultdict[int, int] = defaultdict(int)

    class Timed(Recording):
        def looked(self, seen: Sequence[Any]) -> None:
            for one in seen:
                late.append(one.late_s)
                slots[int(one.at.timestamp() * 10)] += 1
            assert not [one.failure for one in seen if one.failure]
            super().looked(seen)

    async def run() -> dict[str, float]:
        clock = SystemClock()
        with tempfile.TemporaryDirectory() as folder:
            async with Past(Path(folder) / "history.sqlite3", clock) as past, Checks(clock) as checks:
                recording = Timed(past.history, (), lambda: None)
                kept = Keeper(
                    fleet, CheckEyes(checks, OwnLineProbe(fleet, clock, checks.dialer.resolve)), recording, clock
                )
                task = asyncio.create_task(kept.run())
                collect_rarely()
                await asyncio.sleep(warm_s)
                # Everybody's first look opens a state and is written down with it; what is measured is what comes after.
                while len(late) < services:
                    await asyncio.sleep(0.5)
                await asyncio.sleep(1.0)
                late.clear()
                slots.clear()
                cpu_s, began_s = time.process_time(), time.perf_counter()
                await asyncio.sleep(seconds)
                cpu_s, took_s = time.process_time() - cpu_s, time.perf_counter() - began_s
                found = sorted(late)
                task.cancel()
                await asyncio.wait([task])
                lost = past.lost
        at_full_minute = sum(count for slot, count in slots.items() if slot % 600 in (*range(5), *range(595, 600)))
        return {
            "most_in_slot": max(slots.values()), "at_full_minute": at_full_minute,
            "looks": len(found), "per_s": len(found) / took_s, "cpu_ms": cpu_s / max(1, len(found)) * 1000,
            "late_p50_ms": found[len(found) // 2] * 1000, "late_p99_ms": found[int(len(found) * 0.99)] * 1000,
            "late_max_ms": found[-1] * 1000, "rss_mb": psutil.Process().memory_info().rss / 2**20, "lost": lost,
        }  # fmt: skip

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def floor(url: str, per_s: float, seconds: float) -> dict[str, float]:
    """libcurl's multi interface alone. per_s: 0 keeps IN_FLIGHT under way; else looks start together every 100 ms."""
    import pycurl

    multi, idle, looks = pycurl.CurlMulti(), [], 0
    for _ in range(IN_FLIGHT):
        curl = pycurl.Curl()
        for option, value in (
            (pycurl.URL, f"{url}/health"), (pycurl.FRESH_CONNECT, 1), (pycurl.FORBID_REUSE, 1), (pycurl.NOSIGNAL, 1),
            (pycurl.WRITEFUNCTION, lambda data: None), (pycurl.TIMEOUT_MS, 30_000), (pycurl.DNS_CACHE_TIMEOUT, 0),
        ):  # fmt: skip
            curl.setopt(option, value)
        idle.append(curl)
    began_s, cpu_s, flying, due_s = time.perf_counter(), time.process_time(), 0, time.perf_counter()
    while (now_s := time.perf_counter()) < began_s + seconds:
        if per_s and now_s >= due_s:
            due_s += 0.1
            wanted = round(per_s / 10)
        else:
            wanted = 0 if per_s else len(idle)
        for _ in range(min(wanted, len(idle))):
            multi.add_handle(idle.pop())
            flying += 1
        if not flying:
            time.sleep(max(0.0, due_s - time.perf_counter()))
            continue
        multi.perform()
        _, good, bad = multi.info_read()
        assert not bad
        for curl in good:
            multi.remove_handle(curl)
            idle.append(curl)
        looks, flying = looks + len(good), flying - len(good)
        if not good:
            multi.select(1.0 if not per_s else max(0.0, due_s - time.perf_counter()))
    took_s = time.perf_counter() - began_s
    return {"looks": looks, "per_s": looks / took_s, "cpu_ms": (time.process_time() - cpu_s) / max(1, looks) * 1000}


def timer(seconds: float) -> dict[str, float]:
    """How late a process is that does nothing but wake up every 100 ms: what the machine itself adds just now."""
    late, due_s = [], time.monotonic() + 0.1
    until_s = due_s + seconds
    while due_s < until_s:
        time.sleep(max(0.0, due_s - time.monotonic()))
        late.append((time.monotonic() - due_s) * 1000)
        due_s += 0.1
    late.sort()
    return {"p50_ms": late[len(late) // 2], "p99_ms": late[int(len(late) * 0.99)], "most_ms": late[-1]}


def begin(what: str, *arguments: Any) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, __file__, "--child", what, json.dumps(arguments)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def ended(process: "subprocess.Popen[bytes]") -> dict[str, float]:
    said, _ = process.communicate(timeout=600)
    return dict(json.loads(said))


def child(what: str, *arguments: Any) -> dict[str, float]:
    return ended(begin(what, *arguments))


# --- `everwake watch` itself ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def watch(fleet: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "everwake.toml").write_text(fleet)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        argv = [sys.executable, "-m", "everwake", "watch", "--port", str(port), "--json"]
        with subprocess.Popen(
            argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process:  # fmt: skip
            try:
                assert process.stdout is not None
                assert process.stdout.readline(), process.stderr.read() if process.stderr else ""
                yield process, f"http://127.0.0.1:{port}"
            finally:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=10)
                process.kill()


def memory(url: str, services: int, seconds: float) -> tuple[float, float]:
    """RSS and the highest RSS in MB after that long, every service looked at every 60 s, the page asked for now and then."""
    fleet = "".join(f'[[service]]\nname = "s{n}"\nurl = "{url}"\nevery = "60s"\n' for n in range(services))
    most = 0.0
    with watch(fleet) as (process, page):
        assert process.stderr is not None
        threading.Thread(target=process.stderr.read, daemon=True).start()
        until_s = time.perf_counter() + seconds
        inside = psutil.Process(process.pid)
        while time.perf_counter() < until_s:
            time.sleep(2)
            with urlopen(f"{page}/api/v1/fleet", timeout=30) as answer:
                answer.read()
            most = max(most, inside.memory_info().rss / 2**20)
        return inside.memory_info().rss / 2**20, most


class Lines:
    """Services that beat, watched by `everwake watch`, and when it said what."""

    def __init__(self, servers: "list[subprocess.Popen[bytes]]", ports: list[int]) -> None:
        self.servers, self.ports = servers, ports
        self._heard: dict[str, float] = {}
        self._news = threading.Condition()

    def read(self, said: Iterable[str]) -> None:
        for line in said:
            with self._news:
                self._heard.setdefault(line.partition("] ")[2].strip(), time.perf_counter())
                self._news.notify_all()

    def until(self, text: str) -> float:
        with self._news:
            assert self._news.wait_for(lambda: text in self._heard, 30), text
            return self._heard[text]

    def next(self, text: str) -> float:
        with self._news:
            self._heard.pop(text, None)
        return self.until(text)


@contextlib.contextmanager
def beating(count: int, beat_s: float) -> Iterator[Lines]:
    with contextlib.ExitStack() as held:
        ports = [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]
    servers = [subprocess.Popen([sys.executable, "-c", BEATING, str(port), str(beat_s)]) for port in ports]
    try:
        fleet = "".join(
            f'[[service]]\nname = "s{n}"\nurl = "http://127.0.0.1:{port}"\nheartbeat = "/ws"\nevery = "1h"\n'
            f'heartbeat_every = "{beat_s:g}s"\n'
            for n, port in enumerate(ports)
        )
        for port in ports:
            until_open(port)
        with watch(fleet) as (process, _):
            assert process.stderr is not None
            lines = Lines(servers, ports)
            threading.Thread(target=lines.read, args=(process.stderr,), daemon=True).start()
            for n in range(count):
                lines.until(f"S{n} heartbeat (service alive)")
                lines.until(f"S{n} is up")
            yield lines
    finally:
        for server in servers:
            server.kill()
            server.wait()


def kills(count: int) -> tuple[list[float], list[float], list[float]]:
    """ms until a bare socket sees the end, until the keeper says so, and until it says `is down`."""
    floor_ms, seen_ms, down_ms = [], [], []
    with beating(count, 30.0) as lines:
        for n, (port, server) in enumerate(zip(lines.ports, lines.servers, strict=True)):
            with socket.create_connection(("127.0.0.1", port)) as bare:
                time.sleep(0.2)
                began_s = time.perf_counter()
                server.kill()
                bare.recv(1)
                floor_ms.append((time.perf_counter() - began_s) * 1000)
            seen_ms.append((lines.until(f"S{n} WebSocket error (will retry)") - began_s) * 1000)
            down_ms.append((lines.until(f"S{n} is down") - began_s) * 1000)
    return floor_ms, seen_ms, down_ms


def freezes(count: int) -> list[float]:
    """Seconds from SIGSTOP until the keeper says that a beat was missed; the stops are spread evenly over the time of a beat."""
    found = []
    with beating(count, FROZEN_BEAT_S) as lines:
        for n, server in enumerate(lines.servers):
            lines.next(f"S{n} heartbeat (service alive)")
            time.sleep((n + 0.5) / count * FROZEN_BEAT_S)
            server.send_signal(signal.SIGSTOP)
            began_s = time.perf_counter()
            found.append(lines.until(f"S{n} heartbeat missed") - began_s)
            server.send_signal(signal.SIGCONT)
    return found


def until_open(port: int) -> None:
    deadline_s = time.perf_counter() + 30
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert time.perf_counter() < deadline_s
        time.sleep(0.05)


# --- the table --------------------------------------------------------------------------------------------------------


def spread(values: Sequence[float], digits: int = 3) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        what, arguments = asked.child[0], json.loads(asked.child[1])
        print(json.dumps({"keeper": keeper, "floor": floor, "timer": timer}[what](*arguments)))
        return
    rounds, seconds = (2, 4.0) if asked.quick else (5, 8.0)
    argv = [sys.executable, "-c", "import sys; sys.argv=['x']; import keeper; keeper.target()"]
    with subprocess.Popen(
        argv, cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        try:
            looks(url, rounds, seconds)
            late(url, quick=asked.quick)
            remembers(url, quick=asked.quick)
        finally:
            server.kill()
    floor_ms, seen_ms, down_ms = kills(5 if asked.quick else 20)
    print(f"\nkilled, {len(seen_ms)} times              median [min-max] ms")
    print(f"  a bare socket sees it      {spread(floor_ms, 1)}")
    p99_ms = sorted(seen_ms)[min(len(seen_ms) - 1, int(len(seen_ms) * 0.99))]
    print(f"  the keeper says so         {spread(seen_ms, 1)}   p99 {p99_ms:.1f} (target 50)")
    print(f"  `down`, confirmed          {spread(down_ms, 0)}   (target 5,000)")
    frozen, usual_s = freezes(4 if asked.quick else 12), FROZEN_BEAT_S / 2 + TIMEOUT_S
    print(
        f"\nfrozen (SIGSTOP), {len(frozen)} times, a beat every {FROZEN_BEAT_S:g} s, missed {TIMEOUT_S:g} s after it was due"
    )
    ratio = statistics.mean(frozen) / usual_s
    print(
        f"  seen after {statistics.mean(frozen):.2f} s on average, {ratio:.3f} x half a beat + timeout   (target 1.05)"
    )


def looks(url: str, rounds: int, seconds: float) -> None:
    print("CPU ms per look              floor (bare pycurl)      keeper                   ratio   (target)")
    for name, per_s, services, every_s, target_ms in (
        ("saturated", 0.0, 12_000, 1.0, 0.12), ("4,000 asked", 0.0, 4_000, 1.0, 0.12), ("50 asked", 50.0, 3_000, 60.0, 0.25),
    ):  # fmt: skip
        bare, ours, rates = [], [], []
        for _ in range(rounds):
            bare.append(child("floor", url, per_s, seconds / 2)["cpu_ms"])
            found = child("keeper", url, services, every_s, 8.0, seconds)
            ours.append(found["cpu_ms"])
            rates.append(found["per_s"])
        ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
        said = f"{statistics.median(rates):,.0f} looks/s"
        print(f"  {name:<12} {said:>14} {spread(bare)}   {spread(ours)}   {ratio:.2f}   ({target_ms})", flush=True)


def late(url: str, *, quick: bool) -> None:
    print("\n10,000 services every 60 s     p50     p99     most   ms late (target p99 20), beside a bare timer's")
    for _ in range(1 if quick else 3):
        seconds = 15.0 if quick else 60.0
        bare = begin("timer", seconds + 15.0)
        found, alone = child("keeper", url, 10_000, 60.0, 15.0, seconds), ended(bare)
        print(f"  {found['per_s']:.0f} looks/s, {found['cpu_ms']:.3f} ms each   ", end="")
        for name in ("p50", "p99", "most"):
            ours = found["late_max_ms" if name == "most" else f"late_{name}_ms"]
            print(f"{ours:.1f} ({alone[f'{name}_ms']:.1f})   ", end="")
        print(f"{found['rss_mb']:.0f} MB")
        print(
            f"    begun within 0.1 s: {found['per_s'] / 10:.1f} on average, {found['most_in_slot']:.0f} at most;"
            f" in the second around the full minute: {found['at_full_minute']:.0f}",
            flush=True,
        )


def remembers(url: str, *, quick: bool) -> None:
    print("\n`everwake watch`, MB           now      most   (target)")
    for services, target_mb in ((1_000, 90), (10_000, 150)):
        now_mb, most_mb = memory(url, services, 20 if quick else 75)
        print(f"  {services:>6,} services             {now_mb:.0f}       {most_mb:.0f}     ({target_mb})", flush=True)


if __name__ == "__main__":
    main()
