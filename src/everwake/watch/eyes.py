"""How the keeper sees: what it asks of whoever opens sockets for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from everwake.fleet.schema import Service
from everwake.model import Beat, Observation
from everwake.watch import vantage

__all__ = ["Eyes"]


class Eyes(Protocol):
    """How the keeper sees: the checks, as the composition root ties them together."""

    def begin(
        self, service: Service, check: str, patience_s: float | None, late_s: float, done: Callable[[Observation], None]
    ) -> Callable[[], None]:
        """Look once: `done` is called from the loop, later and once, within the check's own deadline, whatever was seen.

        late_s: how late it is, for the observation. The answer ends the look; then `done` is not called.
        """

    def follow(self, service: Service) -> AsyncIterator[Beat]:
        """Hold the persistent line for ever, reconnecting; closing the iterator lets go."""

    def probe(self) -> Awaitable[vantage.Probe]:
        """Look at our own line: names, route. Ends within 3 s."""
        ...
