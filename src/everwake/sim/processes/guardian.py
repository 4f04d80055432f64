"""The guardian: a small process that outlives `everwake up` by a moment, so that nothing else does. POSIX only.

`everwake up` holds the only write end of the guardian's stdin. However `up` ends, SIGKILL included, the kernel closes it, the
guardian reads end of file and ends every process of the run. Two marks tell which ones these are:

- the process group, which the guardian leads. A child joins it between fork and exec, and until exec it holds a copy of the
  pipe's write end: at end of file no child can be on its way into the group.
- the variable EVERWAKE_RUN in the environment, for those that left the group (a daemon's setsid).

Run as a file by the bare interpreter (`python -I -S guardian.py RUN`), so it imports nothing of ours: it is there in 15 ms.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["VARIABLE", "belonging", "mark"]

VARIABLE = "EVERWAKE_RUN"
GRACE_S = 3.0
LOOK_EVERY_S = 0.02
PS_DEADLINE_S = 5.0


def mark(run: str, name: str = "") -> str:
    """Value of EVERWAKE_RUN for the process `name` of a run; without a name, what those of all its processes begin with."""
    return f"{run}:{name};" if name else f"{run}:"


def belonging(marked: str, group: int | None = None) -> set[int]:
    """Ids of the living processes, but for this one, whose mark begins with `marked` or that are in `group`."""
    everyone = _from_proc() if Path("/proc/self/stat").exists() else _from_ps()
    wanted = f"{VARIABLE}={marked}".encode()
    return {
        pid for pid, its_group, surroundings in everyone
        if pid != os.getpid() and (its_group == group or b"\0" + wanted in surroundings)
    }  # fmt: skip


def _from_proc() -> Iterator[tuple[int, int, bytes]]:
    """(process id, group, environment) of every living process, Linux; another user's environment is left empty."""
    for entry in os.listdir("/proc"):  # noqa: PTH208 - one name after the other, hundreds of times
        if not entry.isdigit():
            continue
        # A process may end between two reads, and somebody else's environment is not ours to read.
        with suppress(OSError):
            stat = Path("/proc", entry, "stat").read_bytes()
            state, _parent, group = stat[stat.rindex(b")") + 2 :].split(None, 3)[:3]
            if state in (b"Z", b"X"):
                continue
            surroundings = b""
            with suppress(OSError):
                surroundings = b"\0" + Path("/proc", entry, "environ").read_bytes()
            yield int(entry), int(group), surroundings


def _from_ps() -> Iterator[tuple[int, int, bytes]]:
    """The same where there is no /proc: `ps -E` (macOS) and `ps e` print the environment too."""
    option = "-E" if sys.platform == "darwin" else "e"
    argv = ["ps", "-A", "-ww", option, "-o", "pid=,pgid=,stat=,command="]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ps:  # noqa: S603
        try:
            shown, _ = ps.communicate(timeout=PS_DEADLINE_S)
        except subprocess.TimeoutExpired:
            ps.kill()
            return
    for line in shown.splitlines():
        pid, group, state, *rest = line.split(None, 3)
        if int(pid) != ps.pid and not state.startswith(b"Z"):
            yield int(pid), int(group), b"\0" + b"".join(rest).replace(b" ", b"\0")


def _send(signal_number: int, processes: set[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal_number)


def _end_all(run: str) -> None:
    group = os.getpgrp()
    left = belonging(mark(run), group)
    _send(signal.SIGTERM, left)
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
        left = belonging(mark(run), group)
    for _ in range(5):  # one that forks while it is looked for is found in the next round
        if not left:
            break
        _send(signal.SIGKILL, left)
        time.sleep(LOOK_EVERY_S)
        left = belonging(mark(run), group)


def main() -> None:
    """Wait for end of file, then end the run argv[1], this process last."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(each, signal.SIG_IGN)
    while os.read(0, 1024):
        pass
    _end_all(sys.argv[1])
    # In one stroke for whoever joined the group since: the kernel lets no fork of a group slip past this.
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
