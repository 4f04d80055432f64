"""The keeper's loop, its diagnosing and its repairing as `everwake watch` ties them together, over hours of a scripted world.

Real are the keeper, the state machine, the incidents, the own line, the diagnosis with all its rules, plan, guard, steps, proof;
scripted are what a look sees and what the platform tells. Everything is drawn from one seed, so that a run can be made again.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from everwake.app.diagnosing import Diagnoser, Doors
from everwake.app.own_line import OwnLineProbe
from everwake.app.repairing import Repairer
from everwake.app.watching import pass_on
from everwake.fleet.schema import Fleet, Service
from everwake.model import (
    Beat,
    BeatKind,
    Diagnosis,
    Failure,
    FailureKind,
    Incident,
    LogLine,
    Observation,
    Phase,
    RemedyRun,
    Transition,
)
from everwake.ports import Notice, Standing
from everwake.watch.keeper import Keeper
from everwake.watch.vantage import Probe
from tests.support.memory_steps import MemorySteps
from tests.support.quiet_noise import FAULTS, Noise
from tests.support.quiet_world import World, fleet
from tests.support.virtual_time import VirtualClock, VirtualLoop

__all__ = ["Outcome", "run_hours"]

HOUR_S = 3_600.0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a run. hours: of the keeper's clock, for each of `services`.   noises: by kind, how often each was made.

    met: by kind, how many looks, beats and questions met it.   states, causes: how often a service moved to it, or was found to
    have it.   own_line: how often it was our own line.   asked: messages to people about repairs.   remedies: all that were begun
    or proposed.   writes: what was asked of the platform.   mended: whether the fault that was put in is gone.   errors: what was
    logged as one, for a keeper that cannot think repairs nothing either.
    """

    seed: int
    hours: float
    services: int
    looks: int = 0
    failed: int = 0
    noises: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    incidents: int = 0
    own_line: int = 0
    diagnoses: int = 0
    asked: int = 0
    remedies: tuple[RemedyRun, ...] = ()
    writes: tuple[tuple[str, str], ...] = ()
    mended: bool = False
    errors: list[str] = field(default_factory=list)
    took_s: float = 0.0


class _Eyes:
    """`watch.eyes.Eyes` on the world."""

    def __init__(self, world: World, own_line: OwnLineProbe, outcome: Outcome) -> None:
        self._world, self._own_line, self._outcome = world, own_line, outcome
        self._clock, self._loop = world.clock, world.loop

    def begin(
        self, service: Service, check: str, patience_s: float | None, late_s: float, done: Callable[[Observation], None]
    ) -> Callable[[], None]:
        self._own_line.tick()
        at = self._clock.now()
        found = self._world.answers(service.name, check, patience_s or service.timeout_s)
        self._outcome.looks += 1
        self._outcome.failed += found.failure is not None

        def finish() -> None:
            done(
                Observation(
                    service=service.name, check=check, at=at, took_s=found.took_s, failure=found.failure, status=found.status,
                    headers=found.headers, excerpt=found.excerpt, late_s=late_s,
                )
            )  # fmt: skip

        return self._loop.call_later(found.took_s, finish).cancel

    async def follow(self, service: Service) -> AsyncIterator[Beat]:
        world, clock, again_s = self._world, self._clock, 1.0
        one = world.hosted[service.name]

        def beat(kind: BeatKind, **more: Any) -> Beat:
            return Beat(service=service.name, kind=kind, at=clock.now(), **more)

        while True:
            await asyncio.sleep(0.2)
            if not world.takes_lines(service.name):
                world.seen["line refused"] += 1
                yield beat(BeatKind.FAILED, failure=Failure(kind=FailureKind.REFUSED, phase=Phase.CONNECT))
            else:
                yield beat(BeatKind.CONNECTED, took_s=0.1)
                began_s, missed, code, again_s = self._loop.time(), 0, "", 1.0
                while missed < 3 and not code:
                    code = await self._one_beat(service.heartbeat_every_s, one.lines)
                    if code:
                        break
                    is_missed = world.is_out() or one.beats_lost > 0 or self._loop.time() < one.stalled_until_s
                    if is_missed:
                        missed, one.beats_lost = missed + 1, max(0, one.beats_lost - 1)
                        world.seen["beat missed"] += 1
                        failure = Failure(kind=FailureKind.BEAT_MISSED, phase=Phase.BEAT)
                        yield beat(BeatKind.MISSED, failure=failure)
                    else:
                        one.asked_s, missed = self._loop.time(), 0
                        yield beat(BeatKind.BEAT, took_s=service.heartbeat_every_s)
                world.seen["line closed"] += 1
                kind = FailureKind.LINE_CLOSED if code else FailureKind.BEAT_MISSED
                failure = Failure(kind=kind, phase=Phase.BEAT)
                yield beat(
                    BeatKind.CLOSED,
                    took_s=self._loop.time() - began_s,
                    code=int(code) if code else None,
                    failure=failure,
                )
            yield beat(BeatKind.RECONNECTING, again_s=again_s)
            await asyncio.sleep(again_s)
            again_s = min(again_s * 2.0, 60.0)

    async def _one_beat(self, every_s: float, lines: set[asyncio.Future[str]]) -> str:
        """Wait for the next beat; the code of the close, when that comes first."""
        line: asyncio.Future[str] = self._loop.create_future()
        lines.add(line)
        due = self._loop.call_later(every_s, lambda: line.done() or line.set_result(""))
        try:
            return await line
        finally:
            due.cancel()
            lines.discard(line)

    async def probe(self) -> Probe:
        found = await self._own_line.probe()
        if self._world.out == "route" and self._world.is_out():
            return Probe(
                resolves=found.resolves, has_route=False, clock_jump_s=found.clock_jump_s, slept_s=found.slept_s
            )
        return found


