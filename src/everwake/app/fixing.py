"""`everwake fix`: the plan, and the remedy as one run, through the keeper that runs, else by itself with the same engine.

Alone, it holds the data folder as a keeper does: nobody else can act meanwhile, and what an earlier keeper left open goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from everwake.app.diagnosing import Diagnoser, Doors
from everwake.app.fleet_file import looked_at
from everwake.app.fleet_found import fleet_found
from everwake.app.holder import has_ended, new_holder
from everwake.app.past import Past
from everwake.app.platform import reach, simulated
from everwake.app.reach import RunningKeeper, running_keeper
from everwake.app.repairing import Repairer
from everwake.app.why import Told
from everwake.checks import Checks
from everwake.clock import SystemClock
from everwake.errors import Finding, Misused, OutOfReach
from everwake.fleet.naming import no_service
from everwake.fleet.schema import Fleet, PlatformSettings, Secret, Service
from everwake.history.steps import StepStore
from everwake.history.undo import SealedUndo
from everwake.model import Action, Incident, Observation, Proof, RunState, State
from everwake.ports import Switch
from everwake.remedy.plan import Act, Wait
from everwake.remedy.telling import decision_document, run_document
from everwake.sim.claim import Claim

__all__ = ["Asked", "Fixer", "fixer"]

POLL_S = 0.5
# A plan asks the platform for everything, as a diagnosis does.
PLAN_S = 90.0
# The longest that a remedy may take (`remedy.execute.RUN_S`), and its proof.
LONGEST_S = 7_200.0

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where to look. fleet: the fleet file, which need not exist.   data: folder of a live `up.json` and of the history.

    environ: for secrets.   by: who asks, for the audit trail.
    """

    fleet: Path
    data: Path
    environ: Mapping[str, str] = field(repr=False)
    by: str = "everwake fix"


class Fixer(Protocol):
    """What `everwake fix` can do, whoever does it. through: "keeper" or "alone"."""

    through: str

    async def plan(self, name: str) -> Document:
        """`{"service", "decision", "well", "why", "next", "plan", "refused"}`. Raises Misused, OutOfReach."""
        ...

    async def fix(self, name: str, seen: Callable[[Document], None]) -> Document:
        """Begin, and follow it to its end; the last document of the run. seen: told of each change.

        Raises:
            Finding: nothing is begun; in words why.
            Misused, OutOfReach.
        """
        ...

    async def switch(self, is_stopped: bool) -> Document:
        """Put the red switch: `{"stopped", "by", "at", "changed"}`. Raises OutOfReach."""
        ...


@asynccontextmanager
async def fixer(name: str, asked: Asked) -> AsyncIterator[Fixer]:
    """Whoever can do it: the running keeper that knows the service, else this process. name: "" for the switch alone.

    Raises:
        AlreadyRunning: a keeper holds the data folder, and does not answer.
        BadFleet, Misused, OutOfReach.
    """
    fleet = fleet_found(asked.fleet, asked.data, asked.environ, lambda where: where[:1] in (("platform",), ("keeper",)))
    keeper = running_keeper(asked.data, fleet.keeper.token if fleet else None)
    if keeper is not None:
        yield _Through(keeper, asked.by)
        return
    described = await _described(name, fleet, asked)
    async with _alone(described, asked) as alone:
        yield alone


# --- through the keeper -----------------------------------------------------------------------------------------------------


