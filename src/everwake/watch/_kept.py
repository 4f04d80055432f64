"""What changes about one service while it is kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from everwake.fleet.schema import Service
from everwake.model import Observation
from everwake.watch import state, view

__all__ = ["HEART", "PRIMARY", "Kept", "checks_of", "every_s", "heart_of", "host_of", "policy_of"]

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
