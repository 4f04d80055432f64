"""What the backend adds to a message: page -> backend -> chatbot beside page -> chatbot, measured in the same rounds.

`added` is the difference of the two in one round. The floors are the bare FastAPI routes of bench/message.py (two plain
transactions on the chatbot's rows). The backend's share is an outbox that survives a kill (two transactions), a call over
HTTP to another process, and the way back; all processes and the load share the machine's cores.

python bench/backend.py [--quick]
"""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import message as floor  # beside this script; it also puts the repository on the path

from tests.support.processes import Service, start  # isort: skip

BODY = json.dumps({"message": "Tell me about the weather in the mountains, please."}).encode()


async def load_on_backend(port: int, sessions: list[str], messages: int, at_once: int) -> list[float]:
    """Seconds of each of `messages` requests, `at_once` at a time, each connection on a session of its own."""
    loop = asyncio.get_running_loop()
    times_s: list[float] = []
    left, waits = [messages], []
    for n in range(at_once):
        head = (
            f"POST /api/v1/chat/sessions/{sessions[n % len(sessions)]}/messages HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        ).encode()
        done: asyncio.Future[None] = loop.create_future()
        waits.append(done)
        await loop.create_connection(
            lambda h=head, d=done: floor._Client(h + BODY, left, times_s, d), "127.0.0.1", port
        )
    await asyncio.wait_for(asyncio.gather(*waits), 600)
    return times_s


@contextmanager
def backend_for(chatbot: Service, folder: Path) -> Iterator[tuple[Service, list[str]]]:
    """A backend in front of `chatbot`, with 200 sessions."""
    variables = {
        "DATA_DIR": str(folder / "backend"), "CHATBOT_URL": chatbot.url, "RATE_LIMIT": "1000000", "REPLY_WAIT": "60",
        "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    service = start("backend", variables)
    try:
        service.until_up()
        made = [service.request("POST", "/api/v1/chat/sessions", {"user_id": f"user-{n}"}) for n in range(200)]
        assert all(body["status"] == "ready" for _, body in made), made[0]
        yield service, [body["session_id"] for _, body in made]
    finally:
        service.close()


def compare(running: dict, backend: tuple[Service, list[str]], at_once: int, rounds: int, messages: int) -> None:
    """One concurrency: warm up, then interleaved rounds."""
    names = [*running, "backend"]
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else reversed(names):
            service, ids = backend if name == "backend" else running[name]
            load = load_on_backend if name == "backend" else floor.load_on
            times_s = asyncio.run(load(service.port, ids, messages // 5 if turn == 0 else messages, at_once))
            if turn:
                seen[name].append((floor.quantile(times_s, 0.50) * 1e3, floor.quantile(times_s, 0.99) * 1e3))
    seen["added"] = [
        (b50 - c50, b99 - c99) for (b50, b99), (c50, c99) in zip(seen["backend"], seen["chatbot"], strict=True)
    ]
    for name, pairs in seen.items():
        p50, p99 = (statistics.median(column) for column in zip(*pairs, strict=True))
        line = f"{at_once:>7} {name:>10} {p50:8.2f} {p99:8.2f}"
        if name == "added":
            for bare in ("blocking", "threads"):
                for which in (0, 1):
                    ratios = [a[which] / b[which] for a, b in zip(pairs, seen[bare], strict=True)]
                    line += f"  {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(line, flush=True)


def main() -> int:
    """Print one block a concurrency: milliseconds, and the added time as a ratio to each floor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and messages")
    options = parser.parse_args()
    rounds = 3 if options.quick else 7
    messages = (1500, 300) if options.quick else (3000, 1000)  # alone, all of them go to one session of 10,000
    folder = Path(tempfile.mkdtemp())
    try:
        with suppress(KeyboardInterrupt), floor.servers(folder, None) as running:
            with backend_for(running["chatbot"][0], folder) as backend:
                print(
                    f"{'at once':>7} {'':>10} {'p50 ms':>8} {'p99 ms':>8}"
                    "  added / blocking: p50 (min-max), p99; added / threads: p50, p99"
                )
                for at_once in (1, 50, 200):
                    compare(running, backend, at_once, rounds, messages[at_once == 1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