class _Recorder:
    """Counts what the keeper would write down."""

    trouble = None

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def looked(self, seen: Sequence[Observation]) -> None: ...

    def moved(self, move: Transition, standing: Standing, notices: Iterable[Notice] = ()) -> None:
        if move.old is not move.new:
            self._outcome.states[move.new.value] += 1
            self._outcome.own_line += move.cause == "our own line"

    def beat(self, beat: Beat) -> None: ...
    def said(self, line: LogLine) -> None: ...


class _Errors(logging.Handler):
    """Remembers what is logged as an error."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(logging.ERROR)
        self._outcome = outcome

    def emit(self, record: logging.LogRecord) -> None:
        why = record.exc_info[1] if record.exc_info else None
        self._outcome.errors.append(f"{record.getMessage()}: {type(why).__name__} {why}"[:300])


class _Doors(Doors):
    """The platform of the world behind every door; what is asked of it is the product's own."""

    def __init__(self, fleet: Fleet, world: World) -> None:
        super().__init__(fleet, {})
        self._world = world

    async def of(self, service: Service) -> Any:
        return self._world.platform


async def _hours(seed: int, hours: float, repair: str, fault: str, said: Callable[[str], None]) -> Outcome:
    clock, described = VirtualClock(), fleet(repair)
    world, steps = World(clock, random.Random(f"{seed} world"), described, lurks=not fault), MemorySteps()
    noise, outcome = (
        Noise(world, random.Random(f"{seed} noise")),
        Outcome(seed=seed, hours=hours, services=len(described.services)),
    )
    own_line = OwnLineProbe(described, clock, world.resolve)  # type: ignore[arg-type]
    doors, known = _Doors(described, world), set[str]()

    def diagnosed(which: str, diagnosis: Diagnosis) -> None:
        outcome.diagnoses += 1
        outcome.causes[diagnosis.causes[0].cause if diagnosis.causes else "-"] += 1
        pass_on(which, diagnosis, keeper, repairer)

    def told(incident: Incident) -> None:
        if incident.id not in known:
            known.add(incident.id)
            outcome.incidents += 1
        diagnoser.told(incident)
        repairer.incident(incident)

    diagnoser = Diagnoser(
        clock, doors, fleet=lambda: described, seen=lambda name: keeper.seen(name), found=diagnosed,
        told=lambda name, platform_told: repairer.told(name, platform_told),
    )  # fmt: skip
    keeper = Keeper(described, _Eyes(world, own_line, outcome), _Recorder(outcome), clock, told=told)
    repairer = Repairer(
        clock, doors, steps, keeper, holder="one", ask=diagnoser.ask,
        say=lambda level, text, service: said(f"{clock.now():%m-%d %H:%M:%S} {text}"),
    )  # fmt: skip
    errors = _Errors(outcome)
    logging.getLogger("everwake").addHandler(errors)
    tasks = [asyncio.create_task(one) for one in (keeper.run(), diagnoser.run(), repairer.run(), noise.run())]
    began_s = time.perf_counter()
    end = asyncio.create_task(asyncio.sleep(hours * HOUR_S))
    if fault:
        asyncio.get_running_loop().call_later(hours * HOUR_S / 2.0, _break, world, fault)
    # Whatever ends before its time was not meant to: its error is the run's.
    await asyncio.wait((end, *tasks), return_when=asyncio.FIRST_COMPLETED)
    for task in (end, *tasks):
        task.cancel()
    logging.getLogger("everwake").removeHandler(errors)
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(found, Exception):
            raise found
    outcome.noises, outcome.met = noise.made, world.seen
    outcome.remedies, outcome.writes = tuple(steps.runs.values()), tuple(world.writes)
    outcome.asked, outcome.took_s = len(steps.notices), time.perf_counter() - began_s
    outcome.mended = bool(fault) and not any(one.broken for one in world.hosted.values())
    return outcome


def _break(world: World, fault: str) -> None:
    one = world.hosted["redis-service" if fault == "hung" else "chatbot"]
    one.broken = fault
    FAULTS[fault](world, one)
    one.hang_up("1006")


def run_hours(
    seed: int, hours: float, *, repair: str = "auto", fault: str = "", said: Callable[[str], None] = lambda text: None
) -> Outcome:
    """So many hours of the keeper's clock. fault: of `FAULTS`, put in half-way and never taken out by the world.   said: told
    each line of the log about repairs."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner, suppress(asyncio.CancelledError):
        return runner.run(_hours(seed, hours, repair, fault, said))
    raise AssertionError("a run was cancelled")
