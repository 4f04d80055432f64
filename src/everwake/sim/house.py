"""What every service of a platform shares, and how an instance of one is started there."""

import asyncio
import secrets
import shlex
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from everwake.ports import Clock
from everwake.sim.books import Books
from everwake.sim.instance import Box, Start, free_port
from everwake.sim.life import Rules
from everwake.sim.lines import Lines
from everwake.sim.pace import Pace
from everwake.sim.ports import HOST
from everwake.sim.processes.group import Group
from everwake.sim.records import PLAN_MEMORY_BYTES, Deploy, Instance, Service, ServiceType

__all__ = ["House", "command_of", "environment", "launch"]

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SHORT_TYPES = {
    ServiceType.WEB: "web", ServiceType.PRIVATE: "pserv", ServiceType.WORKER: "worker", ServiceType.CRON: "cron",
    ServiceType.STATIC: "static",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """rules: in real seconds.   said_rules: in platform seconds, for what is told.   do: runs a coroutine as a task owned by the
    platform.   surroundings: variables that any process needs (PATH, HOME, ...).   source: folder of the blueprint, where
    services that are not ours start.   data: folder of the simulator."""

    books: Books
    lines: Lines
    group: Group
    clock: Clock
    pace: Pace
    rules: Rules
    said_rules: Rules
    do: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
    surroundings: Mapping[str, str] = field(repr=False)
    source: Path
    data: Path

    def say(self, service_id: str, text: str, type_: str = "app") -> None:
        """A line of the platform itself."""
        self.lines.say(service_id, f"==> {text}", type_)

    def url(self, service: Service) -> str:
        """Where the edge answers for it."""
        is_served = service.type in (ServiceType.WEB, ServiceType.STATIC)
        return f"http://{HOST}:{service.port}" if is_served else ""

    def memory_limit_bytes(self, service: Service) -> int:
        """What its plan gives it."""
        return PLAN_MEMORY_BYTES.get(service.plan, PLAN_MEMORY_BYTES["free"])


def command_of(service: Service, deploy: Deploy, port: int) -> str:
    """What a deploy starts: its commit's own command, else the service's; for a static site a server of its files."""
    if service.type is ServiceType.STATIC:
        words = [
            sys.executable,
            "-m",
            "http.server",
            str(port),
            "--bind",
            HOST,
            "--directory",
            service.publish_path or ".",
        ]
        return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
    return deploy.commit.start_command or service.start_command


def environment(house: House, service: Service, deploy: Deploy, instance: Instance) -> dict[str, str]:
    """All variables of an instance: what any process needs, the deploy's, and what the platform sets itself.

    PORT and HOST are the container's own on the real platform. Here all instances share one machine, two of one service at a
    time during a rollover, so whatever the owner wrote for these two stands for a free port of loopback.
    """
    bin_folder = str(Path(sys.executable).parent)
    separator = ";" if sys.platform == "win32" else ":"
    path = separator.join(filter(None, (bin_folder, deploy.env.get("PATH") or house.surroundings.get("PATH", ""))))
    url = house.url(service)
    host = deploy.env.get("HOST", "")
    return {
        **house.surroundings, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **deploy.env,
        "PATH": path, "PORT": str(instance.port), **({"HOST": HOST} if _is_any_address(host) else {}),
        "RENDER": "true", "RENDER_SERVICE_ID": service.id, "RENDER_SERVICE_NAME": service.name,
        "RENDER_SERVICE_TYPE": _SHORT_TYPES[service.type], "RENDER_INSTANCE_ID": instance.id,
        "RENDER_EXTERNAL_URL": url, "RENDER_EXTERNAL_HOSTNAME": url.partition("://")[2],
        "RENDER_GIT_COMMIT": deploy.commit.id, "RENDER_GIT_BRANCH": service.branch,
        "RENDER_GIT_REPO_SLUG": "/".join(service.repo.removesuffix(".git").split("/")[-2:]),
        "IS_PULL_REQUEST": "false", "RENDER_WEB_CONCURRENCY": "1",
    }  # fmt: skip


def _is_any_address(host: str) -> bool:
    """Unset or every interface: here that is loopback, for a rehearsal is nobody else's to reach."""
    return host.strip() in ("", "0.0.0.0", "::", "[::]")  # noqa: S104


async def launch(house: House, service: Service, deploy: Deploy) -> Box:
    """Start an instance of a deploy."""
    suffix = "".join(secrets.choice(_LETTERS) for _ in range(5))
    instance = Instance(
        id=f"{service.id}-{suffix}", service_id=service.id, deploy_id=deploy.id, created_at=house.clock.now(),
        port=free_port(),
    )  # fmt: skip
    command = command_of(service, deploy, instance.port)
    house.say(service.id, f"Running '{command}'")

    def said(text: str) -> None:
        house.lines.say(service.id, text, "app", instance.id)

    # Free plans have no disk: what an instance writes is gone with it.
    folder = house.data / "instances" / instance.id if service.ours else house.source / service.root_dir
    env = environment(house, service, deploy, instance)
    start = Start(command=command, env=env, folder=folder, said=said, is_own_folder=service.ours)
    return await Box.start(instance, house.group, start)
