"""A stand-in for Redis in a process of its own: fakeredis' TCP server behind a password. `python -m everwake.sim.fake_redis`.

stdin: one line of JSON `{"port", "password"}`. Keeps everything in memory and forgets it at the end.
fakeredis (2.40) knows AUTH but lets in who never says it, so the door is ours: the first command on a connection must log in.
"""

import json
import signal
import socket
import sys
import time
from typing import Any

__all__ = ["logs_in", "main"]

FIRST_COMMAND_S = 5.0
FIRST_COMMAND_BYTES = 1024
LOOKS, LOOK_EVERY_S = 100, 0.02


def logs_in(heard: bytes, password: bytes) -> bool | None:
    """Is what a client said first a login with the password? None: cannot be told yet. Takes `AUTH` and `HELLO n AUTH`."""
    words, rest = [], heard
    if not rest.startswith(b"*"):
        return False if rest else None
    head, found, rest = rest.partition(b"\r\n")
    if not found:
        return None
    if not head[1:].isdigit() or not 2 <= int(head[1:]) <= 8:
        return False
    for _ in range(int(head[1:])):
        size, found, rest = rest.partition(b"\r\n")
        if not found:
            return None
        if not size.startswith(b"$") or not size[1:].isdigit() or int(size[1:]) > FIRST_COMMAND_BYTES:
            return False
        length = int(size[1:])
        if len(rest) < length + 2:
            return None
        words.append(rest[:length])
        rest = rest[length + 2 :]
    command = words[0].upper()
    if command == b"HELLO":
        return words[2:3] == [b"AUTH"] and words[4:5] == [password]
    return command == b"AUTH" and words[-1] == password


def _is_let_in(connection: socket.socket, password: bytes) -> bool:
    connection.settimeout(FIRST_COMMAND_S)
    for _ in range(LOOKS):
        # Looked at, not taken: the server behind the door reads it again.
        heard = connection.recv(FIRST_COMMAND_BYTES, socket.MSG_PEEK)
        verdict = logs_in(heard, password)
        if verdict is not None or not heard:
            return bool(verdict)
        time.sleep(LOOK_EVERY_S)  # half a command; the rest is on its way, and a look does not wait for it
    return False


def main() -> None:
    """Serve until SIGTERM."""
    from fakeredis import FakeServer, TcpFakeServer
    from fakeredis._clients._tcp_server import TCPFakeRequestHandler

    settings = json.loads(sys.stdin.readline())
    password = settings["password"].encode()

    class Door(TCPFakeRequestHandler):
        def setup(self) -> None:
            if not _is_let_in(self.request, password):
                self.request.sendall(b"-NOAUTH Authentication required.\r\n")
                raise ConnectionAbortedError("did not log in")
            self.request.settimeout(None)
            super().setup()

    class Server(TcpFakeServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that left or was not let in is no news."""

    server = Server(("127.0.0.1", settings["port"]))
    server.RequestHandlerClass = Door
    server.daemon_threads = True
    server.fake_server = FakeServer(version=(7, 2), config={b"requirepass": password})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, lambda *_: sys.exit(0))
    print("fakeredis is ready", flush=True)  # noqa: T201 - its log is its output
    server.serve_forever()


if __name__ == "__main__":
    main()
