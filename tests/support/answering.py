"""A real HTTP server on loopback that answers as it is told, for whoever looks from another process."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Answering", "answering"]


class Answering:
    """What is answered to every GET. paths: what was asked for."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b'{"status": "healthy"}', dict[str, str]()
        self.paths: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """From now on."""
        self.status, self.body, self.headers = status, body, dict(headers or {})


@contextmanager
def answering(port: int = 0) -> Iterator[Answering]:
    """One that listens."""
    one = Answering()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            one.paths.append(self.path)
            self.send_response(one.status)
            for name, value in one.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(one.body)))
            self.end_headers()
            self.wfile.write(one.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", port), Handler) as server:
        one.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield one
        finally:
            server.shutdown()
            thread.join()
