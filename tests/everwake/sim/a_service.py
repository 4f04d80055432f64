"""A tiny service to run on the simulated platform: `python a_service.py [WORD ...]`, on PORT. Answers any GET with its instance.

dies=N ends at once with status N · after=S ends S seconds after its first answer (status=N) · sick: /health answers 500
late=S listens S seconds after its start · elsewhere listens on another port · eats=MB takes so much memory
once it listens, hoards=MB before
stubborn ignores SIGTERM · GET /env answers its variables · GET /crash ends it with status 3 · GET /sick makes it sick, for good
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main() -> None:
    """Serve until told to stop."""
    words = dict(word.partition("=")[::2] for word in sys.argv[1:])
    if os.environ.get("BAD"):
        print("ValidationError: 1 validation error for Settings - BAD", flush=True)
        sys.exit(1)
    if "dies" in words:
        print("going to die", flush=True)
        sys.exit(int(words["dies"]))
    hoard = [b"x" * (int(words.get("hoards", 0)) * 2**20)]
    time.sleep(float(words.get("late", 0)))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/crash":
                os._exit(3)
            if self.path == "/sick":
                words["sick"] = ""
            is_sick = self.path == "/health" and "sick" in words
            told = dict(os.environ) if self.path == "/env" else {"instance": os.environ["RENDER_INSTANCE_ID"]}
            body = json.dumps(told).encode()
            self.send_response(500 if is_sick else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if "after" in words:
                threading.Timer(float(words.pop("after")), end).start()

        def log_message(self, format: str, *arguments: object) -> None:
            print(f"asked for {self.path}", flush=True)

    def stop(*_: object) -> None:
        print("Shutting down", flush=True)
        os._exit(0)

    def end() -> None:
        os._exit(int(words.get("status", 1)))

    signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in words else stop)
    port = 0 if "elsewhere" in words else int(os.environ["PORT"])
    server = ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), port), Handler)
    print(f"listening on {server.server_port}", flush=True)
    if "eats" in words:
        hoard.append(b"x" * (int(words["eats"]) * 2**20))
    server.serve_forever()


if __name__ == "__main__":
    main()
