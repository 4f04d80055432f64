"""The verbs at the edge: what the capabilities ask of clock, history and channels, as small Protocols."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from everwake.model import (
    Beat,
    DeployRecord,
    Doubt,
    Incident,
    LogLine,
    Observation,
    PlatformEvent,
    PlatformLine,
    PlatformService,
    Proof,
    RemedyRun,
    RunState,
    State,
    StepState,
    Transition,
)

__all__ = ["Clock", "Notice", "Platform", "Recorder", "Standing", "Steps", "Switch", "Undo", "Written"]


class Clock(Protocol):
    """Time. `everwake.clock` is the only module that reads it; tests have a fake that is advanced by hand."""

    def now(self) -> datetime:
        """Wall time, UTC-aware. May jump."""

    def monotonic(self) -> float:
        """Seconds that never go back; keeps counting while the machine is suspended where the system can."""

    def call_at(self, when_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call at that monotonic time; the answer cancels it."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait that long."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the history remembers of a service, enough to go on after a restart without a false step.

    since: when the state began.   streak: looks in a row that were good (> 0) or bad (< 0).   incident: the open one.
    told: somebody was told, or is about to be, that the incident began.   doubts: checks that failed, while that is not
    decided or keeps the service from being up.
    """

    service: str
    state: State
    since: datetime
    cause: str | None = None
    streak: int = 0
    incident: Incident | None = None
    told: bool = False
    last: Observation | None = None
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell somebody, once: a row of the outbox. key: what makes it the same notice when it is written again."""

    key: str
    service: str
    incident: str | None
    opened: bool
    title: str
    body: str
    at: datetime


class Recorder(Protocol):
    """The keeper's side of the history. No call waits for a disk: each puts into a bounded buffer and returns.

    What must be durable together is one call: a transition with its incident and its notices is one transaction.
    """

    def looked(self, seen: Sequence[Observation]) -> None:
        """Observations of one tick."""

    def moved(self, move: Transition, standing: Standing, notices: Iterable[Notice] = ()) -> None:
        """A transition, what stands after it, and what is to be told; one transaction, in order."""

    def beat(self, beat: Beat) -> None:
        """An event of a heartbeat."""

    def said(self, line: LogLine) -> None:
        """A line of the activity log."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with the history now, in words, or None. Told on the page; never a state of a service."""
        ...


