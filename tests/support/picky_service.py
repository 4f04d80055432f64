"""A small service that reads its variables as chatify does: JSON lists, and where one is wrong it says why and does not start."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

KEYS = ("BACKEND_CORS_ORIGINS", "ALLOWED_ORIGINS")


def main() -> None:
    """Serve on PORT; GET answers 200."""
    wrong = False
    for key in KEYS:
        try:
            json.loads(os.environ.get(key, "[]"))
        except ValueError as error:
            wrong = True
            print(f"ValidationError: 1 validation error for Settings - {key}: {error}", flush=True)
    if wrong:
        sys.exit(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = HTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
