"""The keeper asks why, by itself: when an incident opens, and again while it is open, off the path of the checks.

It looks at nothing anew: what the checks saw is enough, for a look of ours is inbound traffic too. The platform is asked for the
rest. What comes out is told to the keeper only when it differs from what it knows.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from everwake.app.platform import access_of, connect
from everwake.app.why import Told, ask_platform, facts_of_service, or_why_not, problems_of
from everwake.diagnose import diagnose
from everwake.diagnose.causes import is_fault
from everwake.errors import Misused
from everwake.fleet.schema import Fleet, Secret, Service
from everwake.model import Diagnosis, Incident, Observation
from everwake.platforms import Connection
from everwake.ports import Clock

__all__ = ["Diagnoser", "Doors"]

log = logging.getLogger(__name__)

# After an incident opened, in seconds; the last one goes on. A crash shows in the events within a second or two, a failed deploy
# within a minute, and later on hardly anything changes.
AGAIN_S = (0.0, 3.0, 7.0, 15.0, 30.0, 60.0, 120.0, 300.0)
AT_ONCE = 4
OPEN_MOST = 500
DEADLINE_S = 60.0


class Doors:
    """The platforms of a fleet, each opened when it is first needed and kept open. `async with` it."""

    def __init__(self, fleet: Fleet, environ: Mapping[str, str]) -> None:
        self._fleet, self._environ = fleet, environ
        self._open: dict[str, Connection | None] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Doors":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def use(self, fleet: Fleet) -> None:
        """Another description of the fleet: its platforms may be reached otherwise. What is under way goes on as it was."""
        if fleet.platforms != self._fleet.platforms:
            self._open = {}
        self._fleet = fleet

    async def of(self, service: Service) -> Connection | None:
        """The platform that runs it; None where none is named or there is no key."""
        name = service.platform
        if name is None:
            return None
        if name not in self._open:
            access = access_of(self._fleet, name, self._environ)
            try:
                door = connect(name, access) if access is not None else None
            except Misused as wrong:
                log.warning("platform.unusable", extra={"platform": name, "why": wrong.message})
                door = None
            # Known at once: whoever asks meanwhile is to have the same one.
            self._open[name] = door
            if door is not None:
                await self._stack.enter_async_context(door)
        return self._open[name]

    def key_of(self, name: str) -> Secret | None:
        """The key of the platform that runs a service; None where there is none, or no such service."""
        service = next((one for one in self._fleet.services if one.name == name), None)
        if service is None or service.platform is None:
            return None
        access = access_of(self._fleet, service.platform, self._environ)
        return None if access is None else access.key

    async def tell(self, service: Service) -> Told:
        """What its platform tells of it now; that it cannot be asked is told too."""
        door = await self.of(service)
        if door is None:
            return Told(problem="there is no key for its platform" if service.platform else "it names no platform")
        finding = door.find(id=service.platform_id, name=service.name, host=urlsplit(service.url).hostname)
        return await or_why_not(ask_platform(door, finding))


@dataclass(frozen=True, slots=True)
class _Case:
    """An open incident that is being asked about. due_s: monotonic, when next.   asked: how often so far.

    flaps: how often it had fallen again when this was begun.
    """

    incident: str
    service: str
    due_s: float
    asked: int = 0
    flaps: int = 0


class Diagnoser:
    """Fed with incidents, it finds out why. fleet: as it is now.   seen: the looks at a service, newest first.

    found: told of a diagnosis that is new, with the incident's id.   told: hears what the platform said, for whoever plans on it.
    """

    def __init__(
        self,
        clock: Clock,
        doors: Doors,
        *,
        fleet: Callable[[], Fleet],
        seen: Callable[[str], Sequence[Observation]],
        found: Callable[[str, Diagnosis], object],
        told: Callable[[str, Told], None] = lambda service, told: None,
    ) -> None:
        self._clock, self._doors = clock, doors
        self._fleet, self._seen, self._found, self._told = fleet, seen, found, told
        self._cases: dict[str, _Case] = {}
        self._known: dict[str, Diagnosis] = {}
        self._wake = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def told(self, incident: Incident) -> None:
        """An incident opened, changed or closed. Returns at once."""
        if incident.closed_at is not None:
            self._cases.pop(incident.service, None)
            self._known.pop(incident.service, None)
            return
        case, now_s = self._cases.get(incident.service), self._clock.monotonic()
        is_new = case is None or case.incident != incident.id
        if is_new and len(self._cases) >= OPEN_MOST:
            return
        if is_new or (case is not None and incident.flaps > case.flaps):
            # Fallen again it may be for another reason, and for the same one that is to be said again.
            self._known.pop(incident.service, None)
            if is_new and incident.diagnosis is not None:
                self._known[incident.service] = incident.diagnosis
            self._cases[incident.service] = _Case(incident.id, incident.service, now_s, flaps=incident.flaps)
            self._wake.set()

    def ask_again(self, service: str) -> None:
        """Something has changed that is worth a look now: a deploy, a variable, a remedy."""
        case = self._cases.get(service)
        if case is not None:
            self._cases[service] = replace(case, due_s=self._clock.monotonic(), asked=0)
            self._wake.set()

    @property
    def under_way(self) -> int:
        """How many incidents are being asked about at this moment."""
        return len(self._under_way)

    async def ask(self, service: str) -> Diagnosis | None:
        """Why it is not well, asked now, whatever was asked before. None: it is not of the fleet, or nobody answered in time."""
        case = self._cases.get(service)
        try:
            async with asyncio.timeout(DEADLINE_S):
                diagnosis = await self._diagnosis(service)
        except TimeoutError:
            log.warning("diagnosis.late", extra={"service": service})
            return None
        if diagnosis is not None:
            self._heard(case, diagnosis)
        return diagnosis

    async def run(self) -> None:
        """For ever. Cancelling it is fine."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                now_s = self._clock.monotonic()
                free = AT_ONCE - len(self._under_way)
                due = sorted(
                    (
                        case
                        for case in self._cases.values()
                        if case.due_s <= now_s and case.service not in self._under_way
                    ),
                    key=lambda case: case.due_s,
                )
                for case in due[: max(0, free)]:
                    pause_s = AGAIN_S[min(case.asked + 1, len(AGAIN_S) - 1)]
                    self._cases[case.service] = replace(case, due_s=now_s + pause_s, asked=case.asked + 1)
                    self._under_way[case.service] = tasks.create_task(self._ask(case))
                await self._until_due()

    async def _until_due(self) -> None:
        waiting = [case.due_s for case in self._cases.values() if case.service not in self._under_way]
        if len(self._under_way) >= AT_ONCE or not waiting:
            await self._wake.wait()
        else:
            cancel = self._clock.call_at(min(waiting), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                cancel()
        self._wake.clear()

    async def _ask(self, case: _Case) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                diagnosis = await self._diagnosis(case.service)
        except TimeoutError:
            log.warning("diagnosis.late", extra={"service": case.service})
            return
        except Exception:
            # A rule's or an answer's surprise must not end the asking; it is ours to mend, so it is told with its traceback.
            log.exception("diagnosis.failed", extra={"service": case.service})
            return
        finally:
            self._under_way.pop(case.service, None)
            self._wake.set()
        if diagnosis is not None:
            self._heard(case, diagnosis)

    def _heard(self, case: _Case | None, diagnosis: Diagnosis) -> None:
        """Tell what is new of an incident that is still open."""
        current = self._cases.get(case.service) if case is not None else None
        if case is None or current is None or current.incident != case.incident:
            return
        if diagnosis.causes and not is_fault(diagnosis.causes[0].cause):
            return  # that an old instance ended in good order is true, and does not say why this one is not well
        if not _same(self._known.get(case.service), diagnosis):
            self._known[case.service] = diagnosis
            self._found(case.incident, diagnosis)

    async def _diagnosis(self, name: str) -> Diagnosis | None:
        fleet = self._fleet()
        service = next((one for one in fleet.services if one.name == name), None)
        if service is None:
            return None
        told = await self._doors.tell(service)
        self._told(name, told)
        # Rules over a long log take their time (20 us a line): not on the loop that the looks are timed by.
        return await asyncio.to_thread(_judged, service, tuple(self._seen(name)), told, fleet)


def _judged(service: Service, seen: Sequence[Observation], told: Told, fleet: Fleet) -> Diagnosis:
    return diagnose(facts_of_service(service, seen, told, problems_of(told, service, fleet), fleet))


def _same(known: Diagnosis | None, new: Diagnosis) -> bool:
    """Whether it says nothing new: the same causes in the same order, as sure to a tenth, the same variables."""
    if known is None:
        return not new.causes
    return _gist(known) == _gist(new)


def _gist(diagnosis: Diagnosis) -> object:
    return (
        [(cause.cause, round(cause.sure, 1), cause.next) for cause in diagnosis.causes],
        [(one.key, one.problem, one.column) for one in diagnosis.variables],
    )
