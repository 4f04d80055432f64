"""What changes about one service while it is kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from everwake.fleet.schema import Service
from everwake.model import Observation, State
from everwake.ports import Standing
from everwake.watch import state, view

__all__ = ["HEART", "PRIMARY", "Kept", "checks_of", "every_s", "heart_of", "host_of", "kept_of", "policy_of"]

PRIMARY = "http"
HEART = "heartbeat"


@dataclass(slots=True)
class Kept:
    """One service. looking: checks under way, and what ends them.   again: those of them that are wanted once more.

    beside_s: monotonic, when its other checks were last looked at because its line was made anew.
    patience_s: of the next look.   rises: its rest has ended and it has not answered yet.   line: the task that holds its
    heartbeat.   waiters: who waits for its next look.
    """

    service: Service
    host: str
    policy: state.Policy
    watch: state.Watch
    strip: view.Strip = field(default_factory=view.Strip)
    last: Observation | None = None
    heart: view.Heart | None = None
    looking: dict[str, Callable[[], None]] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    beside_s: float = float("-inf")
    patience_s: float | None = None
    rises: bool = False
    line: asyncio.Task[None] | None = None
    waiters: list[asyncio.Future[Observation]] = field(default_factory=list)

    def next_look(self) -> asyncio.Future[Observation]:
        """What the primary check sees next."""
        waiter: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        return waiter


def kept_of(service: Service, standing: Standing | None, now: datetime) -> Kept:
    """A service that is kept from now on. standing: how it stood when the last keeper ended."""
    kept = Kept(service=service, host=host_of(service), policy=policy_of(service), watch=state.Watch())
    if standing is not None:
        kept.last = standing.last
        kept.watch = state.resume(standing, now, kept.policy, (*checks_of(service)[1:], *heart_of(service)))
        kept.patience_s = kept.policy.wake_patience_s if kept.watch.state is State.WAKING else None
    if service.heartbeat:
        kept.heart = view.Heart()
    return kept


def host_of(service: Service) -> str:
    """Where its looks go."""
    return urlsplit(service.url).hostname or service.name


def policy_of(service: Service) -> state.Policy:
    """How patient to be with it."""
    return state.Policy(every_s=service.every_s, timeout_s=service.timeout_s, sleeps=service.sleeps, primary=PRIMARY)


def checks_of(service: Service) -> tuple[str, ...]:
    """The names of its checks that are planned: the primary one, then "KIND:N" for the N-th of `service.checks`."""
    return (PRIMARY, *(f"{check.kind}:{n}" for n, check in enumerate(service.checks)))


def every_s(service: Service, check: str) -> float:
    """How often that check looks."""
    return service.every_s if check == PRIMARY else service.checks[int(check.partition(":")[2])].every_s


def heart_of(service: Service) -> tuple[str, ...]:
    """The name under which its persistent line counts as a check; none where it has no line."""
    return (HEART,) if service.heartbeat else ()
