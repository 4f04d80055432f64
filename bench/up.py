"""`everwake up`: from Enter to three green services, and from Ctrl-C to nothing left, beside three bare FastAPI apps.

The floor spawns three bare apps under uvicorn at once, without Redis, supervision or chat, and asks each /health until 200.
python bench/up.py [--quick]
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""
GIVE_UP_S = 60.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as held:
        return [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]


def until_green(urls: list[str]) -> None:
    """Wait until every URL answers 200."""
    deadline = time.perf_counter() + GIVE_UP_S
    for url in urls:
        while True:
            with contextlib.suppress(OSError), urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    break
            if time.perf_counter() > deadline:
                raise SystemExit(f"{url} did not become green")
            time.sleep(0.005)


def bare() -> tuple[float, float]:
    """Three bare apps: seconds to green, seconds to gone."""
    ports = free_ports(3)
    began = time.perf_counter()
    apps = [subprocess.Popen([sys.executable, "-c", BARE, str(port)]) for port in ports]
    try:
        until_green([f"http://127.0.0.1:{port}/health" for port in ports])
        green_s = time.perf_counter() - began
        began = time.perf_counter()
        for app in apps:
            app.send_signal(signal.SIGTERM)
        for app in apps:
            app.wait(GIVE_UP_S)
        return green_s, time.perf_counter() - began
    finally:
        for app in apps:
            app.kill()
            app.wait()


def everwake(folder: Path) -> tuple[float, float]:
    """`everwake up`: seconds to green, seconds to gone."""
    argv = [sys.executable, "-m", "everwake", "up", "--json", "--quiet"]
    argv += ["--port", str(free_ports(1)[0]), "--data", str(folder)]
    environ = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "OPENAI_API_KEY")}
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as up:
        try:
            assert up.stdout is not None
            first = up.stdout.readline()
            if not first:
                raise SystemExit(f"everwake up did not start:\n{up.communicate()[1]}")
            until_green([f"{service['url']}/health" for service in json.loads(first)["services"].values()])
            green_s = time.perf_counter() - began
            began = time.perf_counter()
            up.send_signal(signal.SIGINT)
            up.communicate(timeout=GIVE_UP_S)
            return green_s, time.perf_counter() - began
        finally:
            up.kill()


def help_s() -> float:
    """`everwake --help`."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "everwake", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def nothing_s() -> float:
    """The bare interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def row(what: str, ours: list[float], floor: list[float]) -> None:
    """One line of the table: medians in milliseconds with their spread, and the ratio of the medians."""

    def shown(seconds: list[float]) -> str:
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        return f"{middle * 1000:6.0f} ({low * 1000:.0f}-{high * 1000:.0f})"

    ratio = statistics.median(ours) / statistics.median(floor)
    print(f"{what:<34}{shown(ours):>20}{shown(floor):>20}{ratio:>8.2f}")


def main() -> None:
    """Interleaved rounds, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 15")
    rounds = 3 if parser.parse_args().quick else 15
    measures: list[Callable[[Path], tuple[float, float]]] = [lambda _: bare(), everwake]
    starts: list[list[float]] = [[], []]
    stops: list[list[float]] = [[], []]
    helps: list[list[float]] = [[], []]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):  # the first warms the file cache and is not counted
            for which, measure in enumerate(measures):
                green_s, gone_s = measure(Path(folder))
                if number:
                    starts[which].append(green_s)
                    stops[which].append(gone_s)
            for which, look in enumerate((nothing_s, help_s)):
                helps[which].append(look())
    print(f"{'ms, median (min-max)':<34}{'everwake':>20}{'floor':>20}{'ratio':>8}")
    row("Enter to three green services", starts[1], starts[0])
    row("Ctrl-C to nothing left", stops[1], stops[0])
    row("everwake --help / python -c pass", helps[1], helps[0])


if __name__ == "__main__":
    main()
