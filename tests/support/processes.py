"""Start a service the way a platform does: a real process on a free port, watched through its log and its /health."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

__all__ = ["Service", "free_port", "running", "running_async"]

# What a process needs to run at all; every other variable of the tester's shell stays out of the test.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "USERPROFILE", "VIRTUAL_ENV")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Service:
    """One process and what it printed. Use `running`, which also cleans up."""

    def __init__(self, argv: list[str], environ: Mapping[str, str], port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.lines: list[str] = []
        self._printed = threading.Condition()
        # On Windows Ctrl-Break, the gentle signal there, goes to a whole process group: it needs one of its own.
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self.process = subprocess.Popen(
            argv, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
            errors="backslashreplace", creationflags=flags,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._printed:
                self.lines.append(line.rstrip("\n"))
                self._printed.notify_all()
        with self._printed:
            self._printed.notify_all()

    @property
    def log(self) -> str:
        """Everything printed so far."""
        return "\n".join(self.lines)

    def until_line(self, text: str, within_s: float = 15.0) -> str:
        """The first line that holds `text`; fails the test when it does not come."""
        deadline = time.monotonic() + within_s
        with self._printed:
            while True:
                for line in self.lines:
                    if text in line:
                        return line
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._reader.is_alive():
                    raise AssertionError(f"{text!r} was not printed; the log:\n{self.log}")
                self._printed.wait(min(left_s, 0.2))

    def until_up(self, within_s: float = 20.0) -> None:
        """Wait until GET /health answers 200."""
        deadline = time.monotonic() + within_s
        while True:
            if self.process.poll() is not None:
                self._reader.join(5)
                raise AssertionError(f"ended with {self.process.returncode}; the log:\n{self.log}")
            try:
                if self.get("/health", timeout_s=2)[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"/health did not answer; the log:\n{self.log}")
            time.sleep(0.02)

    def get(self, path: str, timeout_s: float = 10.0) -> tuple[int, Any]:
        """Status and JSON body of a GET."""
        return self.request("GET", path, timeout_s=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> tuple[int, Any]:
        """Status and JSON body of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json", **(headers or {})})
            response = connection.getresponse()
            raw = response.read()
            return response.status, json.loads(raw) if raw else None
        finally:
            connection.close()

    def terminate(self) -> None:
        """Ask it to stop, as platforms do."""
        self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))

    def kill(self) -> None:
        """End it without asking."""
        self.process.kill()
        self.process.wait(10)

    def wait(self, within_s: float = 30.0) -> int:
        """Its exit code, and the whole log read."""
        code = self.process.wait(within_s)
        self._reader.join(5)
        return code

    def close(self) -> None:
        """End it whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(word: str, environ: Mapping[str, str], *, port: int | None = None, argv: list[str] | None = None) -> Service:
    """Start `python -m chatify WORD` (or `argv`) with only `environ` beside the operating system's own variables."""
    port = free_port() if port is None else port
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return Service(
        argv or [sys.executable, "-m", "chatify", word],
        {**kept, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PORT": str(port), **environ},
        port,
    )


@contextmanager
def running(
    word: str,
    environ: Mapping[str, str],
    *,
    port: int | None = None,
    until_up: bool = True,
    argv: list[str] | None = None,
) -> Iterator[Service]:
    """A service that answers /health (unless until_up is False); ended at the end whatever happened."""
    service = start(word, environ, port=port, argv=argv)
    try:
        if until_up:
            service.until_up()
        yield service
    finally:
        service.close()


@asynccontextmanager
async def running_async(
    word: str, environ: Mapping[str, str], *, port: int | None = None, until_up: bool = True
) -> AsyncIterator[Service]:
    """The same for a test whose own event loop must go on meanwhile."""
    service = start(word, environ, port=port)
    try:
        if until_up:
            await asyncio.to_thread(service.until_up)
        yield service
    finally:
        await asyncio.to_thread(service.close)
