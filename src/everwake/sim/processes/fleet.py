"""Processes kept running together: started in order, started again when they crash, stopped in reverse."""

import asyncio
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from everwake.errors import DidNotStart
from everwake.sim.processes._restarts import Restarts
from everwake.sim.processes.group import Group
from everwake.sim.processes.logfile import LogFile
from everwake.sim.processes.process import Process, Program

__all__ = ["Fleet", "Patience", "Witness"]

LOOK_FIRST_S, LOOK_LONGEST_S = 0.01, 0.05
SAID_LINES = 15


class Witness(Protocol):
    """Who is told what happens. No call may block."""

    def say(self, text: str) -> None:
        """A sentence about what goes on."""

    def warn(self, text: str) -> None:
        """A sentence about what went wrong."""

    def line(self, name: str, text: str) -> None:
        """A line that process `name` printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds: start_s for the first readiness, grace_s from SIGTERM to SIGKILL."""

    start_s: float = 60.0
    grace_s: float = 10.0
    restarts: Restarts = field(default_factory=Restarts)


def ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"


class _Kept:
    """One program, kept running until `stop`."""

    def __init__(self, program: Program, group: Group, logs: Path, witness: Witness, patience: Patience) -> None:
        self.program = program
        self.is_ready = asyncio.Event()
        self.failed: DidNotStart | None = None
        self._group = group
        self._witness = witness
        self._patience = patience
        self._log = LogFile(logs / f"{program.name}.log")
        self._said: deque[str] = deque(maxlen=SAID_LINES)
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Start it, and start it again whenever it ends. Returns when stopped, or when it never became ready."""
        loop, restarts, crashes = asyncio.get_running_loop(), self._patience.restarts, 0
        try:
            while not self._stopping.is_set():
                began_s = loop.time()
                status = await self._live()
                lived_s = loop.time() - began_s
                if self._stopping.is_set() or self.failed:
                    return
                crashes = restarts.crashes(crashes, lived_s)
                wait_s = restarts.wait_s(crashes)
                self._witness.warn(
                    f"{self.program.name} {ending(status)} after {lived_s:.1f} s; starting it again in {wait_s:g} s"
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait_s)
        finally:
            self._log.close()

    async def stop(self, hurry: asyncio.Event) -> None:
        """SIGTERM, SIGKILL when the grace is over or somebody is in a hurry. `run` returns by itself."""
        self._stopping.set()
        process = self._process
        if process is None or process.has_ended:
            return
        process.terminate()
        gone, pressed = asyncio.ensure_future(process.ended()), asyncio.ensure_future(hurry.wait())
        try:
            await asyncio.wait((gone, pressed), timeout=self._patience.grace_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (gone, pressed):
                each.cancel()
        if not process.has_ended:
            self._witness.warn(f"{self.program.name} did not stop when asked; ending it")
            await process.kill()

    def did_not_start(self, message: str, status: int | None) -> None:
        """Remember why the first start failed, unless it did not or is known already; who waits for it raises it."""
        if not self.is_ready.is_set() and self.failed is None:
            self.failed = DidNotStart(message, name=self.program.name, status=status, said=tuple(self._said))

    async def _live(self) -> int:
        """One life of the process, from start to the end of its last stray; its exit status."""
        try:
            process = self._process = await Process.start(self.program, self._group, self._heard)
        except OSError as error:
            self.did_not_start(f"{self.program.name} cannot be run: {error.strerror}", None)
            return 127
        try:
            if self._stopping.is_set():
                process.terminate()  # `stop` came while it was being started and saw no process
            async with asyncio.TaskGroup() as tasks:
                looking = tasks.create_task(self._look_until_ready())
                status = await process.ended()
                looking.cancel()
        finally:
            await process.kill()
            await self._group.end_strays(self.program.name)
            await process.drained()
        self.did_not_start(f"{self.program.name} {ending(status)} before it was ready", status)
        return status

    async def _look_until_ready(self) -> None:
        loop, again = asyncio.get_running_loop(), self.is_ready.is_set()
        began_s, pause_s = loop.time(), LOOK_FIRST_S
        while not await self.program.ready():
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.3, LOOK_LONGEST_S)
        self.is_ready.set()
        self._witness.say(
            f"{self.program.name} {'answers again' if again else 'answers'} after {loop.time() - began_s:.1f} s"
        )

    def _heard(self, text: str) -> None:
        self._said.append(text)
        self._log.write(text)
        if self.program.is_shown:
            self._witness.line(self.program.name, text)


class Fleet:
    """The processes of one run. `async with` it; leaving it stops them, the last started first.

    hurry: set by who will not wait for a process's grace any more.
    """

    def __init__(
        self,
        group: Group,
        logs: Path,
        witness: Witness,
        patience: Patience | None = None,
        hurry: asyncio.Event | None = None,
    ) -> None:
        self._hurry = hurry or asyncio.Event()
        self._group = group
        self._logs = logs
        self._witness = witness
        self._patience = patience or Patience()
        self._batches: list[dict[_Kept, asyncio.Task[None]]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, programs: Sequence[Program]) -> None:
        """Start them side by side and wait until every one is ready.

        Raises:
            DidNotStart: the first that ended before it was ready, or did not become ready in time. The others go on.
        """
        kept = [_Kept(program, self._group, self._logs, self._witness, self._patience) for program in programs]
        batch = {each: asyncio.create_task(each.run()) for each in kept}
        self._batches.append(batch)
        waiting = {asyncio.create_task(each.is_ready.wait()) for each in kept}
        deadline_s = asyncio.get_running_loop().time() + self._patience.start_s
        try:
            while waiting:
                left_s = deadline_s - asyncio.get_running_loop().time()
                done, _ = await asyncio.wait(
                    waiting | {task for task in batch.values() if not task.done()},
                    timeout=max(left_s, 0), return_when=asyncio.FIRST_COMPLETED,
                )  # fmt: skip
                waiting -= done
                for each, task in batch.items():
                    if task.done() and not each.is_ready.is_set():
                        await task  # a bug in `run` shows itself here
                        each.did_not_start(f"{each.program.name} was stopped before it was ready", None)
                    elif not done and not each.is_ready.is_set():
                        each.did_not_start(
                            f"{each.program.name} did not answer within {self._patience.start_s:g} s", None
                        )
                    if each.failed:
                        raise each.failed
        finally:
            for one in waiting:
                one.cancel()

    async def unguarded(self) -> None:
        """Returns when the guardian is gone, so that somebody can stop while nothing is left behind yet."""
        while self._group.is_guarded:  # noqa: ASYNC110
            await asyncio.sleep(1.0)  # a process that is not asyncio's sets no event

    async def stop(self) -> None:
        """Stop all, batch by batch from the last; each process gets its grace."""
        while self._batches:
            batch = self._batches.pop()
            try:
                await asyncio.gather(*(each.stop(self._hurry) for each in batch))
                await asyncio.wait(batch.values(), timeout=self._patience.grace_s)
            finally:
                for task in batch.values():
                    task.cancel()
                await asyncio.gather(*batch.values(), return_exceptions=True)