class Platform(Protocol):
    """Who runs services, through its API. Each call ends within its own deadline.

    verbs: those that this platform has, by the names of the methods below; a playbook that needs another asks a person.

    Raises, all of them: OutOfReach when the platform did not answer or refused the key; Finding when it answered no.
    """

    name: str
    verbs: frozenset[str]

    def services(self) -> Awaitable[Sequence[PlatformService]]:
        """All that the key can see."""

    def find(self, *, id: str | None, name: str, host: str | None) -> Awaitable[PlatformService]:
        """One service by its id, else by name, else by the host of its URL."""

    def service(self, id: str) -> Awaitable[PlatformService]:
        """One service as it stands now, with its instances."""

    def deploys(self, id: str, most: int = 20) -> Awaitable[Sequence[DeployRecord]]:
        """The newest first."""

    def deploy(self, id: str, *, intention: str, clear_cache: bool = False) -> Awaitable[DeployRecord]:
        """Deploy the latest commit. intention: one intention is deployed once, however often this is called with it; a deploy
        that the write of a variable has triggered meanwhile is adopted."""

    def cancel(self, id: str, deploy_id: str) -> Awaitable[DeployRecord]:
        """Stop a deploy that is under way."""

    def rollback(self, id: str, deploy_id: str, *, intention: str) -> Awaitable[DeployRecord]:
        """Deploy again what `deploy_id` had deployed."""

    def follow(self, id: str, deploy_id: str) -> AsyncIterator[DeployRecord]:
        """Its status, each time it changes, until it has ended."""

    def restart(self, id: str) -> Awaitable[None]:
        """New instances of the same deploy."""

    def suspend(self, id: str) -> Awaitable[None]:
        """Stop it until `resume`."""

    def resume(self, id: str) -> Awaitable[None]:
        """Undo the owner's `suspend`."""

    def events(self, id: str, since: datetime | None = None, most: int = 100) -> Awaitable[Sequence[PlatformEvent]]:
        """The newest first."""

    def logs(
        self, id: str, since: datetime, until: datetime | None = None, most: int = 1_000
    ) -> Awaitable[Sequence[PlatformLine]]:
        """Lines of a window, oldest first; the newest `most` where there are more."""

    def follow_logs(self, id: str) -> AsyncIterator[PlatformLine]:
        """New lines as they come, over a WebSocket, reconnecting; ends when it is closed."""

    def instance_counts(self, id: str, since: datetime, until: datetime) -> Awaitable[Sequence[tuple[datetime, float]]]:
        """How many instances ran, as the platform counted (when, how many), oldest first; empty where it counted nothing."""

    def variables(self, id: str) -> Awaitable[Mapping[str, str]]:
        """All of them with their values, env groups included."""

    def set_variables(self, id: str, values: Mapping[str, str | None]) -> Awaitable[None]:
        """Write some (None removes one) and leave the others; read back and compared. Deploys nothing by itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """The big red one. is_stopped: nothing is repaired by itself, and nothing that waits is begun.   by, at: who, and when."""

    is_stopped: bool = False
    by: str = ""
    at: datetime | None = None


class Steps(Protocol):
    """Remedies and their steps, durably: what is answered is on the disk. Of one service at most one remedy is open.

    A change is made only by who holds the lease, and says whether it was made: who is told False stops at once.

    Raises, all of them: OutOfReach when it cannot be read or written now.
    """

    def propose(self, run: RemedyRun, notices: Iterable[Notice] = ()) -> Awaitable[bool]:
        """A new remedy (`ASKED`, or `RUNNING` with its holder), and what is told of it, in one transaction.

        False: one of that service is open, or the same is there already.
        """

    def begin(self, id: str, by: str, now: datetime) -> Awaitable[bool]:
        """Somebody said yes to one that waits. False: it does not wait any more."""

    def claim(self, id: str, holder: str, now: datetime, lease_s: float) -> Awaitable[RemedyRun | None]:
        """Take one that runs and that nobody else holds, or renew its lease. None: it is not to be had."""

    def intend(self, id: str, n: int, holder: str, now: datetime) -> Awaitable[bool]:
        """Step `n` is about to be done. For one that is intended already nothing changes, and the answer is True."""

    def mark(self, id: str, n: int, holder: str, state: StepState, said: str, now: datetime) -> Awaitable[bool]:
        """What came of it."""

    def advance(
        self,
        id: str,
        holder: str,
        state: RunState,
        now: datetime,
        outcome: str = "",
        proof: Proof | None = None,
        notices: Iterable[Notice] = (),
    ) -> Awaitable[bool]:
        """It goes on to another state, or ends. One that waits for a yes needs no lease for being dropped."""

    def soaked(self, id: str, soak: Proof, notices: Iterable[Notice] = ()) -> Awaitable[bool]:
        """What the seven criteria have shown of one that is proved, and what is told of it. False: that is known already."""

    def release(self, id: str, holder: str) -> Awaitable[None]:
        """Let go of it, so that the next one need not wait for the end of the lease."""

    def run(self, id: str) -> Awaitable[RemedyRun | None]:
        """The one of that id."""

    def open(self) -> Awaitable[Sequence[RemedyRun]]:
        """All that have not ended, oldest first."""

    def since(self, at: datetime, service: str | None = None) -> Awaitable[Sequence[RemedyRun]]:
        """All that were asked for since then, oldest first."""

    def told(self, notices: Iterable[Notice]) -> Awaitable[None]:
        """Put notices that belong to no change into the outbox; one of a key that is there already is left out."""

    def switch(self) -> Awaitable[Switch]:
        """How the red switch stands."""

    def set_switch(self, switch: Switch) -> Awaitable[bool]:
        """Put it; whether that changed anything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a remedy wrote into variables. before: what stood there, None where nothing did.   wrote: what came there; same keys.

    is_whole: False where some of it cannot be read any more.
    """

    before: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    wrote: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_whole: bool = True

    def then(self, later: "Written") -> "Written":
        """Both, one after the other. Where the later one found what this one had written, what this one had found counts."""
        found = {
            key: self.before[key] if key in self.wrote and value == self.wrote[key] else value
            for key, value in later.before.items()
        }
        return Written(
            before={**self.before, **found}, wrote={**self.wrote, **later.wrote}, is_whole=self.is_whole and later.is_whole
        )  # fmt: skip


class Undo(Protocol):
    """What is needed to take back what a remedy wrote, for whoever comes next. From what is stored nobody can read a value."""

    def keep(self, run: str, service: str, written: Written) -> Awaitable[None]:
        """Before it is written; once more for each further write. Raises OutOfReach: then nothing may be written."""

    def recall(self, run: str, service: str) -> Awaitable[Written | None]:
        """All that a run wrote; None where nothing is kept, or no longer. Raises OutOfReach."""

    def forget(self, incident: str) -> Awaitable[None]:
        """The incident is over, and nothing that was done in it will be undone. Raises OutOfReach."""
        ...
