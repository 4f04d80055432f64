"""One instance: a real process with an environment of its own, its lines, its memory, its end."""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from everwake.sim.ports import HOST
from everwake.sim.processes import ready, tree
from everwake.sim.processes.group import Group
from everwake.sim.processes.process import Process, Program
from everwake.sim.records import Instance

__all__ = ["Box", "Start", "free_port", "shell"]

SHELLS = frozenset({"sh", "dash", "bash", "busybox", "zsh", "ash", "cmd.exe"})

# A command of one program can take the shell's place, so that what is asked to stop is the program itself.
_PLAIN = re.compile(r"[^;&|<>()`\n]*")
_BUILT_IN = frozenset(
    {"cd", "export", "set", "unset", "source", ".", "eval", "exec", "if", "for", "while", "case", "until", "{", "!", ":", "test",
     "[", "echo", "printf", "exit", "trap", "ulimit", "umask", "read", "wait", "true", "false", "alias", "command"}
)  # fmt: skip


def shell(command: str) -> tuple[str, ...]:
    """The argument list that runs an owner's command line: the one place where a shell is used, as the platform does."""
    if sys.platform == "win32":
        return (os.environ.get("COMSPEC", "cmd.exe"), "/d", "/s", "/c", command)
    first = command.split(None, 1)[0] if command.strip() else ""
    is_program = _PLAIN.fullmatch(command) and first and first not in _BUILT_IN and "=" not in first
    return ("/bin/sh", "-c", f"exec {command}" if is_program else command)


_given: set[int] = set()


def free_port() -> int:
    """A port of loopback that nobody listens on now, and that no instance of this process was given before."""
    for _ in range(1000):
        with socket.create_server((HOST, 0)) as probe:
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port
    raise OSError("no free port")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How to start one. command: a shell line.   env: all of it.   folder: to start in.   said: called with each line.

    is_own_folder: made for this instance, and gone with it: free plans have no disk.
    """

    command: str
    env: Mapping[str, str] = field(repr=False)
    folder: Path
    said: Callable[[str], None]
    is_own_folder: bool = False


class Box:
    """A started instance. `record` is what the API shows of it."""

    def __init__(self, record: Instance, group: Group, start: Start) -> None:
        self.record = record
        self.is_out_of_memory = False
        self.is_stopping = False
        self._group = group
        self._start = start
        self._process: Process | None = None
        self._status: int | None = None
        self._over = asyncio.Event()
        self._reaping: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, record: Instance, group: Group, start: Start) -> Self:
        """Start it. A command that cannot be run ends with status 127, as a shell's would."""
        box = cls(record, group, start)
        if start.is_own_folder:
            start.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        program = Program(
            name=record.id, argv=shell(start.command), env=start.env, port=record.port, ready=_never
        )  # fmt: skip
        try:
            box._process = await Process.start(program, group, start.said, start.folder)
        except OSError as error:
            start.said(f"cannot be run: {error.strerror}")
            box._status = 127
            box._over.set()
            return box
        box._reaping = asyncio.create_task(box._reap(box._process))
        return box

    @property
    def port(self) -> int:
        """Where it should listen."""
        return self.record.port

    @property
    def pid(self) -> int:
        """Of its first process; 0 when it never started."""
        return self._process.pid if self._process else 0

    @property
    def has_ended(self) -> bool:
        """Is all of it gone?"""
        return self._over.is_set()

    async def ended(self) -> int:
        """Its exit status, negative for a signal, once all of it is gone and its last line was said."""
        await self._over.wait()
        return self._status or 0

    async def listens(self) -> bool:
        """Does something accept connections on its port?"""
        return await ready.listens(HOST, self.port)

    async def health(self, path: str, named: str, within_s: float) -> int | None:
        """Status that its health path answers; None for no answer in time."""
        return await ready.status(HOST, self.port, path, named, within_s)

    async def terminate(self) -> None:
        """SIGTERM to the program; where a shell stands before it, to the shell's children."""
        self.is_stopping = True
        if self._process is None or self.has_ended:
            return
        if sys.platform != "win32":
            everyone = await asyncio.to_thread(tree.look)
            me = everyone.get(self.pid)
            children = {pid for pid, use in everyone.items() if use.parent == self.pid}
            if me is not None and me.name in SHELLS and children:
                _send(signal.SIGTERM, children)
                return
        self._process.terminate()

    def freeze(self) -> bool:
        """SIGSTOP to all of it; False where the system has no such thing."""
        if sys.platform == "win32":
            return False
        _send(signal.SIGSTOP, tree.descendants(self.pid, tree.look()))
        return True

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, after the grace SIGKILL; returns when all of it is gone."""
        await self.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), grace_s)
            return
        await self.kill()

    async def kill(self) -> None:
        """End it now."""
        self.is_stopping = True
        if self._process is not None:
            await self._process.kill()
            await self._over.wait()

    async def _reap(self, process: Process) -> None:
        """Once its first process has ended: nothing of it is left, its last line is said, its folder is gone."""
        try:
            self._status = await process.ended()
        finally:
            await process.kill()
            await self._group.end_strays(self.record.id)
            await process.drained()
            if self._start.is_own_folder:
                await asyncio.to_thread(_remove, self._start.folder)
            self._over.set()


def _send(number: int, processes: Iterable[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


async def _never() -> bool:
    return False
