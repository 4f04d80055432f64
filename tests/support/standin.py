"""A tiny service to supervise: `python standin.py PORT [WORD ...]`. Answers GET /health; does what the words say.

dies=N ends at once with status N · sick never answers 200 · stubborn ignores SIGTERM, its child too · says=TEXT prints it first
child starts a child in a session of its own that holds its output open
GET /crash ends it with status 3, GET /child tells the child's id.
"""

import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def main() -> None:
    """Serve until told to stop."""
    port, words = int(sys.argv[1]), dict(word.partition("=")[::2] for word in sys.argv[2:])
    if "says" in words:
        print(words["says"], flush=True)
    if "dies" in words:
        sys.exit(int(words["dies"]))
    child = 0
    if "child" in words:
        heeds = "signal.SIG_IGN" if "stubborn" in words else "signal.SIG_DFL"
        forever = f"import signal, time; signal.signal(signal.SIGTERM, {heeds})\nwhile True: time.sleep(60)"
        env = {**os.environ, "STANDIN_WORDS": " ".join(words)}
        child = subprocess.Popen([sys.executable, "-c", forever], env=env, start_new_session=True).pid

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/crash":
                os._exit(3)
            body = str(child).encode() if self.path == "/child" else b'{"status":"healthy"}'
            self.send_response(503 if "sick" in words else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            print(f"asked for {self.path}", flush=True)

    def stop(*_: object) -> None:
        print("told to stop", flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in words else stop)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
