"""A message through the chatbot, beside a bare FastAPI route that reads and writes the same rows in the same store.

The provider answers at once, so what is measured is ours: routing, the place under the limit, two transactions, the reply.
The bare route checks a pydantic body and does two plain transactions on the chatbot's own SQLite schema; it has no limits,
keys, leases or deadlines. `blocking` does them in the event loop (the least any Python service can do, and every other
request waits meanwhile), `threads` in FastAPI's thread pool as a plain `def` route (what people write).

python bench/message.py [--quick|--full] [--redis]
"""

import argparse
import asyncio
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.processes import free_port, start  # noqa: E402

BODY = json.dumps({"message": "Tell me about the weather in the mountains, please."}).encode()


# --- the floor ---------------------------------------------------------------------------------------------------------


def serve_bare(how: str, path: str) -> int:
    """The bare route under the same server and settings."""
    import uuid
    from contextlib import asynccontextmanager

    from fastapi import FastAPI
    from pydantic import BaseModel

    from chatify.serving import serve
    from chatify.settings import ChatbotSettings, load

    local = threading.local()

    def connection() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(path, isolation_level=None, timeout=5)
            local.connection.execute("PRAGMA synchronous = NORMAL")
        return local.connection

    class Incoming(BaseModel):
        message: str

    def begin(session_id: str, message: str) -> tuple[int, int, str]:
        db, message_id, now = connection(), uuid.uuid4().hex, time.time_ns() // 1000
        db.execute("BEGIN IMMEDIATE")
        row, used = db.execute("SELECT row, responses_used FROM sessions WHERE id = ?", (session_id,)).fetchone()
        turn = db.execute(
            "INSERT INTO turns (session, key, message_id, digest, attempt, leased_us, asked_us, question)"
            " VALUES (?, ?, ?, '', 1, ?, ?, ?)",
            (row, message_id, message_id, now + 10_000_000, now, message),
        ).lastrowid
        db.execute(
            "SELECT message_id, question, asked_us, reply, replied_us, provider FROM turns"
            " WHERE session = ? AND n > ? ORDER BY n LIMIT 20",
            (row, used - 20),
        ).fetchall()
        db.execute("COMMIT")
        return row, turn, message_id

    def finish(row: int, turn: int, reply: str) -> tuple[int, int]:
        db = connection()
        db.execute("BEGIN IMMEDIATE")
        used, limit = db.execute("SELECT responses_used, response_limit FROM sessions WHERE row = ?", (row,)).fetchone()
        db.execute(
            "UPDATE turns SET n = ?, replied_us = ?, reply = ?, provider = 'bare' WHERE row = ?",
            (used + 1, time.time_ns() // 1000, reply, turn),
        )
        db.execute("UPDATE sessions SET responses_used = ? WHERE row = ?", (used + 1, row))
        db.execute("COMMIT")
        return used + 1, limit

    def both(session_id: str, incoming: Incoming) -> dict[str, object]:
        row, turn, message_id = begin(session_id, incoming.message)
        reply = f"You said: {incoming.message}"
        used, limit = finish(row, turn, reply)
        return {
            "session_id": session_id, "message_id": message_id, "response": reply, "responses_used": used,
            "responses_left": limit - used, "provider": "bare",
        }  # fmt: skip

    @asynccontextmanager
    async def live(app: FastAPI) -> Iterator[None]:
        yield

    app = FastAPI(lifespan=live)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy"}

    where = "/api/v1/chatbot/session/{session_id}/message"
    if how == "blocking":

        @app.post(where)
        async def message(session_id: str, incoming: Incoming) -> dict[str, object]:
            return both(session_id, incoming)
    else:

        @app.post(where)
        def message_in_thread(session_id: str, incoming: Incoming) -> dict[str, object]:
            return both(session_id, incoming)

    return serve(app, load(ChatbotSettings), name="bare")


# --- load --------------------------------------------------------------------------------------------------------------


class _Client(asyncio.Protocol):
    """One keep-alive connection that sends its next request as soon as the answer to the last is there."""

    def __init__(self, request: bytes, left: list[int], times_s: list[float], done: asyncio.Future[None]) -> None:
        self.request, self.left, self.times_s, self.done = request, left, times_s, done
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        if self.left[0] <= 0:
            self.transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self.left[0] -= 1
        self.at = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = int(self.buffer[:head].lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        if len(self.buffer) < head + 4 + length:
            return
        self.times_s.append(time.perf_counter() - self.at)
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.buffer[:300].decode(errors="replace")))
            self.transport.close()
            return
        self.buffer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError("the connection was lost"))


