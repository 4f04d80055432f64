"""Who looks at the services, as repairs see it."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from everwake.fleet.schema import Fleet
from everwake.model import Action, Incident, Observation, Proof, State

__all__ = ["Keeping", "Viewed"]


class Viewed(Protocol):
    """How a service stands (`watch.view.ServiceView`)."""

    @property
    def state(self) -> State:
        """Its state."""
        ...


class Keeping(Protocol):
    """Who looks at the services: the keeper, or a command that stands in for one."""

    @property
    def fleet(self) -> Fleet:
        """As it is now."""

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong with the keeper itself."""

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """All that are open now."""

    def service_view(self, name: str) -> Viewed:
        """One service. Raises KeyError."""

    def seen(self, name: str) -> Sequence[Observation]:
        """What was seen of it last, the newest look of its primary check first."""

    def look(self, name: str) -> Awaitable[Observation]:
        """Look at one service now. Raises KeyError."""

    def acted(self, name: str, action: Action) -> object:
        """Something was done about its open incident."""

    def proved(self, name: str, proof: Proof) -> object:
        """It was tried whether it is well."""
        ...
