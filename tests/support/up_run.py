"""`everwake up` as a person starts it: a real process in a folder of its own, its terminal watched, always cleaned up."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

from tests.support.processes import Service, free_port

__all__ = ["UpRun", "until", "up_in"]

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "USERPROFILE", "VIRTUAL_ENV")


def until(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """Wait for a condition; fails the test at the deadline."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


class UpRun(Service):
    """A running `everwake up`. `lines` holds stdout and stderr together."""

    data: Path
    family: list[psutil.Process]

    @property
    def up_json(self) -> Path:
        """Where it says where everything is."""
        return self.data / "up.json"

    def until_ready(self) -> dict[str, Any]:
        """Wait for `up.json`; what it says."""
        until(lambda: self._has_published() or self.process.poll() is not None)
        assert self._has_published(), self.log
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        return dict(json.loads(self.up_json.read_text()))

    def _has_published(self) -> bool:
        """Is there an `up.json`, and is it not one that a killed run left?"""
        with contextlib.suppress(FileNotFoundError):
            return bool(json.loads(self.up_json.read_text())["pid"] == self.process.pid)
        return False

    def at(self, name: str) -> str:
        """The address of a service."""
        return str(json.loads(self.up_json.read_text())["services"][name]["url"])

    def call(self, name: str, path: str, body: Any = None) -> Any:
        """JSON body of a call to a service; an HTTP error is raised."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.at(name) + path, data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def told(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """Give it a signal; its exit code and how long it took to end, in seconds."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.wait(), time.monotonic() - began

    def left(self, within_s: float = 10.0) -> list[psutil.Process]:
        """Of the processes it had when it was ready, those that still live."""
        with contextlib.suppress(AssertionError):
            until(lambda: not any(map(_lives, self.family)), within_s)
        return [one for one in self.family if _lives(one)]


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@contextlib.contextmanager
def up_in(
    folder: Path,
    *options: str,
    before: tuple[str, ...] = (),
    port: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[UpRun]:
    """Start it with its data in `folder`/data; of the tester's own variables only what any process needs."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    at = free_port() if port is None else port
    argv = [
        sys.executable,
        *before,
        "-m",
        "everwake",
        "up",
        "--port",
        str(at),
        "--data",
        str(folder / "data"),
        *options,
    ]
    run = UpRun(argv, {**kept, **(env or {})}, at)
    run.data, run.family = folder / "data", []
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.left()
        run.close()
