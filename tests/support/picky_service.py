"""A small service that reads its variables as chatify does: JSON lists, and where one is wrong it says why and does not start.

With the word `moody` it is one that its owner has got used to: with a wrong value it complains and serves, slowly; with right
ones it serves for a second, then answers 500 for ever.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

KEYS = ("BACKEND_CORS_ORIGINS", "ALLOWED_ORIGINS")
SLOW_S, WELL_S = 0.3, 1.0


def main() -> None:
    """Serve on PORT; GET answers 200."""
    is_moody, wrong, began_s = "moody" in sys.argv, False, time.monotonic()
    for key in KEYS:
        try:
            json.loads(os.environ.get(key, "[]"))
        except ValueError as error:
            wrong = True
            print(f"ValidationError: 1 validation error for Settings - {key}: {error}", flush=True)
    if wrong and not is_moody:
        sys.exit(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if is_moody and wrong:
                time.sleep(SLOW_S)
            is_off = is_moody and not wrong and time.monotonic() - began_s > WELL_S
            self.send_response(500 if is_off else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"no" if is_off else b"ok")

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = HTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
