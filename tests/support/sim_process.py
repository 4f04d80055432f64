"""The simulated platform in a process of its own, which writes down every change that it is asked for through its API:
`python -m tests.support.sim_process FOLDER`, with a render.yaml in that folder, until it is told to stop.

`FOLDER/sim.json` appears once all is deployed: `{"pid", "platform": {"url", "key"}, "services": {NAME: {"id", "url"}}}`.
`FOLDER/journal.jsonl` has a line for each change, in order: `{"asked", "method", "path", "body", "status"}`.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from socket import socket
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from everwake.sim.api.app import create
from everwake.sim.api.limits import Limits
from everwake.sim.api.serving import serving
from everwake.sim.life import Rules
from everwake.sim.pace import Pace
from everwake.sim.processes.group import Group
from everwake.sim.signals import Stopped, ToldToStop
from everwake.sim.simulator import Asked, Simulator
from tests.support.processes import free_port

SPEED = 30.0
# As quick as real processes can follow; the waits of the platform are not what is looked into. What hangs is not
# restarted by the platform itself.
QUICK = Rules(
    idle_s=600, start_window_s=10, health_every_s=0.2, health_timeout_s=2.0, out_after_s=3.0, restart_after_s=60.0,
    rollover_s=0.3, queue_s=0.05, first_restart_s=0.1, longest_restart_s=1.0, lasting_s=5.0, scan_every_s=1.0, shutdown_s=2.0,
)  # fmt: skip
PLENTY = Limits(reads=1_000_000, writes=1_000_000, per_service=1_000_000)


class Journal:
    """In front of the control API: notes each change when it was answered, whoever asked and whether he still listens."""

    def __init__(self, app: ASGIApp, file: Path) -> None:
        self._app = app
        self._file = file.open("a", encoding="utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        asked, body, status = time.time(), b"", 0

        async def heard() -> Message:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def said(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, heard, said)
        finally:
            row = {
                "asked": asked, "method": scope["method"], "path": scope["path"], "status": status,
                "body": json.loads(body) if body else None,
            }  # fmt: skip
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()


class Witnessed(Simulator):
    """A simulator with a journal, that may be asked as often as one likes."""

    def __init__(self, asked: Asked, group: Group, witness: Any) -> None:
        super().__init__(asked, group, witness)
        self._folder = asked.data

    async def _served(self, stack: AsyncExitStack, listener: socket) -> None:
        app = create(self.platform, drills=self.drilling, clock=self._clock, limits=PLENTY)
        self._api_url = await stack.enter_async_context(serving(Journal(app, self._folder / "journal.jsonl"), listener))


class Silent:
    """Nobody watches."""

    def say(self, text: str) -> None: ...
    def warn(self, text: str) -> None: ...
    def line(self, name: str, text: str) -> None: ...


async def main(folder: Path) -> None:
    """Until told to stop."""
    asked = Asked(
        data=folder, blueprint=folder / "render.yaml", port=free_port(), speed=SPEED, real_rules=QUICK.paced(Pace(1.0)),
        surroundings={name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
    )  # fmt: skip
    with ToldToStop() as told, Group() as group:
        async with Witnessed(asked, group, Silent()) as simulator:
            try:
                await told.unless(simulator.settled())
                draft = folder / "sim.json.new"
                draft.write_text(json.dumps({"pid": os.getpid(), **simulator.document}))
                draft.replace(folder / "sim.json")
                await told.stop.wait()
            except Stopped:
                return


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
