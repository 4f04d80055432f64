"""`ports.Steps` in memory, for tests with a clock that is moved by hand; held against the history's by the same tests."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from everwake.model import Proof, RemedyRun, RunState, StepState
from everwake.ports import Notice, Switch

__all__ = ["MemorySteps"]


class MemorySteps:
    """runs: by id, in order.   notices: by key."""

    def __init__(self) -> None:
        self.runs: dict[str, RemedyRun] = {}
        self.notices: dict[str, Notice] = {}
        self.red = Switch()

    async def propose(self, run: RemedyRun, notices: Iterable[Notice] = ()) -> bool:
        if run.id in self.runs or any(one.state.is_open and one.service == run.service for one in self.runs.values()):
            return False
        self.runs[run.id] = run
        await self.told(notices)
        return True

    async def begin(self, id: str, by: str, now: datetime) -> bool:
        if self.runs[id].state is not RunState.ASKED:
            return False
        self.runs[id] = replace(self.runs[id], state=RunState.RUNNING, by=by, began_at=now)
        return True

    async def claim(self, id: str, holder: str, now: datetime, lease_s: float) -> RemedyRun | None:
        run = self.runs[id]
        is_free = run.holder in ("", holder) or run.held_until is None or run.held_until <= now
        if run.state not in (RunState.RUNNING, RunState.PROVING) or not is_free:
            return None
        until = now + timedelta(seconds=lease_s)
        self.runs[id] = replace(run, holder=holder, held_until=until, began_at=run.began_at or now)
        return self.runs[id]

    def _holds(self, id: str, holder: str, now: datetime) -> bool:
        run = self.runs[id]
        return run.state.is_open and run.holder == holder and run.held_until is not None and run.held_until > now

    async def intend(self, id: str, n: int, holder: str, now: datetime) -> bool:
        step = self.runs[id].steps[n]
        if not self._holds(id, holder, now) or step.state not in (StepState.PLANNED, StepState.INTENDED):
            return False
        if step.state is StepState.PLANNED:
            self._put(id, n, state=StepState.INTENDED, at=now)
        return True

    async def mark(self, id: str, n: int, holder: str, state: StepState, said: str, now: datetime) -> bool:
        if not self._holds(id, holder, now) or self.runs[id].steps[n].state is not StepState.INTENDED:
            return False
        self._put(id, n, state=state, said=said, ended_at=now)
        return True

    def _put(self, id: str, n: int, **changed: object) -> None:
        steps = list(self.runs[id].steps)
        steps[n] = replace(steps[n], **changed)  # type: ignore[arg-type]
        self.runs[id] = replace(self.runs[id], steps=tuple(steps))

    async def advance(
        self, id: str, holder: str, state: RunState, now: datetime, outcome: str = "", proof: Proof | None = None,
        notices: Iterable[Notice] = (),
    ) -> bool:  # fmt: skip
        run = self.runs[id]
        is_dropped = run.state is RunState.ASKED and state is RunState.DROPPED
        if not self._holds(id, holder, now) and not is_dropped:
            return False
        ended_at = None if state.is_open else now
        self.runs[id] = replace(
            run, state=state, outcome=outcome, proof=proof or run.proof, ended_at=ended_at,
            holder=run.holder if state.is_open else "",
        )  # fmt: skip
        await self.told(notices)
        return True

    async def soaked(self, id: str, soak: Proof, notices: Iterable[Notice] = ()) -> bool:
        run = self.runs[id]
        if run.state is not RunState.PROVED or run.soak is not None:
            return False
        self.runs[id] = replace(run, soak=soak)
        await self.told(notices)
        return True

    async def release(self, id: str, holder: str) -> None:
        if self.runs[id].holder == holder:
            self.runs[id] = replace(self.runs[id], holder="", held_until=None)

    async def run(self, id: str) -> RemedyRun | None:
        return self.runs.get(id)

    async def open(self) -> Sequence[RemedyRun]:
        return [one for one in self.runs.values() if one.state.is_open]

    async def since(self, at: datetime, service: str | None = None) -> Sequence[RemedyRun]:
        return [one for one in self.runs.values() if one.asked_at >= at and service in (None, one.service)]

    async def told(self, notices: Iterable[Notice]) -> None:
        for one in notices:
            self.notices.setdefault(one.key, one)

    async def switch(self) -> Switch:
        return self.red

    async def set_switch(self, switch: Switch) -> bool:
        changed, self.red = self.red.is_stopped != switch.is_stopped, switch
        return changed
