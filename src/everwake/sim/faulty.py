"""Bad commits: `python -m everwake.sim.faulty HOW -- COMMAND` runs a service's own command with one fault.

crash-at-start   ends before it runs anything
crash-loop       runs it, and dies some seconds after it listens
out-of-memory    runs it, and takes ever more memory once it listens
slow-start       says that it prepares, for a very long time
wrong-port       runs it with another PORT
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from everwake.sim.instance import free_port, shell
from everwake.sim.ports import HOST

__all__ = ["main"]

LIVES_S = 4.0
PATIENT_S = 2.0
BITE_BYTES, BITES, BITE_S = 32 * 2**20, 40, 0.05  # 1.25 GiB at the most, whatever the limit is
PREPARES_S = 3600.0
LOOK_S, STARTS_WITHIN = 0.1, 600


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if len(argv) < 3 or argv[1] != "--":
        _say("usage: python -m everwake.sim.faulty HOW -- COMMAND")
        return 2
    how, command = argv[0], " ".join(argv[2:])
    return _FAULTS[how](command)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _crash_at_start(command: str) -> int:
    import chatify_extras  # type: ignore[import-not-found]  # noqa: F401 - that it is not there is the fault

    return 0


def _crash_loop(command: str) -> int:
    with _Child(command) as child:
        if child.ended_before_it_listens() or child.ended_within(LIVES_S):
            return child.status
    raise RuntimeError("connection pool exhausted")


def _out_of_memory(command: str) -> int:
    with _Child(command) as child:
        if child.ended_before_it_listens() or child.ended_within(PATIENT_S):
            return child.status
        hoard = []
        for _ in range(BITES):
            hoard.append(os.urandom(4096) * (BITE_BYTES // 4096))
            if child.ended_within(BITE_S):
                break
        child.ended_within(None)
        return child.status


def _slow_start(command: str) -> int:
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < PREPARES_S:
        _say(f"Loading the model, {passed_s:.0f} s so far")
        time.sleep(2.0)
    return _wrong_port(command)


def _wrong_port(command: str) -> int:
    with _Child(command, PORT=str(free_port())) as child:
        child.ended_within(None)
        return child.status


class _Child:
    """The service's own command, told to stop when we are."""

    def __init__(self, command: str, **variables: str) -> None:
        self._process = subprocess.Popen(shell(command), env={**os.environ, **variables})  # noqa: S603
        self._is_told = False

    def __enter__(self) -> "_Child":
        def told(number: int, frame: FrameType | None) -> None:
            self._is_told = True
            self._process.terminate()

        signal.signal(signal.SIGTERM, told)
        return self

    def __exit__(self, *why: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def ended_within(self, seconds: float | None) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ended_before_it_listens(self) -> bool:
        port = int(os.environ.get("PORT", "0"))
        for _ in range(STARTS_WITHIN):
            with suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
                return False
            if self.ended_within(LOOK_S):
                return True
        return False

    @property
    def status(self) -> int:
        status = self._process.wait()
        return status if status >= 0 else 128 - status


_FAULTS: dict[str, Callable[[str], int]] = {
    "crash-at-start": _crash_at_start, "crash-loop": _crash_loop, "out-of-memory": _out_of_memory,
    "slow-start": _slow_start, "wrong-port": _wrong_port,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
