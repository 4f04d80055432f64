"""What all connections of one edge share: the platform's door, the limits, the counts, and who is still here."""

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from everwake.ports import Clock
from everwake.sim.edge.limits import Limits
from everwake.sim.edge.routes import Routes
from everwake.sim.edge.traffic import Tally

__all__ = ["House", "Kept", "request_id"]

log = logging.getLogger(__name__)


class Kept(Protocol):
    """A connection, of a client or to an instance, while its socket is open."""

    def tick(self, now_s: float) -> None:
        """Time has passed: end what has lasted too long."""

    def abort(self) -> None:
        """End at once, whatever is still to be sent."""
        ...


@dataclass(slots=True, eq=False)
class House:
    """One edge. open: every connection from its making to its loss.   tasks: of requests on their way to an instance."""

    routes: Routes
    clock: Clock
    limits: Limits
    open: set[Kept] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    tallies: dict[str, Tally] = field(default_factory=dict)
    clients: int = 0
    is_stopping: bool = False
    crowd_changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tally(self, service_id: str) -> Tally:
        """The running count of a service."""
        found = self.tallies.get(service_id)
        if found is None:
            found = self.tallies[service_id] = Tally()
        return found

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it in a task that the edge owns: a stop cancels it and waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def left(self, connection: Kept) -> None:
        """Its socket is gone."""
        self.open.discard(connection)
        self.crowd_changed.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("edge.request_failed", exc_info=error)


def request_id() -> str:
    """A value for `rndr-id`, of the form that Render's have: 61bdc420-a9f6-406b (answers seen 2026-08 to 2026-09)."""
    digits = secrets.token_hex(8)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:]}"
