"""What `everwake up` and `everwake sim` have in common: a simulator in this process, shown while it runs."""

from collections.abc import Mapping
from typing import Protocol

from everwake.sim.processes.fleet import Witness
from everwake.sim.records import Deploy, DeployStatus, LogEntry
from everwake.sim.simulator import Simulator
from everwake.sim.verbs import LogQuery

__all__ = ["Shown", "environment", "failed", "said_by", "show"]

# What any process needs to run, find its libraries and reach the Internet as its user does.
SURROUNDINGS = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "VIRTUAL_ENV", "PYTHONPATH",
        "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "USERPROFILE",
        "APPDATA", "LOCALAPPDATA", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    }
)  # fmt: skip
LAST_LINES = 15


class Shown(Witness, Protocol):
    """Where a person looks."""


def environment(environ: Mapping[str, str], names: tuple[str, ...] = ()) -> dict[str, str]:
    """What of `environ` a process is given: its surroundings, and the variables `names` when they are set."""
    return {
        name: value for name, value in environ.items()
        if name.upper() in SURROUNDINGS or name.startswith("LC_") or (name in names and value)
    }  # fmt: skip


async def show(simulator: Simulator, screen: Witness) -> None:
    """Every line that the services and the platform say, as it comes. For ever."""
    names = {each.id: each.name for each in simulator.platform.services(simulator.owner.id)}
    query = LogQuery(services=tuple(names))
    async for entry in simulator.platform.subscribe(query):
        screen.line(names[entry.service_id], entry.text)


def failed(newest: Mapping[str, Deploy]) -> tuple[str, ...]:
    """Whose newest deploy did not come into service."""
    good = (DeployStatus.LIVE, DeployStatus.CANCELED)
    return tuple(name for name, deploy in newest.items() if deploy.status not in good and not deploy.status.is_running)


def said_by(simulator: Simulator, service_id: str) -> tuple[LogEntry, ...]:
    """The last lines of a service, oldest first."""
    query = LogQuery(services=(service_id,), limit=LAST_LINES)
    return tuple(reversed(simulator.platform.logs(query).entries))
