"""Who holds the lease of a remedy: a name that tells, for those who come next, whether its bearer can still be there.

Who acts on a data folder holds its claim (`sim.claim`), a lock that the kernel gives up with its owner. So whoever has the claim
knows that every other holder on this machine has ended, and need not wait for the end of its lease. Of a holder on another
machine nobody knows: between two machines such a lock may mean nothing (NFS), and the lease is what counts.
"""

import os
import platform
import secrets
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["has_ended", "new_holder"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@cache
def _machine() -> str:
    """This machine, as no other that shares the folder is called; where there is a boot, since the last one."""
    name = "".join(char for char in platform.node() if char.isalnum() or char in ".-_")[:60]
    with suppress(OSError):
        name += f"/{_BOOT.read_text()[:8]}"
    return name


def new_holder(what: str) -> str:
    """`keeper@HOST/BOOT-PID-RANDOM`: never the same twice."""
    return f"{what}@{_machine()}-{os.getpid()}-{secrets.token_hex(3)}"


def has_ended(holder: str) -> bool:
    """Whether that one is surely gone, asked by who holds the data folder's claim and is another."""
    _, _, where = holder.partition("@")
    machine = where.rpartition("-")[0].rpartition("-")[0]
    return bool(machine) and machine == _machine()
