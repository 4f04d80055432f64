"""Everything one run started, as one thing that can be ended, whoever dies first."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from everwake.sim.processes import guardian

__all__ = ["Group"]

LAST_WORD_S = 8.0
STRAY_ROUNDS, STRAY_PAUSE_S = 100, 0.01


class Group:
    """The processes of a run. Enter it before the first is started; leaving it ends what is still there.

    held: descriptors to stay open until the last process is gone, such as the lock of the data folder.
    """

    def __init__(self, *held: int) -> None:
        self.run = secrets.token_hex(8)
        self._held = held
        self._guardian: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if sys.platform == "win32":
            from everwake.sim.processes._windows_job import join_a_job_that_ends_with_us

            join_a_job_that_ends_with_us()
            return self
        self._guardian = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(Path(guardian.__file__)), self.run],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={}, process_group=0, pass_fds=self._held,
        )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._guardian is None or self._guardian.stdin is None:
            return
        self._guardian.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._guardian.wait(LAST_WORD_S)

    @property
    def is_guarded(self) -> bool:
        """Is the guardian still there? Without it a SIGKILL would leave processes behind."""
        return self._guardian is None or self._guardian.poll() is None

    def joining(self, name: str, env: Mapping[str, str]) -> dict[str, Any]:
        """Arguments of Popen that put a process into the group: out of the terminal's reach, so Ctrl-C is handled once."""
        marked = {**env, guardian.VARIABLE: guardian.mark(self.run, name)}
        if sys.platform == "win32":
            return {"env": marked, "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        assert self._guardian is not None, "enter the group first"
        return {"env": marked, "process_group": self._guardian.pid}

    async def end_strays(self, name: str) -> None:
        """SIGKILL what the process `name`, itself ended, left behind. On Windows the job does it at the end of the run."""
        if sys.platform == "win32":
            return
        for _ in range(STRAY_ROUNDS):  # until they are gone, and what they started meanwhile with them
            left = await asyncio.to_thread(guardian.belonging, guardian.mark(self.run, name))
            if not left:
                return
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(STRAY_PAUSE_S)
