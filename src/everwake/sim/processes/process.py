"""One operating-system process: started, read line by line, stopped."""

import asyncio
import re
import signal
import sys
from asyncio import SubprocessProtocol, SubprocessTransport
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

from everwake.sim.processes.group import Group
from everwake.sim.processes.ready import Ready

__all__ = ["Process", "Program"]

LINE_LIMIT_BYTES = 8192
DRAIN_S = 1.0
REAP_S = 5.0

# A service logs what strangers sent it: an escape sequence in there would reach the terminal of whoever reads the log.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run. argv: no shell.   env: all of its environment.   stdin: given to it at once, then end of file.

    ready: looks once whether it does its work.   port: the one it listens on.   is_shown: its lines interest more than the log.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    ready: Ready
    port: int
    is_shown: bool = True
    stdin: bytes = field(default=b"", repr=False)


class Process(SubprocessProtocol):
    """A started `Program`. Each line it says goes to `heard`, without its end and without control characters."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard = heard
        self._rest = b""
        self._ended = asyncio.Event()
        self._drained = asyncio.Event()
        self._transport: SubprocessTransport | None = None

    @classmethod
    async def start(
        cls, program: Program, group: Group, heard: Callable[[str], None], folder: Path | None = None
    ) -> Self:
        """Start it as a member of the group, in this folder.

        Raises:
            OSError: there is no such program, or it may not be run.
        """
        transport, process = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(heard), *program.argv,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            cwd=folder, **group.joining(program.name, program.env),
        )  # fmt: skip
        stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
        with suppress(OSError):  # it may have ended already
            stdin.write(program.stdin)
            stdin.write_eof()
        return process

    @property
    def pid(self) -> int:
        """Its process id."""
        return cast(SubprocessTransport, self._transport).get_pid()

    @property
    def has_ended(self) -> bool:
        """Is it gone?"""
        return self._ended.is_set()

    async def ended(self) -> int:
        """Its exit status, negative for a signal, once it is gone; does not wait for others who hold its output open."""
        await self._ended.wait()
        return cast(int, cast(SubprocessTransport, self._transport).get_returncode())

    async def drained(self) -> None:
        """All that it said has been heard, or whoever still holds its output open has had a second."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), DRAIN_S)
        if self._rest:
            self._say(self._rest)
            self._rest = b""
        if self._transport is not None:
            self._transport.close()

    def terminate(self) -> None:
        """Ask it to stop: SIGTERM, on Windows Ctrl-Break."""
        if sys.platform == "win32":
            self._signal(signal.CTRL_BREAK_EVENT)
        else:
            self._signal(signal.SIGTERM)

    async def kill(self) -> None:
        """End it now and wait until it is gone, 5 s at the most (a process in an uninterruptible wait stays)."""
        if self._transport is not None and not self.has_ended:
            with suppress(ProcessLookupError):
                self._transport.kill()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), REAP_S)

    def _signal(self, number: int) -> None:
        if self._transport is not None and not self.has_ended:
            with suppress(ProcessLookupError):
                self._transport.send_signal(number)

    def _say(self, line: bytes) -> None:
        self._heard(_CONTROL.sub("", line[:LINE_LIMIT_BYTES].decode("utf-8", "replace").rstrip("\r\n")))

    # What asyncio calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._rest) > LINE_LIMIT_BYTES:  # a line without end is heard in pieces
            self._say(self._rest)
            self._rest = b""

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._drained.set()

    def process_exited(self) -> None:
        self._ended.set()
