"""The second stage of a proof: a service that was repaired is held against the seven criteria, for as long as they ask for.

It delays nothing: the remedy has ended and the incident closes by its own rules meanwhile. It repairs nothing either: what falls
again is an incident like any other. What it has shown is kept with the remedy, and somebody is told. A keeper that starts again
begins a soak anew where the last one was cut short.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from everwake.app.evidence import AskKeeper, News, Verified
from everwake.errors import EverwakeError, OutOfReach
from everwake.fleet.schema import Fleet, Service
from everwake.model import Criterion, Level, Proof, RemedyRun, RunState, State
from everwake.ports import Clock, Notice, Steps
from everwake.remedy.telling import notice_of_soak, soak_line
from everwake.verify.criteria import KeeperSaid

__all__ = ["Gather", "Soaker"]

log = logging.getLogger(__name__)

# What is put to rest, or not known for our own line is down, says nothing of the service.
_QUIET = (State.PAUSED, State.ASLEEP, State.UNKNOWN)
AGAIN_S = 30.0
AT_ONCE = 20
GRACE = timedelta(minutes=10)

Gather = Callable[[Service, AskKeeper, Callable[[News], None], datetime | None], Awaitable[Verified]]
"""Looks at a service until the seven criteria are shown or one is not met. The third is called about twice a second; the last is
from when on the log counts: what came before the remedy had ended is no fault of what serves now."""


class Stands(Protocol):
    """How a service stands (`watch.view.ServiceView`)."""

    @property
    def state(self) -> State:
        """Its state."""

    @property
    def since(self) -> datetime | None:
        """When it began."""

    @property
    def cause(self) -> str | None:
        """Why, where that is known."""
        ...


class Keeping(Protocol):
    """The keeper."""

    @property
    def fleet(self) -> Fleet:
        """As it is now."""

    def service_view(self, name: str) -> Stands:
        """One service. Raises KeyError."""
        ...


class Soaker:
    """Fed with remedies as they change. `run` does the work.

    soak_s: how long a service is held against them; 0: not at all.   changed: told of a remedy once its soak is known.
    outgoing, noticed, say, link: as in `app.repairing.Repairer`.
    """

    def __init__(
        self, clock: Clock, steps: Steps, keeping: Keeping, gather: Gather, *, soak_s: float,
        outgoing: Callable[[Sequence[Notice]], Sequence[Notice]] = tuple, noticed: Callable[[], None] = lambda: None,
        say: Callable[[Level, str, str], None] = lambda level, text, service: None,
        link: Callable[[str], str] = lambda service: "", changed: Callable[[RemedyRun], None] = lambda run: None,
    ) -> None:  # fmt: skip
        self._clock, self._steps, self._keeping, self._gather, self._soak_s = clock, steps, keeping, gather, soak_s
        self._outgoing, self._noticed, self._say, self._link, self._changed = outgoing, noticed, say, link, changed
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._soaking: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def seen(self, run: RemedyRun) -> None:
        """A remedy changed. One that is proved is watched from now on; a newer one of the same service ends that."""
        id, soaking = self._soaking.get(run.service, ("", None))
        if id == run.id or self._tasks is None or self._soak_s <= 0 or run.soak is not None:
            return
        if run.state is RunState.PROVED:
            self._soaking[run.service] = run.id, self._tasks.create_task(self._safely(run))
        if soaking is not None and run.state in (RunState.RUNNING, RunState.PROVED):
            soaking.cancel()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as self._tasks:
            for left in await self._left():
                self.seen(left)
            await asyncio.Event().wait()

    async def _left(self) -> Sequence[RemedyRun]:
        """What the last keeper had not come to see to its end."""
        latest = self._clock.now() - timedelta(seconds=2 * self._soak_s) - GRACE
        while self._soak_s > 0:
            try:
                runs = await self._steps.since(latest - timedelta(days=1))
            except OutOfReach as trouble:
                log.warning("soak.history", extra={"why": trouble.message})
                await self._clock.sleep(AGAIN_S)
                continue
            newest = {one.service: one for one in runs}.values()
            return [one for one in newest if one.ended_at is not None and one.ended_at >= latest]
        return ()

    async def _safely(self, run: RemedyRun) -> None:
        try:
            async with self._at_once:
                await self._soak(run)
        except EverwakeError as trouble:
            log.warning("soak.not_stored", extra={"service": run.service, "why": trouble.message})
        except Exception:
            # One service's surprise must not end the watching of the others; it is ours to mend, so it is told.
            log.exception("soak.failed", extra={"service": run.service})
        finally:
            if self._soaking.get(run.service, ("",))[0] == run.id:
                del self._soaking[run.service]

    async def _soak(self, run: RemedyRun) -> None:
        try:
            service = self._keeping.fleet.service(run.service)
        except KeyError:
            return
        quiet, rests = asyncio.Event(), list[State]()

        def told(news: News) -> None:
            state = self._stands(run.service).state
            if state in _QUIET and not rests:
                rests.append(state)
                quiet.set()

        async def said() -> KeeperSaid:
            return self._stands(run.service)

        gathering = asyncio.ensure_future(self._gather(service, said, told, run.ended_at))
        resting = asyncio.ensure_future(quiet.wait())
        try:
            await asyncio.wait((gathering, resting), return_when=asyncio.FIRST_COMPLETED)
            if rests:
                shown = Proof(criteria=(Criterion(name="uptime", met=None, said=f"not shown: it is {rests[0].value}"),))
            else:
                shown = Proof(criteria=(await gathering).criteria)
        finally:
            for each in (gathering, resting):
                each.cancel()
            await asyncio.gather(gathering, resting, return_exceptions=True)
        await self._tell(replace(run, soak=shown), service.title, shown)

    async def _tell(self, run: RemedyRun, title: str, shown: Proof) -> None:
        is_bad = any(one.met is False for one in shown.criteria)
        is_shown = any(one.met is not None for one in shown.criteria)
        notice = notice_of_soak(title, run, shown, self._link(run.service), self._clock.now())
        if not await self._steps.soaked(run.id, shown, self._outgoing((notice,)) if is_shown else ()):
            return
        self._noticed()
        level = Level.ERROR if is_bad else Level.SUCCESS if shown.is_proved else Level.INFO
        self._say(level, soak_line(title, run, shown)[:400], run.service)
        self._changed(run)

    def _stands(self, name: str) -> KeeperSaid:
        now = self._clock.now()
        try:
            view = self._keeping.service_view(name)
        except KeyError:  # it left the fleet
            return KeeperSaid(at=now, state=State.UNKNOWN)
        return KeeperSaid(at=now, state=view.state, since=view.since, cause=view.cause)