async def load_on(port: int, sessions: list[str], messages: int, at_once: int) -> list[float]:
    """Seconds of each of `messages` requests, `at_once` at a time, each connection on a session of its own."""
    loop = asyncio.get_running_loop()
    times_s: list[float] = []
    left = [messages]
    waits = []
    for n in range(at_once):
        head = (
            f"POST /api/v1/chatbot/session/{sessions[n % len(sessions)]}/message HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        ).encode()
        done: asyncio.Future[None] = loop.create_future()
        waits.append(done)
        await loop.create_connection(lambda h=head, d=done: _Client(h + BODY, left, times_s, d), "127.0.0.1", port)
    await asyncio.wait_for(asyncio.gather(*waits), 600)
    return times_s


@contextmanager
def servers(folder: Path, redis_url: str | None) -> Iterator[dict[str, tuple[object, list[str]]]]:
    """The chatbot and the bare routes, each on a store of its own with 200 sessions: name -> (service, session ids)."""
    variables = {
        "RATE_LIMIT": "1000000", "SESSION_RESPONSE_LIMIT": "10000", "AI_PROVIDER": "offline", "LOG_LEVEL": "WARNING",
        "MAX_REPLIES": "1000",
    }  # fmt: skip
    started = []
    found = {}
    try:
        chatbot = start("chatbot", {**variables, "DATA_DIR": str(folder / "ours")})
        started.append(chatbot)
        chatbot.until_up()
        ids = []
        for n in range(200):
            status, session = chatbot.request("POST", "/api/v1/chatbot/session", {"user_id": f"user-{n}"})
            assert status == 200, session
            ids.append(session["session_id"])
        found["chatbot"] = (chatbot, ids)
        if redis_url:
            other = start("chatbot", {**variables, "REDIS_URL": redis_url})
            started.append(other)
            other.until_up()
            made = [other.request("POST", "/api/v1/chatbot/session", {"user_id": f"u{n}"})[1] for n in range(200)]
            found["chatbot, Redis"] = (other, [one["session_id"] for one in made])
        for how in ("blocking", "threads"):
            path = folder / f"{how}.db"
            with sqlite3.connect(folder / "ours" / "chatbot.db") as source, sqlite3.connect(path) as copy:
                source.backup(copy)
            copy.close()
            argv = [sys.executable, __file__, "--serve-bare", how, str(path)]
            port = free_port()
            bare = start("bare", {"PYTHONPATH": str(ROOT), "LOG_LEVEL": "WARNING"}, port=port, argv=argv)
            started.append(bare)
            bare.until_up()
            found[how] = (bare, ids)
        yield found
    finally:
        for service in started:
            service.close()


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    return psutil.Process(pid).memory_info().rss / 2**20


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of `values` are below."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    """Print one line a concurrency: milliseconds and ratios, medians over interleaved rounds with their spread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and messages")
    parser.add_argument("--full", action="store_true", help="also 100,000 messages for the memory")
    parser.add_argument("--redis", action="store_true", help="also a chatbot on a Redis of its own")
    parser.add_argument("--serve-bare", nargs=2, metavar=("HOW", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_bare:
        return serve_bare(*options.serve_bare)

    rounds = 3 if options.quick else 7
    folder = Path(tempfile.mkdtemp())
    try:
        with suppress(KeyboardInterrupt), _redis(options.redis) as redis_url, servers(folder, redis_url) as running:
            head = "the chatbot's time to this one's: p50 (min-max), p99, mean"
            print(f"{'at once':>7} {'':>15} {'p50 ms':>8} {'p99 ms':>8} {'per s':>7}  {head}")
            for at_once in (1, 50, 200):
                compare(running, at_once, rounds, (300 if at_once == 1 else 1500) if options.quick else 3000)
            memory(running, 100_000 if options.full else 5_000)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


@contextmanager
def _redis(wanted: bool) -> Iterator[str | None]:
    if not wanted:
        yield None
        return
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def compare(running: dict, at_once: int, rounds: int, messages: int) -> None:
    """One concurrency: warm up, then interleaved rounds."""
    seen = {name: ([], [], []) for name in running}
    for turn in range(rounds + 1):
        for name in running if turn % 2 else reversed(list(running)):
            service, all_ids = running[name]
            ids = all_ids[turn:] + all_ids[:turn]  # no session is asked more often than its limit
            times_s = asyncio.run(load_on(service.port, ids, messages // 5 if turn == 0 else messages, at_once))
            if turn:
                seen[name][0].append(quantile(times_s, 0.50) * 1e3)
                seen[name][1].append(quantile(times_s, 0.99) * 1e3)
                seen[name][2].append(statistics.mean(times_s) * 1e3)
    for name, (p50s, p99s, means) in seen.items():
        rate = 1e3 * at_once / statistics.median(means)
        line = f"{at_once:>7} {name:>15} {statistics.median(p50s):8.2f} {statistics.median(p99s):8.2f} {rate:7.0f}"
        if name not in ("chatbot", "chatbot, Redis"):
            for which in (0, 1, 2):
                ratios = [ours / bare for ours, bare in zip(seen["chatbot"][which], seen[name][which], strict=True)]
                line += f"  {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(line, flush=True)


def memory(running: dict, messages: int) -> None:
    """Resident memory of the chatbot while it answers many messages; sessions are renewed as they fill."""
    service, ids = running["chatbot"]
    pid = service.process.pid
    asyncio.run(load_on(service.port, ids, 2_000, 50))
    print(f"memory, {messages:,} messages: {rss_mb(pid):.1f} MB", end="", flush=True)
    for _ in range(5):
        fresh = [
            service.request("POST", "/api/v1/chatbot/session", {"user_id": f"m{n}"})[1]["session_id"] for n in range(50)
        ]
        asyncio.run(load_on(service.port, fresh, messages // 5, 50))
        print(f" -> {rss_mb(pid):.1f}", end="", flush=True)
    print(" MB")


if __name__ == "__main__":
    os.environ.pop("PORT", None) if "--serve-bare" not in sys.argv else None
    sys.exit(main())
