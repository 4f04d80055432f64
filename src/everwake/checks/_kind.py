"""What a kind of check is, and the tape on which one look writes what it saw."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everwake.fleet.schema import Service
from everwake.model import Beat, Failure, FailureKind, Phase
from everwake.ports import Clock

if TYPE_CHECKING:
    from everwake.checks._addresses import Dialer
    from everwake.checks._curl import Looker

__all__ = ["CheckKind", "Tape", "Unmet"]


class Unmet(Exception):  # noqa: N818 - it is no error of ours, but what was seen
    """What a check raises when it can say itself what is wrong; the runner puts `failure` into the observation."""

    def __init__(self, kind: FailureKind, phase: Phase, detail: str = "") -> None:
        super().__init__(f"{kind} in {phase}: {detail}")
        self.failure = Failure(kind=kind, phase=phase, detail=detail)


@dataclass(slots=True, kw_only=True)
class Tape:
    """What one look has seen so far. The runner makes the observation from it, whatever ends the look.

    looker: for HTTP.   dialer: for everything else; both keep the fleet's rule on private addresses.
    deadline_s: monotonic seconds at which the runner ends the look.   now: the phase that is under way.
    """

    looker: "Looker"
    dialer: "Dialer"
    clock: Clock
    deadline_s: float
    now: Phase = Phase.DNS
    phases: dict[Phase, float] = field(default_factory=dict)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    excerpt: str = ""
    certificate_expires_at: datetime | None = None
    redirects: int = 0

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, never less than a millisecond."""
        return max(0.001, self.deadline_s - self.clock.monotonic())

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Time spent in here counts as `phase`, and so does a failure. A phase entered twice adds up."""
        self.now, began = phase, self.clock.monotonic()
        try:
            yield
        finally:
            self.phases[phase] = self.phases.get(phase, 0.0) + self.clock.monotonic() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckKind:
    """One way of looking: what a file of this folder declares as `KIND`.

    spec: frozen dataclass whose fields are made with `fleet.schema.setting`.
    observe: looks once, (spec, tape) -> a failure or None; it may raise freely, the runner times out and classifies.
    follow: (spec, service name, dialer, clock) -> beats for ever. A kind has one of the two.
    settled: fills what the file left out from the service it stands under (its address, its timeout).
    keeps_deadline: it ends by itself at `tape.deadline_s`, so the runner sets no timer of its own.
    """

    name: str
    help: str
    spec: type[Any]
    observe: Callable[[Any, Tape], Awaitable[Failure | None]] | None = None
    follow: "Callable[[Any, str, Dialer, Clock], AsyncIterator[Beat]] | None" = None
    settled: Callable[[Any, Service], Any] = lambda spec, service: spec
    keeps_deadline: bool = False
