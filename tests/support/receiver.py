"""A real HTTP server on loopback that takes Apprise's json:// messages, and misbehaves when told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Receiver", "receiver"]


class Receiver:
    """What arrived. status: what is answered.   gate: cleared, a request is held until it is set."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)
        self.port = 0

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/a-secret-path"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """One that listens."""
    one = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            one.arrived.release()
            one.gate.wait(30)
            if one.status == 200:
                one.messages.append(body)
                one.keys.append(self.headers["Idempotency-Key"])
            self.send_response(one.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        one.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield one
        finally:
            one.gate.set()
            server.shutdown()
            thread.join()
