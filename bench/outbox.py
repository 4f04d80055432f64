"""100,000 messages that waited while the chatbot slept: how fast they drain, in order, and what memory that takes.

The backend is a real process; the chatbot is a server in this process that answers at once and notes what it was told.
The floor is a loop over plain sqlite3 that does the rows of it: for each message one transaction that updates the message
and its session. The drain does that, in groups, plus an HTTP call to another process for each.

python bench/outbox.py [--quick]
"""

import argparse
import asyncio
import json
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from chatify.backend.outbox import ChatSession
from chatify.backend.stores.sqlite import SqliteOutbox

from tests.support.processes import start  # isort: skip

EACH = 100  # messages of a session, which is also what may wait in one


class Instant(asyncio.Protocol):
    """An HTTP server for one client that sends a request at a time on each connection."""

    def __init__(self, bench: "Chatbot") -> None:
        self.bench, self.buffer = bench, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        path = first.split(b" ")[1].decode()
        if path.endswith("/message"):
            body = self.bench.reply(path.split("/")[-2], json.loads(rest[:length])["message"])
        elif path == "/health":
            body = {"status": "healthy"}
        else:
            body = {"session_id": json.loads(rest[:length])["user_id"], "personality_id": "p", "response_limit": 1000}
        text = json.dumps(body).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text
        )


class Chatbot:
    """Answers at once; `told` counts each session's messages, `disorder` holds what came out of turn."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.disorder: list[str] = []

    def reply(self, session: str, text: str) -> dict[str, object]:
        """A message must be the one after the last of its session."""
        if text != f"message {self.told[session]}":
            self.disorder.append(f"{session}: {text} after {self.told[session]}")
        self.told[session] += 1
        return {
            "response": f"You said: {text}",
            "responses_used": self.told[session],
            "responses_left": 0,
            "provider": "x",
        }


async def fill(path: Path, messages: int) -> None:
    """The outbox as a long sleep of the chatbot leaves it."""
    box = SqliteOutbox(path)
    await box.open()
    now = time.time()
    for first in range(0, messages // EACH, 100):
        names = [f"session-{n}" for n in range(first, min(first + 100, messages // EACH))]
        await asyncio.gather(
            *(box.add(ChatSession(id=name, user_id=name, personality_id="p", created_at=now)) for name in names)
        )
        for number in range(EACH):
            await asyncio.gather(
                *(
                    box.accept(name, f"m{number}", f"message {number}", now=now, lease_s=None, waiting_limit=EACH)
                    for name in names
                )
            )
    await box.close()


def floor(path: Path, messages: int) -> float:
    """Messages a second."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")
    outcome = json.dumps(
        {"response": "You said: message 10", "responses_used": 1, "responses_left": 0, "provider": "x"}
    )
    began_at = time.perf_counter()
    for session in range(messages // EACH):
        for number in range(1, EACH + 1):
            db.execute("BEGIN IMMEDIATE")
            db.execute(
                "UPDATE message SET status = 'answered', outcome = ?, settled_at = ? WHERE session_id = ? AND number = ?",
                (outcome, time.time(), f"session-{session}", number),
            )
            db.execute(
                "UPDATE session SET settled = ?, due_at = ? WHERE id = ?",
                (number, time.time(), f"session-{session}"),
            )
            db.execute("COMMIT")
    took_s = time.perf_counter() - began_at
    db.close()
    return messages / took_s


async def drain(folder: Path, messages: int) -> tuple[float, list[float]]:
    """Messages a second, and resident megabytes of the backend at each tenth of the way."""
    chatbot = Chatbot()
    server = await asyncio.get_running_loop().create_server(lambda: Instant(chatbot), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    backend = await asyncio.to_thread(
        start, "backend", {"DATA_DIR": str(folder), "CHATBOT_URL": url, "LOG_LEVEL": "WARNING"}
    )
    try:
        process = psutil.Process(backend.process.pid)
        while not chatbot.told:
            await asyncio.sleep(0.005)
        began_at, curve = time.perf_counter(), []
        while (done := chatbot.told.total()) < messages:
            if done >= messages * len(curve) / 10:
                curve.append(process.memory_info().rss / 2**20)
            await asyncio.sleep(0.01)
            if time.perf_counter() - began_at > 900:
                raise RuntimeError(f"only {done} of {messages} after 15 minutes: {backend.log[-2000:]}")
        took_s = time.perf_counter() - began_at
        curve.append(process.memory_info().rss / 2**20)
        await asyncio.sleep(0.5)  # the last replies are being stored
    finally:
        await asyncio.to_thread(backend.close)
        server.close()
    assert not chatbot.disorder, chatbot.disorder[:5]
    assert set(chatbot.told.values()) == {EACH}
    with sqlite3.connect(folder / "backend.db") as db:
        counted = db.execute("SELECT count(*) FROM message WHERE status = 'answered'").fetchone()[0]
    assert counted == messages, counted
    return messages / took_s, curve


def main() -> int:
    """Print the rate beside the floor's, and the memory on the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 messages, one round")
    options = parser.parse_args()
    messages, rounds = (20_000, 1) if options.quick else (100_000, 3)
    floors, drains = [], []
    for _ in range(rounds):
        folder = Path(tempfile.mkdtemp())
        try:
            asyncio.run(fill(folder / "backend.db", messages))
            shutil.copy(folder / "backend.db", folder / "floor.db")
            floors.append(floor(folder / "floor.db", messages))
            rate, curve = asyncio.run(drain(folder, messages))
            drains.append(rate)
            print(f"{messages:,} messages in order, each once: {rate:8,.0f}/s; floor {floors[-1]:8,.0f}/s")
            print("  resident MB at each tenth: " + " ".join(f"{mb:.1f}" for mb in curve), flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    ratios = [bare / ours for bare, ours in zip(floors, drains, strict=True)]
    print(f"time of a message / floor: {statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