class _Through:
    """A running keeper does it."""

    through = "keeper"

    def __init__(self, keeper: RunningKeeper, by: str) -> None:
        self._keeper, self._by = keeper, by

    async def plan(self, name: str) -> Document:
        return await self._asked("POST", _remedy_of(name), {"plan": True}, PLAN_S)

    async def fix(self, name: str, seen: Callable[[Document], None]) -> Document:
        begun = await self._asked("POST", _remedy_of(name), {"yes": True, "by": self._by}, PLAN_S)
        run: Document = begun["run"]
        seen(run)
        async with asyncio.timeout(LONGEST_S):
            while RunState(run["state"]).is_open:
                await asyncio.sleep(POLL_S)
                try:
                    told = (await self._asked("GET", _remedy_of(name)))["run"]
                except OutOfReach as silence:
                    hint = f"what has begun goes on with the next keeper; then everwake fix {name} --plan shows how it stands"
                    raise OutOfReach(silence.message, hint=hint) from None
                if told is None or told["id"] != run["id"]:
                    break
                if told != run:
                    run = told
                    seen(run)
        return run

    async def switch(self, is_stopped: bool) -> Document:
        return await self._asked("POST", f"/api/v1/repairs/{'stop' if is_stopped else 'start'}", {"by": self._by})

    async def _asked(self, method: str, path: str, body: object = None, within_s: float = 10.0) -> Document:
        status, found = await asyncio.to_thread(self._keeper.call, method, path, body, within_s)
        if status < 400:
            return found
        detail = str(found.get("detail", f"the keeper answered {status}"))[:500]
        if status == 404:
            raise Misused(detail.rstrip("."))
        if status == 409:
            raise Finding(detail.rstrip("."))
        hint = "set its token in the fleet file" if status == 401 else None
        raise OutOfReach(f"the keeper at {self._keeper.url} answered {status}: {detail}", hint=hint)


def _remedy_of(name: str) -> str:
    return f"/api/v1/services/{quote(name, safe='')}/remedy"


# --- alone --------------------------------------------------------------------------------------------------------------------


async def _described(name: str, fleet: Fleet | None, asked: Asked) -> Fleet:
    """The fleet that `name` is of: the file's, else the simulator's, else the platform's one service of that name."""
    if fleet is not None:
        if name and not any(one.name == name for one in fleet.services):
            raise no_service(name, (one.name for one in fleet.services))
        return fleet
    said = simulated(asked.data)
    if said is not None:
        at, known = said["platform"], said.get("services") or {}
        if name and name not in known:
            raise no_service(name, known)
        async with reach(None, asked.data, asked.environ) as reached:
            looks = {one.id: looked_at(one) for one in await reached.platform.services()}
        services = tuple(
            Service(
                name=one, url=str(about["url"]).rstrip("/"), platform="sim", platform_id=str(about["id"]),
                health=looks[about["id"]][0], expect=looks[about["id"]][1],
            )
            for one, about in known.items() if about.get("url") and about["id"] in looks
        )  # fmt: skip
        key = Secret(str(at.get("key", "")), f"{asked.data / 'up.json'}")
        return Fleet(
            name="sim",
            services=services,
            platforms={"sim": PlatformSettings(name="sim", api_key=key, url=at.get("url"))},
        )
    if not name:
        return Fleet(name="fleet", services=())
    async with reach(asked.fleet, asked.data, asked.environ, name) as reached:
        found = await reached.find(name)
        health, expect = looked_at(found)
        service = Service(
            name=name, url=found.url.rstrip("/"), health=health, expect=expect, platform=reached.platform.name,
            platform_id=found.id, plan=found.plan,
        )  # fmt: skip
        return Fleet(name="fleet", services=(service,))


@asynccontextmanager
async def _alone(fleet: Fleet, asked: Asked) -> AsyncIterator["_Alone"]:
    clock = SystemClock()
    with Claim(asked.data.resolve(), "keeper"):
        async with (
            Past(asked.data.resolve() / "history.sqlite3", clock) as past,
            Checks(clock, allow_private=fleet.keeper.allow_private) as checks,
            Doors(fleet, asked.environ) as doors,
        ):
            steps, keeping = StepStore(past.history), _Lone(fleet, checks, past.standings)
            yield _Alone(asked.by, clock, doors, steps, SealedUndo(past.history, clock, doors.key_of), keeping)


