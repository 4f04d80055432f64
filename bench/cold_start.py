"""Cold start of the chatbot, with Redis, Firebase and OpenAI configured, beside a bare FastAPI app under the same server.

Measured from the spawn of the process: the first 200 on /health, the memory at that moment, the first reply (a session,
then a message that an OpenAI-compatible server on loopback answers at once). Beside it a bare Starlette app and the bare
interpreter, so that one sees whose time it is. Rounds are interleaved; medians, with min-max.

python bench/cold_start.py [--quick|--full]
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.openai_server import OpenAIServer  # noqa: E402
from tests.support.processes import free_port  # noqa: E402

BARE = """
import sys
from contextlib import asynccontextmanager
{make}
import uvicorn
config = uvicorn.Config(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False,
    ws="websockets-sansio", ws_per_message_deflate=False, timeout_graceful_shutdown=20, server_header=False,
    proxy_headers=False)
uvicorn.Server(config).run()
"""
# As `python -m chatify chatbot`. aiohttp belongs to the backend; a deployed chatbot does not have it, and the SDK imports it
# where it is (70 ms).
CHATBOT = """
import sys
sys.modules["aiohttp"] = None
from chatify.cli import main
sys.exit(main(["chatbot"]))
"""
FASTAPI = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/health")
async def health():
    return {"status": "healthy"}
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
async def health(request):
    return JSONResponse({"status": "healthy"})
app = Starlette(routes=[Route("/health", health)])
"""


def service_account() -> str:
    """A service account as Google makes them, with a key made on the spot."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return json.dumps(
        {
            "type": "service_account", "project_id": "bench", "private_key_id": "0", "private_key": pem,
            "client_email": "bench@bench.iam.gserviceaccount.com", "client_id": "0",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )  # fmt: skip


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, object]:
    """One request on a connection of its own."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        line.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = line.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        line.close()


def until_healthy(port: int) -> None:
    """Ask again and again until /health is 200; a millisecond between refusals."""
    until = time.perf_counter() + 60
    while time.perf_counter() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
                line.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if line.recv(64).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            time.sleep(0.001)
    raise TimeoutError("no /health within 60 s")


def once(argv: list[str], environ: dict[str, str], port: int, *, replies: bool) -> dict[str, float]:
    """One start: ms to health, MB then, ms to the first reply."""
    began = time.perf_counter()
    process = subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_healthy(port)
        seen = {"health_ms": (time.perf_counter() - began) * 1e3}
        watched = psutil.Process(process.pid)
        seen["health_cpu_ms"] = sum(watched.cpu_times()[:2]) * 1e3
        memory = watched.memory_full_info()
        seen["rss_mb"] = memory.rss / 2**20
        seen["pss_mb"] = getattr(memory, "pss", memory.uss) / 2**20
        if replies:
            # Reading the memory took a moment in which the imports went on; it counts, as it would for a user.
            status, session = ask(port, "POST", "/api/v1/chatbot/session", {"user_id": "bench"})
            assert status == 200, session
            status, reply = ask(
                port, "POST", f"/api/v1/chatbot/session/{session['session_id']}/message", {"message": "hello"}
            )
            assert (status, reply["provider"]) == (200, "openai"), reply
            seen["reply_ms"] = (time.perf_counter() - began) * 1e3
            seen["reply_cpu_ms"] = sum(watched.cpu_times()[:2]) * 1e3
        return seen
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def redis_server() -> Iterator[str]:
    """A real one, without persistence."""
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.01)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def contenders(folder: Path, redis_url: str, ai_url: str) -> dict[str, Callable[[], dict[str, float]]]:
    """name -> one start of it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if name in os.environ}
    configured = {
        "REDIS_URL": redis_url, "FIREBASE_CREDENTIALS": service_account(), "OPENAI_BASE_URL": ai_url,
        "OPENAI_API_KEY": "sk-bench-0f1e2d3c4b5a6978", "AI_PROVIDER": "openai",
    }  # fmt: skip

    def bare(make: str) -> Callable[[], dict[str, float]]:
        def start() -> dict[str, float]:
            port = free_port()
            return once([sys.executable, "-c", BARE.format(make=make), str(port)], kept, port, replies=False)

        return start

    def chatbot(extra: dict[str, str], replies: bool) -> Callable[[], dict[str, float]]:
        def start() -> dict[str, float]:
            port = free_port()
            environ = {**kept, "PORT": str(port), "DATA_DIR": str(folder), **extra}
            return once([sys.executable, "-c", CHATBOT], environ, port, replies=replies)

        return start

    return {
        "bare FastAPI": bare(FASTAPI),
        "chatbot, all configured": chatbot(configured, True),
        "chatbot, no variables": chatbot({}, False),
        "bare Starlette": bare(STARLETTE),
    }


def spread(values: list[float], form: str = "7.0f") -> str:
    """Median and min-max."""
    return f"{statistics.median(values):{form}} ({min(values):.0f}-{max(values):.0f})"


def main() -> int:
    """Print a table, then the ratios to the bare FastAPI app."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15")
    parser.add_argument("--full", action="store_true", help="25 rounds")
    options = parser.parse_args()
    rounds = 5 if options.quick else 25 if options.full else 15
    folder = Path(tempfile.mkdtemp())
    try:
        with redis_server() as redis_url, OpenAIServer() as ai:
            starts = contenders(folder, redis_url, ai.base_url)
            seen: dict[str, list[dict[str, float]]] = {name: [] for name in starts}
            for turn in range(rounds + 1):
                for name, start in starts.items():
                    result = start()
                    if turn:  # the first round warms the disk's cache and the byte code
                        seen[name].append(result)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{'':>24} {'first 200 ms':>18} {'CPU ms':>7} {'first reply ms':>18} {'CPU ms':>7} {'PSS MB':>8} {'RSS MB':>8}"
        f"   ({rounds} rounds)"
    )
    for name, results in seen.items():
        column = {key: [one[key] for one in results] for key in results[0]}
        reply = spread(column["reply_ms"]) if "reply_ms" in column else ""
        cpu = f"{statistics.median(column['reply_cpu_ms']):.0f}" if "reply_cpu_ms" in column else ""
        print(
            f"{name:>24} {spread(column['health_ms']):>18} {statistics.median(column['health_cpu_ms']):7.0f} {reply:>18} {cpu:>7}"
            f" {statistics.median(column['pss_mb']):8.1f} {statistics.median(column['rss_mb']):8.1f}"
        )
    floor, ours = seen["bare FastAPI"], seen["chatbot, all configured"]
    for what, key, base, goal in (
        ("first 200", "health_ms", "health_ms", 1.15),
        ("first reply", "reply_ms", "health_ms", 1.6),
        ("first 200, CPU", "health_cpu_ms", "health_cpu_ms", 1.15),
        ("first reply, CPU", "reply_cpu_ms", "health_cpu_ms", 1.6),
        ("memory (PSS)", "pss_mb", "pss_mb", 1.2),
        ("memory (RSS)", "rss_mb", "rss_mb", 1.2),
    ):
        ratios = [one[key] / bare[base] for one, bare in zip(ours, floor, strict=True)]
        middle = statistics.median(ratios)
        said = "reached" if middle <= goal else "missed"
        print(f"{what:>24}: {middle:.2f} x ({min(ratios):.2f}-{max(ratios):.2f}), goal {goal}: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
