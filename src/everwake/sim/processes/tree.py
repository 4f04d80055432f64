"""What the processes of this machine use: one look for all instances, over each one's whole tree of children."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

__all__ = ["Use", "descendants", "look", "used"]

PS_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Use:
    """One process. parent: its id.   memory_bytes: resident.   cpu_s: of both kinds, since it began.   name: of its program."""

    parent: int
    memory_bytes: int
    cpu_s: float
    name: str = ""


def look() -> Mapping[int, Use]:
    """Every living process by its id; empty where this system does not tell (Windows without psutil)."""
    if Path("/proc/self/stat").exists():
        return _from_proc()
    if sys.platform == "win32":
        return _from_psutil()
    return _from_ps()


def descendants(root: int, everyone: Mapping[int, Use]) -> set[int]:
    """A process and all that it started, as far as they are still its children's children."""
    children: dict[int, list[int]] = {}
    for pid, use in everyone.items():
        children.setdefault(use.parent, []).append(pid)
    found, waiting = set[int](), [root] if root in everyone else []
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def used(root: int, everyone: Mapping[int, Use]) -> Use:
    """What a process and its descendants use together; memory that they share is counted for each."""
    those = [everyone[pid] for pid in descendants(root, everyone)]
    return Use(0, sum(each.memory_bytes for each in those), sum(each.cpu_s for each in those))


def _from_proc() -> dict[int, Use]:
    page, tick = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - one name after the other, hundreds of times
        if not entry.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            stat = Path("/proc", entry, "stat").read_bytes()
            end = stat.rindex(b")")
            # man proc_pid_stat, counted from the state (field 3): ppid 1, utime 11, stime 12, rss 21.
            field = stat[end + 2 :].split()
            if field[0] in (b"Z", b"X"):
                continue
            name = stat[stat.index(b"(") + 1 : end].decode("utf-8", "replace")
            cpu_s = (int(field[11]) + int(field[12])) / tick
            found[int(entry)] = Use(int(field[1]), int(field[21]) * page, cpu_s, name)
    return found


def _from_ps() -> dict[int, Use]:
    argv = ["ps", "-A", "-o", "pid=,ppid=,rss=,stat=,time=,comm="]
    try:
        shown = subprocess.run(argv, capture_output=True, timeout=PS_DEADLINE_S, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found = {}
    for line in shown.decode("utf-8", "replace").splitlines():
        with suppress(ValueError):
            pid, parent, rss, state, time, name = line.split(None, 5)
            if not state.startswith("Z"):
                found[int(pid)] = Use(int(parent), int(rss) * 1024, _seconds(time), name.rpartition("/")[2])
    return found


def _seconds(shown: str) -> float:
    """`[days-]hours:minutes:seconds` or `minutes:seconds.hundredths`, as ps writes it."""
    days, _, clock = shown.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total + int(days or 0) * 86_400


def _from_psutil() -> dict[int, Use]:
    try:
        psutil = import_module("psutil")
    except ImportError:
        return {}
    found = {}
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            with each.oneshot():
                cpu = each.cpu_times()
                found[each.pid] = Use(each.ppid(), each.memory_info().rss, cpu.user + cpu.system, each.name())
    return found
