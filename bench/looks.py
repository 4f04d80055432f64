"""CPU of one HTTP look: a connection of its own, the answer read and judged, by everwake and by what one could use instead.

Saturated (50 looks in flight) and at a steady 50 looks a second; plain and with a full, verified TLS handshake. Each way runs
in a process of its own, one after the other in every round, against one cheap server (uvloop) in another process.
Everwake's row holds all of a look: options, transfer, phases, headers, JSON expectation, certificate, observation.
"""

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

IN_FLIGHT = 50
BODY = b'{"status":"healthy","service":"bench"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: bench\r\nx-render-origin-server: Render\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)

# --- the target -------------------------------------------------------------------------------------------------------


class Cheap(asyncio.Protocol):
    """One answer to whatever arrives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        del data
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def target(folder: str) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(f"{folder}/ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(Cheap, "127.0.0.1", 0, backlog=4_096)
    secure = await loop.create_server(Cheap, "127.0.0.1", 0, backlog=4_096, ssl=context)
    print(*(server.sockets[0].getsockname()[1] for server in (plain, secure)), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


# --- the ways of looking ----------------------------------------------------------------------------------------------

Look = Callable[[], Awaitable[Any]]


async def everwake(url: str, ca_file: str, steer: Callable[[Look], Awaitable[float]], watch: str = "epoll") -> float:
    import os

    from everwake.checks import Checks
    from everwake.checks._curl import Looker
    from everwake.checks._sockets import EpollWatch, LoopWatch
    from everwake.clock import SystemClock
    from everwake.fleet.schema import Expect, Service

    os.environ["SSL_CERT_FILE"] = ca_file  # the authorities that the machine trusts, for this process
    looker = Looker(watch=EpollWatch if watch == "epoll" else LoopWatch, in_thread=watch == "thread")
    base, _, path = url.rpartition("/")
    service = Service(name="bench", url=base, health=f"/{path}", expect=Expect(json={"status": "healthy"}))
    async with Checks(SystemClock(), looker=looker) as checks:

        async def look() -> None:
            seen = await checks.look(service)
            assert seen.failure is None, seen

        return await steer(look)


async def aiohttp(url: str, ca_file: str, steer: Callable[[Look], Awaitable[float]]) -> float:
    import ssl

    import aiohttp as library

    context = ssl.create_default_context(cafile=ca_file)
    connector = library.TCPConnector(force_close=True, limit=0, ssl=context)
    timeout = library.ClientTimeout(total=30)
    async with library.ClientSession(connector=connector, timeout=timeout) as session:

        async def look() -> None:
            async with session.get(url) as answer:
                assert answer.status == 200
                assert (await answer.json())["status"] == "healthy"

        return await steer(look)


async def httpx(url: str, ca_file: str, steer: Callable[[Look], Awaitable[float]]) -> float:
    import ssl

    import httpx as library

    context = ssl.create_default_context(cafile=ca_file)
    limits = library.Limits(max_connections=None, max_keepalive_connections=0)
    async with library.AsyncClient(verify=context, limits=limits, timeout=30, trust_env=False) as client:

        async def look() -> None:
            answer = await client.get(url)
            assert answer.status_code == 200
            assert answer.json()["status"] == "healthy"

        return await steer(look)


def bare(url: str, ca_file: str, looks: int) -> float:
    """The floor: libcurl's multi interface in its own loop, nothing judged, handles never touched again."""
    import pycurl

    multi, left, done = pycurl.CurlMulti(), looks, 0
    handles = []
    for _ in range(min(IN_FLIGHT, looks)):
        curl, body = pycurl.Curl(), []
        for option, value in (
            (pycurl.URL, url), (pycurl.FRESH_CONNECT, 1), (pycurl.FORBID_REUSE, 1), (pycurl.NOSIGNAL, 1), (pycurl.PROXY, ""),
            (pycurl.CAINFO, ca_file), (pycurl.SSL_SESSIONID_CACHE, 0), (10298, "X25519:P-256:P-384"),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1), (pycurl.WRITEFUNCTION, body.append),
        ):  # fmt: skip
            curl.setopt(option, value)
        handles.append((curl, body))
        multi.add_handle(curl)
        left -= 1
    bodies = dict(handles)
    began = time.process_time()
    while done < looks:
        multi.perform()
        _, good, bad = multi.info_read(IN_FLIGHT)
        assert not bad, bad
        for curl in good:
            done += 1
            bodies[curl].clear()
            multi.remove_handle(curl)
            if left:
                multi.add_handle(curl)
                left -= 1
        if not good:
            multi.select(0.1)
    return (time.process_time() - began) / looks


