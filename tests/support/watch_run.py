"""`everwake watch` as a person starts it: a real process in a folder of its own, its terminal watched, always cleaned up."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support.processes import Service, free_port
from tests.support.up_run import until

__all__ = ["WatchRun", "described", "watching"]

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "USERPROFILE", "VIRTUAL_ENV")


def described(name: str, url: str, more: str = "") -> str:
    """One service of a fleet file."""
    return f'[[service]]\nname = "{name}"\nurl = "{url}"\n{more}\n'


class WatchRun(Service):
    """A running keeper. `lines` holds stdout and stderr together."""

    data: Path
    fleet: Path

    def until_ready(self) -> dict[str, Any]:
        """Wait for an `up.json` of this very process; what it says."""
        until(lambda: self._published() or self.process.poll() is not None)
        assert self._published(), self.log
        return dict(json.loads((self.data / "up.json").read_text()))

    def _published(self) -> bool:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return bool(json.loads((self.data / "up.json").read_text())["pid"] == self.process.pid)
        return False

    def get(self, path: str) -> Any:
        """JSON of the keeper's API."""
        with urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def post(self, path: str) -> Any:
        """Ask the keeper for something."""
        with urlopen(Request(f"{self.url}{path}", b"", method="POST"), timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    @property
    def states(self) -> dict[str, str]:
        """How every service stands."""
        return {one["name"]: one["state"] for one in self.get("/api/v1/fleet")["services"]}

    @property
    def incidents(self) -> list[dict[str, Any]]:
        """All of them, newest first."""
        return list(self.get("/api/v1/incidents")["items"])


@contextlib.contextmanager
def watching(
    folder: Path, *options: str, port: int | None = None, env: Mapping[str, str] | None = None
) -> Iterator[WatchRun]:
    """Start it with its data in `folder`/data and its fleet in `folder`/everwake.toml; of the tester's variables the least."""
    at = free_port() if port is None else port
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    argv = [
        sys.executable, "-m", "everwake", "watch", "--fleet", str(folder / "everwake.toml"), "--data", str(folder / "data"),
        "--port", str(at), *options,
    ]  # fmt: skip
    run = WatchRun(argv, {**kept, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **(env or {})}, at)
    run.data, run.fleet = folder / "data", folder / "everwake.toml"
    try:
        yield run
    finally:
        run.close()