class _Lone:
    """Stands in for a keeper (`app.repairing.Keeping`): looks when it is asked to, and remembers the last look."""

    def __init__(self, fleet: Fleet, checks: Checks, standings: Any) -> None:
        self.fleet, self._checks = fleet, checks
        self.trouble: tuple[str, ...] = ()
        self._seen: dict[str, Observation] = {}
        # What the last keeper left open is gone on with; what it did not see begins with our first look.
        self._incidents = {one.service: one.incident for one in standings if one.incident is not None}

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """Of those that were looked at and are down."""
        return tuple(one for one in self._incidents.values() if one is not None and one.closed_at is None)

    def service_view(self, name: str) -> "_LoneView":
        """By the last look."""
        _ = self.fleet.service(name)
        last = self._seen.get(name)
        return _LoneView(State.UNKNOWN if last is None else State.UP if last.failure is None else State.DOWN)

    def seen(self, name: str) -> tuple[Observation, ...]:
        """The last look, if there was one."""
        return (self._seen[name],) if name in self._seen else ()

    async def look(self, name: str) -> Observation:
        """Look now."""
        seen = await self._checks.look(self.fleet.service(name))
        self._seen[name] = seen
        if seen.failure is not None and self._incidents.get(name) is None:
            stamp = f"{seen.at:%Y%m%d%H%M%S}"
            self._incidents[name] = Incident(id=f"fix-{stamp}-{name}", service=name, opened_at=seen.at, first=seen)
        return seen

    def acted(self, name: str, action: Action) -> None:
        """The steps themselves remember it."""

    def proved(self, name: str, proof: Proof) -> None:
        """The run remembers it."""


@dataclass(frozen=True, slots=True)
class _LoneView:
    state: State


class _Alone:
    """This process does it."""

    through = "alone"

    def __init__(
        self, by: str, clock: SystemClock, doors: Doors, steps: StepStore, undo: SealedUndo, keeping: _Lone
    ) -> None:  # fmt: skip
        self._by, self._clock, self._steps, self._keeping = by, clock, steps, keeping
        self._seen: Callable[[Document], None] = lambda run: None
        self._told: Told | None = None
        self._diagnoser = Diagnoser(
            clock, doors, fleet=lambda: keeping.fleet, seen=keeping.seen,
            found=lambda incident, diagnosis: None, told=self._heard,
        )  # fmt: skip
        self._repairer = Repairer(
            clock, doors, steps, keeping, holder=new_holder("fix"), has_ended=has_ended, undo=undo, ask=self._diagnoser.ask,
            changed=lambda run: self._seen(run_document(run)),
            outgoing=lambda notices: (),  # who is to be told sits here
        )  # fmt: skip

    def _heard(self, name: str, told: Told) -> None:
        self._told = told
        self._repairer.told(name, told)

    async def plan(self, name: str) -> Document:
        await self._keeping.look(name)
        planned = await self._repairer.plan(name)
        is_well = isinstance(planned.decision, Wait) and planned.decision.is_well
        is_left = not isinstance(planned.decision, Act) and not is_well
        if is_left and self._told is not None and self._told.is_out_of_reach:
            raise OutOfReach(self._told.problem, hint="until its platform answers nothing can be done about it")
        return {"service": name, **decision_document(planned.decision), "refused": planned.refused}

    async def fix(self, name: str, seen: Callable[[Document], None]) -> Document:
        await self._keeping.look(name)
        running = asyncio.create_task(self._repairer.run())
        try:
            await self._repairer.resumed.wait()
            run = run_document(await self._repairer.begin(name, self._by))
            ended = asyncio.Event()

            def told(document: Document) -> None:
                if document["id"] == run["id"]:
                    seen(document)
                    if not RunState(document["state"]).is_open:
                        ended.set()

            seen(run)
            self._seen = told
            waiting = asyncio.create_task(ended.wait())
            await asyncio.wait((waiting, running), timeout=LONGEST_S, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            found = await self._steps.run(run["id"])
            return run if found is None else run_document(found)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def switch(self, is_stopped: bool) -> Document:
        changed = await self._steps.set_switch(Switch(is_stopped=is_stopped, by=self._by, at=self._clock.now()))
        now = await self._steps.switch()
        at = now.at.isoformat() if now.at else None
        return {"stopped": now.is_stopped, "by": now.by or None, "at": at, "changed": changed}