def blackbox(url: str, ca_file: str, looks: int) -> float:
    """prometheus-blackbox-exporter, one processor for it: what it spends on a probe, being asked for it over HTTP included."""
    import http.client
    import json
    import os
    import socket
    import threading
    from urllib.parse import quote

    import psutil

    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        http_probe = {
            "preferred_ip_protocol": "ip4", "fail_if_body_not_matches_regexp": ['"status":"healthy"'],
            "tls_config": {"ca_file": ca_file},
        }  # fmt: skip
        config = Path(folder) / "blackbox.yml"  # JSON is YAML
        config.write_text(json.dumps({"modules": {"look": {"prober": "http", "timeout": "9s", "http": http_probe}}}))
        free.close()
        argv = [BLACKBOX, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        with subprocess.Popen(argv, env={**os.environ, "GOMAXPROCS": "1"}) as exporter:
            try:
                await_open(port)

                def ask(times: int) -> None:
                    line = http.client.HTTPConnection("127.0.0.1", port)
                    for _ in range(times):
                        line.request("GET", f"/probe?module=look&target={quote(url, safe='')}")
                        answer = line.getresponse().read()
                        assert b"probe_success 1" in answer, answer
                    line.close()

                ask(20)
                spent, began = psutil.Process(exporter.pid).cpu_times, psutil.Process(exporter.pid).cpu_times()
                askers = [threading.Thread(target=ask, args=(looks // 10,)) for _ in range(10)]
                for asker in askers:
                    asker.start()
                for asker in askers:
                    asker.join()
                ended = spent()
                return (ended.user + ended.system - began.user - began.system) / (looks // 10 * 10)
            finally:
                exporter.kill()


def await_open(port: int) -> None:
    import contextlib
    import socket

    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise TimeoutError("the exporter does not listen")


# --- steering ---------------------------------------------------------------------------------------------------------


def saturated(looks: int) -> Callable[[Look], Awaitable[float]]:
    """IN_FLIGHT looks at a time, each in a task of its own as the keeper does it."""

    async def steer(look: Look) -> float:
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one() -> None:
            try:
                await look()
            finally:
                room.release()

        await look()
        began = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(looks):
                await room.acquire()
                group.create_task(one())
        return (time.process_time() - began) / looks

    return steer


def steady(looks: int, tick_s: float) -> Callable[[Look], Awaitable[float]]:
    """50 looks a second: those due within one tick start together."""

    async def steer(look: Look) -> float:
        each = max(1, round(50 * tick_s))
        await look()
        began, start = time.process_time(), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for n in range(looks // each):
                await asyncio.sleep(max(0.0, start + n * each / 50 - time.monotonic()))
                for _ in range(each):
                    group.create_task(look())  # type: ignore[arg-type]
        return (time.process_time() - began) / looks

    return steer


WAYS = {
    "pycurl, bare (floor)": "bare asyncio",
    "everwake": "everwake asyncio",
    "everwake, uvloop": "everwake uvloop",
    "everwake, loop's readers": "everwake-loop asyncio",
    "everwake, thread": "everwake-thread asyncio",
    "aiohttp": "aiohttp asyncio",
    "aiohttp, uvloop": "aiohttp uvloop",
    "httpx": "httpx asyncio",
}
# The peer that others would run instead: apt-get install --no-install-recommends prometheus-blackbox-exporter
BLACKBOX = shutil.which("prometheus-blackbox-exporter") or ""
if BLACKBOX:
    WAYS["blackbox exporter"] = "blackbox -"


def one_way(way: str, load: str, looks: int, url: str, ca_file: str) -> float:
    """In a process of its own: CPU seconds of one look."""
    name, loop = way.split()
    if name == "bare":
        return bare(url, ca_file, looks)
    if name == "blackbox":
        return blackbox(url, ca_file, looks)
    steer = saturated(looks) if load == "saturated" else steady(looks, float(load))
    who: Callable[..., Awaitable[float]] = {"aiohttp": aiohttp, "httpx": httpx}.get(name, everwake)
    kind = {"watch": name.partition("-")[2] or "epoll"} if who is everwake else {}
    running = who(url, ca_file, steer, **kind)
    if loop == "uvloop":
        import uvloop

        return float(uvloop.run(running))  # type: ignore[arg-type]
    return asyncio.run(running)  # type: ignore[arg-type]


def measure(title: str, ways: dict[str, str], load: str, looks: int, rounds: int, url: str, ca_file: str) -> None:
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            share = looks // 4 if way.startswith("httpx") and load == "saturated" else looks
            argv = [
                sys.executable,
                __file__,
                "--way",
                way,
                "--load",
                load,
                "--looks",
                str(share),
                "--url",
                url,
                "--ca",
                ca_file,
            ]
            found[name].append(float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout) * 1000)
    floor = statistics.median(next(iter(found.values())))
    print(f"{title} ({rounds} rounds of {looks} looks, CPU of the looking process)")
    print(f"  {'':28} {'ms a look':>9}  {'spread':>15}  {'x first':>7}")
    for name, values in found.items():
        middle = statistics.median(values)
        spread = f"{min(values):.3f}-{max(values):.3f}"
        print(f"  {name:28} {middle:9.3f}  {spread:>15}  {middle / floor:7.2f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer looks and rounds")
    for name in ("--way", "--load", "--url", "--ca", "--target"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--looks", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.target:
        import uvloop

        uvloop.run(target(options.target))
        return 0
    if options.way:
        print(one_way(options.way, options.load, options.looks, options.url, options.ca))
        return 0

    looks, rounds = (2_000, 3) if options.quick else (6_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, __file__, "--target", folder]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            try:
                plain, secure = map(int, child.stdout.readline().split())  # type: ignore[union-attr]
                url, ca_file = f"http://127.0.0.1:{plain}/health", str(Path(folder) / "ca.pem")
                measure("HTTP, saturated", WAYS, "saturated", looks, rounds, url, ca_file)
                some = {name: WAYS[name] for name in ("everwake", "everwake, thread", "aiohttp, uvloop", "httpx")}
                steady_looks = 150 if options.quick else 400
                measure(
                    "HTTP, 50 a second, due times on a 100 ms grid", some, "0.1", steady_looks, rounds, url, ca_file
                )
                few = {name: WAYS[name] for name in ("everwake", "aiohttp, uvloop")}
                measure("HTTP, 50 a second, each by itself", few, "0.02", steady_looks, rounds, url, ca_file)
                safe = {
                    name: way
                    for name, way in WAYS.items()
                    if name not in ("everwake, loop's readers", "everwake, thread")
                }
                secure_url = f"https://127.0.0.1:{secure}/health"
                title = "HTTPS, saturated, full verified handshake each time, no session resumed"
                measure(title, safe, "saturated", looks // 4, rounds, secure_url, ca_file)
            finally:
                child.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
