"""What `everwake up` and `everwake sim` have in common: a simulator in this process, shown while it runs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from everwake.app.platform import secrets_of
from everwake.fleet.redact import redact_with
from everwake.sim.processes.fleet import Witness
from everwake.sim.records import Deploy, DeployStatus, LogEntry
from everwake.sim.simulator import Simulator
from everwake.sim.verbs import LogQuery

__all__ = ["KEY_FILE", "Shown", "environment", "failed", "keep_key", "said_by", "show"]

# What any process needs to run, find its libraries and reach the Internet as its user does.
SURROUNDINGS = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV", "PYTHONPATH",
        "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "USERPROFILE",
        "APPDATA", "LOCALAPPDATA", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    }
)  # fmt: skip
LAST_LINES = 15
KEY_FILE = "platform.key"


class Shown(Witness, Protocol):
    """Where a person looks."""


def environment(environ: Mapping[str, str], names: tuple[str, ...] = ()) -> dict[str, str]:
    """What of `environ` a process is given: its surroundings, and the variables `names` when they are set."""
    return {
        name: value for name, value in environ.items()
        if name.upper() in SURROUNDINGS or name.startswith("LC_") or (name in names and value)
    }  # fmt: skip


def keep_key(data: Path, key: str) -> None:
    """The platform's key as a file of its own, readable by its owner only, for a fleet file to refer to."""
    file = data / KEY_FILE
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(key)


async def show(simulator: Simulator, screen: Witness) -> None:
    """Every line that the services and the platform say, as it comes. For ever."""
    platform = simulator.platform
    names = {each.id: each.name for each in platform.services(simulator.owner.id)}
    hidden: dict[str, tuple[Mapping[str, str], tuple[str, ...]]] = {}
    async for entry in platform.subscribe(LogQuery(services=tuple(names))):
        env = platform.env(entry.service_id)
        known = hidden.get(entry.service_id)
        if known is None or known[0] != env:
            known = hidden[entry.service_id] = env, secrets_of(env)
        screen.line(names[entry.service_id], redact_with(entry.text, known[1]))


def failed(newest: Mapping[str, Deploy]) -> tuple[str, ...]:
    """Whose newest deploy did not come into service."""
    good = (DeployStatus.LIVE, DeployStatus.CANCELED)
    return tuple(name for name, deploy in newest.items() if deploy.status not in good and not deploy.status.is_running)


def said_by(simulator: Simulator, service_id: str) -> tuple[LogEntry, ...]:
    """The last lines of a service, oldest first."""
    query = LogQuery(services=(service_id,), limit=LAST_LINES)
    return tuple(reversed(simulator.platform.logs(query).entries))
