"""What a remedy needs to know of a service: its case for the plan, and what its variables should be."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from everwake.app.deploying import said_during
from everwake.app.why import Told, problems_of
from everwake.diagnose.log.reader import read
from everwake.diagnose.log.signs import SignKind
from everwake.doctor.fix import mend_values
from everwake.errors import EverwakeError
from everwake.fleet.redact import redact
from everwake.fleet.schema import Fleet, Service
from everwake.model import DeployRecord, Diagnosis, Incident, Observation, RemedyRun, RunState, State
from everwake.ports import Platform
from everwake.remedy.execute import Mended
from everwake.remedy.plan import Case, Tried
from everwake.remedy.steps import Do

__all__ = ["PACE_S", "case_of", "mended", "pace_s", "started", "tried_of"]

PACE_S = 20.0
PASSES = 6
# The log is read after a deploy for whoever reads the story; nothing depends on it.
LOG_S = 10.0
LINE_CHARS = 160
_SERVES = (SignKind.LISTENING, SignKind.LISTENING_LOOPBACK)
_SERVED = (State.UP, State.DEGRADED)


def pace_s(service: Service) -> float:
    """By what its repairs are timed: 20 s, or its own interval where that is shorter."""
    return min(PACE_S, service.every_s)


def mended(service: Service, keys: Sequence[str], variables: Mapping[str, str], fleet: Fleet | None) -> Mended:
    """What the doctor would make of these variables, and of no others: only what has one safe answer."""
    values = dict(variables)
    for _ in range(PASSES):
        found = problems_of(Told(platform=service.platform or "", variables=values), service, fleet)
        if found is None:
            break
        new = {key: value for key, value in mend_values(found).items() if key in keys}
        # What is not there at all has no place to edit.
        new |= {
            one.key: one.value for one in found.problems
            if one.key in keys and one.value is not None and one.key not in values
        }  # fmt: skip
        if not new:
            break
        values |= new
    after = problems_of(Told(platform=service.platform or "", variables=values), service, fleet)
    stuck = {one.key for one in (after.problems if after else ()) if one.is_error and one.key in keys}
    return Mended(
        values={key: values[key] for key in keys if key in values and variables.get(key) != values[key]},
        stuck=tuple(sorted(stuck)),
    )


async def started(platform: Platform, id: str, deploy: DeployRecord) -> str:
    """The line of its log in which what was deployed says that it serves, masked; "" where none does, or nobody tells in time."""
    if "logs" not in platform.verbs or deploy.finished_at is None:
        return ""
    try:
        async with asyncio.timeout(LOG_S):
            lines = await said_during(platform, id, deploy, deploy.finished_at)
    except (EverwakeError, TimeoutError):
        return ""
    signs = read((line.text for line in lines), redact).signs
    return next((one.text[:LINE_CHARS] for one in reversed(signs) if one.kind in _SERVES), "")


def tried_of(runs: Sequence[RemedyRun], incident: str, now: State) -> tuple[Tried, ...]:
    """What was done in an incident so far, oldest first. now: how the service stands."""
    ended = [
        one for one in runs
        if one.incident == incident and one.began_at is not None and not one.state.is_open and one.state is not RunState.DROPPED
    ]  # fmt: skip
    return tuple(
        Tried(
            run=one.id, playbook=one.playbook, about=one.about, cause=one.cause, helped=one.state is RunState.PROVED,
            made_worse=n == len(ended) - 1 and one.state is not RunState.PROVED and one.before in _SERVED and now is State.DOWN,
            back_to=one.back_to, wrote=any(step.do == Do.WRITE_VARIABLES for step in one.steps), outcome=one.outcome,
        )
        for n, one in enumerate(ended)
    )  # fmt: skip


def case_of(
    service: Service, state: State, diagnosis: Diagnosis, told: Told, platform: Platform | None, incident: Incident | None,
    runs: Sequence[RemedyRun], needs_down: Sequence[str], at: datetime, *, seen: Observation | None = None, asked: bool = False,
    named_s: float = float("inf"),
) -> Case:  # fmt: skip
    """Everything that is known, as the plan takes it. seen: the newest look."""
    known = told.service is not None
    first = incident.first if incident is not None and incident.first is not None else seen
    return Case(
        service=service.name, state=state, diagnosis=diagnosis, at=at, incident=incident, first=first, host=told.service,
        deploys=told.deploys if known else None, verbs=platform.verbs if platform is not None and known else frozenset(),
        needs_down=tuple(needs_down), tried=tried_of(runs, incident.id if incident else "", state), pace_s=pace_s(service),
        asked=asked, named_s=named_s, last=seen,
    )  # fmt: skip
