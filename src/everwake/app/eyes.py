"""How the keeper sees: the checks, and a look at our own line (`watch.eyes.Eyes`)."""

from collections.abc import AsyncIterator, Awaitable, Callable

from everwake.app.own_line import OwnLineProbe
from everwake.checks import Checks
from everwake.fleet.schema import Service
from everwake.model import Beat, Observation
from everwake.watch.vantage import Probe

__all__ = ["CheckEyes"]


class CheckEyes:
    """Looks with `checks`, and at ourselves with `own_line`."""

    def __init__(self, checks: Checks, own_line: OwnLineProbe) -> None:
        self._checks, self._own_line = checks, own_line

    def begin(
        self, service: Service, check: str, patience_s: float | None, late_s: float, done: Callable[[Observation], None]
    ) -> Callable[[], None]:
        """Begin to look."""
        self._own_line.tick()
        return self._checks.begin(service, check, patience_s, late_s, done)

    def follow(self, service: Service) -> AsyncIterator[Beat]:
        """Hold the persistent line."""
        return self._checks.follow(service)

    def probe(self) -> Awaitable[Probe]:
        """Look at ourselves."""
        return self._own_line.probe()
