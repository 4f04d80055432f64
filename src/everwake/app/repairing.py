"""The keeper repairs: diagnosis -> plan -> guard -> steps -> proof, of every service that is not well, beside the checks.

It decides nothing itself: `remedy.plan` says what is to be done, `remedy.guard` whether it may be, `remedy.execute` does it and
`remedy.proof` says whether it helped. What is under way is in the history, so whoever comes next goes on with it.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from everwake.app.diagnosing import Doors
from everwake.app.keeping import Keeping
from everwake.app.mending import case_of, mended, pace_s, started
from everwake.app.thinking import Thought, is_same
from everwake.app.why import Told
from everwake.diagnose.causes import CAUSES
from everwake.errors import EverwakeError, Finding, OutOfReach
from everwake.fleet.schema import Service
from everwake.model import Action, Diagnosis, Incident, Level, Observation, RemedyRun, RunState, State, StepState
from everwake.platforms import intend
from everwake.ports import Clock, Notice, Platform, Steps, Switch, Undo
from everwake.remedy import playbooks
from everwake.remedy.execute import Executor, Mended, Surroundings
from everwake.remedy.guard import Asked, Go, Later, Limits, No, judge
from everwake.remedy.plan import WELL, Act, AskHuman, Case, Playbook, Wait, decide, live_deploy
from everwake.remedy.prove import Prover
from everwake.remedy.standing import Planned, Standing
from everwake.remedy.telling import notice_of_ask, notice_of_end, notice_of_person, step_line, title_of
from everwake.remedy.undo import InProcess

__all__ = ["Repairer"]

log = logging.getLogger(__name__)

PAST = timedelta(days=1, minutes=5)
AGAIN_S = 30.0  # after the history or a platform could not be used
LONGEST_PAUSE_PACES = 15.0
FOLLOW_S = 300.0
FAULTS = frozenset(name for name, about in CAUSES.items() if about.is_fault)
_LEVELS = {RunState.PROVED: Level.SUCCESS, RunState.DROPPED: Level.WARNING}


class Repairer:
    """Fed with incidents and diagnoses, it brings services back. `run` does the work; everything else returns at once or is a
    person's question.

    holder: who this is, for leases.   has_ended: whether another holder is surely gone, so that its lease need not be waited for.
    undo: as in `Executor`.   ask: why a service is not well, asked anew; what its platform told comes by `told`.
    outgoing: a notice as one for each channel.   noticed: called after something was put into the outbox.   say: for the log.
    """

    def __init__(
        self,
        clock: Clock,
        doors: Doors,
        steps: Steps,
        keeping: Keeping,
        *,
        holder: str,
        has_ended: Callable[[str], bool] = lambda holder: False,
        undo: Undo | None = None,
        ask: Callable[[str], Awaitable[Diagnosis | None]],
        outgoing: Callable[[Sequence[Notice]], Sequence[Notice]] = tuple,
        noticed: Callable[[], None] = lambda: None,
        say: Callable[[Level, str, str], None] = lambda level, text, service: None,
        link: Callable[[str], str] = lambda service: "",
        changed: Callable[[RemedyRun], None] = lambda run: None,
        books: Mapping[str, Playbook] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._clock, self._doors, self._steps, self._keeping = clock, doors, steps, keeping
        self._ask_why, self._outgoing, self._noticed, self._say = ask, outgoing, noticed, say
        self._link, self._changed, self._holder, self._has_ended = link, changed, holder, has_ended
        self._books, self._limits = playbooks() if books is None else books, limits or Limits()
        around = Surroundings(
            platform=self._platform, mend=self._mend, look=keeping.look, intention=intend, started=started
        )
        self._undo = undo or InProcess()
        self._executor = Executor(
            steps, clock, holder, around, undo=self._undo, seen=self._stepped, failing=self._failing
        )
        self._prover = Prover(clock=clock, look=keeping.look, ask=ask, faults=FAULTS)
        self._told: dict[str, Told] = {}
        self._thoughts: dict[str, Thought] = {}
        self._runs: dict[str, RemedyRun] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._switch = Switch()
        # Set once it has taken over what the last keeper left: before that nothing is begun.
        self.resumed = asyncio.Event()

    # --- what it hears ------------------------------------------------------------------------------------------------

    def told(self, service: str, told: Told) -> None:
        """What its platform said when it was asked last."""
        self._told[service] = told

    def incident(self, incident: Incident) -> None:
        """An incident opened, changed or closed."""
        name = incident.service
        if incident.closed_at is not None:
            run = self._runs.get(name)
            if not self.is_busy(name):
                # What is under way goes on to its end, also when somebody else has its lease now and may die.
                self._thoughts.pop(name, None)
            if run is not None and run.state is RunState.ASKED:
                self._start(name, self._drop(run, "it is over"))
            self._start(name, self._forget(incident.id))
        elif name not in self._thoughts:
            self._thoughts[name] = Thought(due_s=self._clock.monotonic())
            self._wake.set()

    def diagnosed(self, service: str) -> None:
        """Something new was found out about it."""
        thought = self._thoughts.get(service)
        if thought is not None:
            thought.due_s, thought.unchanged = self._clock.monotonic(), 0
            self._wake.set()

    # --- what people ask ----------------------------------------------------------------------------------------------

    @property
    def switch(self) -> Switch:
        """How the red switch stands."""
        return self._switch

    async def set_switch(self, is_stopped: bool, by: str) -> bool:
        """Stop all repairs, or allow them again; whether that changed anything. Raises OutOfReach."""
        switch = Switch(is_stopped=is_stopped, by=by, at=self._clock.now())
        changed = await self._steps.set_switch(switch)
        self._switch = await self._steps.switch()
        if changed:
            words = f"All repairs were stopped by {by}" if is_stopped else f"Repairs were allowed again by {by}"
            self._say(Level.WARNING if is_stopped else Level.INFO, words, "")
            for thought in self._thoughts.values():
                thought.due_s = self._clock.monotonic()
            self._wake.set()
        return changed

    def soaked(self, run: RemedyRun) -> None:
        """The seven criteria have shown something of a remedy that is proved."""
        known = self._runs.get(run.service)
        if known is not None and known.id == run.id:
            self._know(run)

    def is_busy(self, name: str) -> bool:
        """Whether a remedy of it is under way or being proved."""
        run = self._runs.get(name)
        return run is not None and run.state in (RunState.RUNNING, RunState.PROVING)

    def standing(self, name: str) -> Standing:
        """How repairs stand for one service. Raises KeyError."""
        service, thought = self._keeping.fleet.service(name), self._thoughts.get(name)
        return Standing(
            repair=service.repair, switch=self._switch, run=self._runs.get(name),
            decision=thought.decision if thought else None, refused=thought.refused if thought else None,
        )  # fmt: skip

    async def plan(self, name: str) -> Planned:
        """What would be done if somebody said yes now. Raises KeyError, OutOfReach."""
        service = self._keeping.fleet.service(name)
        case = await self._case(service, asked=True)
        if case is None:
            return Planned(decision=Wait(why="nobody could say in time why it is not well"))
        decision = decide(case, self._books)
        if not isinstance(decision, Act):
            return Planned(decision=decision)
        verdict = await self._judged(service, case, decision, yes=True)
        return Planned(decision=decision, refused=None if isinstance(verdict, Go) else verdict.why)

    async def begin(self, name: str, by: str) -> RemedyRun:
        """Somebody said yes: do it now. The remedy as it begins.

        Raises:
            KeyError: no such service.
            Finding: there is nothing to be done, or it may not be done now; in words.
            OutOfReach: the history cannot be used.
        """
        service = self._keeping.fleet.service(name)
        known = self._runs.get(name)
        if known is not None and self.is_busy(name):
            raise Finding(f"{title_of(known)} is under way already")
        waiting = known if known is not None and known.state is RunState.ASKED else None
        if waiting is not None:
            await self._look_again(name, pace_s(service))  # what was asked may be minutes old
        case = await self._case(service, asked=True)
        if case is None:
            raise Finding(
                "nobody could say in time why it is not well", hint=f"everwake why {name} shows what is known"
            )
        decision = decide(case, self._books)
        if waiting is not None and not is_same(waiting, decision):
            await self._drop(waiting, "it is not what is to be done any more")
        match decision:
            case Wait():
                words = "nothing is to be done" if decision.is_well else "it is given time"
                raise Finding(f"{words}: {decision.why}")
            case AskHuman():
                raise Finding(f"only a person can mend it: {decision.reason}", hint=decision.next or None)
            case Act():
                verdict = await self._judged(service, case, decision, yes=True)
                if not isinstance(verdict, Go):
                    hint = "everwake fix --start allows them again" if self._switch.is_stopped else None
                    raise Finding(f"{decision.playbook} may not be done now: {verdict.why}", hint=hint)
                run = await self._begun(waiting, case, decision, by)
                self._know(run)
                self._start(name, self._go_on(run.id, name))
                return run

    async def _begun(self, waiting: RemedyRun | None, case: Case, plan: Act, by: str) -> RemedyRun:
        """The remedy that waits for this yes, where it is still the one; else a new one. Raises Finding."""
        is_it = waiting is not None and is_same(waiting, plan)
        if waiting is not None and is_it and await self._steps.begin(waiting.id, by, case.at):
            return replace(waiting, state=RunState.RUNNING, by=by, began_at=case.at)
        run = self._run_of(case, plan, by, RunState.RUNNING)
        if not await self._steps.propose(run):
            raise Finding("another remedy of this service is open")
        return run

    # --- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever. Cancelling it leaves what is under way to whoever comes next."""
        async with asyncio.TaskGroup() as self._tasks:
            await self._resume()
            while True:
                now_s = self._clock.monotonic()
                for name, thought in list(self._thoughts.items()):
                    if thought.due_s <= now_s and name not in self._under_way:
                        thought.due_s = now_s + AGAIN_S
                        self._start(name, self._consider(name))
                await self._until_due()

    async def _resume(self) -> None:
        """What the last keeper left."""
        while True:
            try:
                self._switch = await self._steps.switch()
                left = await self._steps.open()
                for run in left:
                    if run.holder not in ("", self._holder) and self._has_ended(run.holder):
                        await self._steps.release(run.id, run.holder)
                break
            except OutOfReach as trouble:
                log.warning("repair.history", extra={"why": trouble.message})
                await self._clock.sleep(AGAIN_S)
        for run in left:
            self._know(run)
            if run.state is not RunState.ASKED:
                self._start(run.service, self._go_on(run.id, run.service))
        self.resumed.set()

    async def _until_due(self) -> None:
        waiting = [one.due_s for name, one in self._thoughts.items() if name not in self._under_way]
        cancel = self._clock.call_at(min(waiting), self._wake.set) if waiting else lambda: None
        try:
            await self._wake.wait()
        finally:
            cancel()
        self._wake.clear()

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """One thing at a time for one service; what is asked for meanwhile waits for it."""
        if self._tasks is None:
            work.close()
            return
        before = self._under_way.get(name)
        task = self._tasks.create_task(self._safely(name, work, before))
        self._under_way[name] = task

    async def _safely(self, name: str, work: Coroutine[Any, Any, None], before: asyncio.Task[None] | None) -> None:
        try:
            if before is not None:
                await asyncio.wait((before,))
            await work
        except EverwakeError as trouble:
            log.warning("repair.not_now", extra={"service": name, "why": trouble.message})
            self._later(name, AGAIN_S)
        except Exception:
            # One service's surprise must not end the repairing of the others; it is ours to mend, so it is told.
            log.exception("repair.failed", extra={"service": name})
            self._later(name, AGAIN_S * 4)
        finally:
            work.close()
            if self._under_way.get(name) is asyncio.current_task():
                del self._under_way[name]
            self._wake.set()

    def _later(self, name: str, seconds: float) -> None:
        thought = self._thoughts.get(name)
        if thought is not None:
            thought.due_s = self._clock.monotonic() + seconds
            self._wake.set()

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _open_incident(self, name: str) -> Incident | None:
        return next((one for one in self._keeping.open_incidents if one.service == name), None)

    async def _consider(self, name: str) -> None:
        """Think about one service whose incident is open, and do what comes of it."""
        thought, incident, run = self._thoughts.get(name), self._open_incident(name), self._runs.get(name)
        if run is not None and run.state in (RunState.RUNNING, RunState.PROVING):
            await self._go_on(run.id, name)
            return
        try:
            service, state = self._keeping.fleet.service(name), self._keeping.service_view(name).state
        except KeyError:
            incident = None
        if thought is None or incident is None:
            self._thoughts.pop(name, None)
            return
        pace = pace_s(service)
        if state in WELL or service.repair == "off" or self._switch.is_stopped or incident.parent is not None:
            # Nothing is asked of anybody about what is well, or may not be touched.
            thought.decision, thought.refused = None, "all repairs are stopped" if self._switch.is_stopped else None
            self._later(name, pace)
            return
        seen = await self._look_again(name, pace)
        if self._keeping.service_view(name).state in WELL:
            self._later(name, pace / 4)
            return
        case = await self._case(service, asked=False, seen=seen)
        if case is None:
            self._later(name, pace)
            return
        decision = decide(case, self._books)
        thought.decided(decision)
        if run is not None and run.state is RunState.ASKED and not is_same(run, decision):
            await self._drop(
                run, "another remedy is the right one now" if isinstance(decision, Act) else "it is not needed"
            )
        match decision:
            case Wait():
                self._later(name, max(0.2, decision.for_s))
                await self._until_deployed(case)
            case AskHuman():
                await self._call(service, incident, decision)
                self._later(name, min(LONGEST_PAUSE_PACES, 1.0 + thought.unchanged) * pace)
            case Act():
                await self._act(service, case, decision, thought, incident)

    async def _act(self, service: Service, case: Case, plan: Act, thought: Thought, incident: Incident) -> None:
        name = service.name
        known = self._runs.get(name)
        if known is not None and known.state is RunState.ASKED:
            self._later(name, case.pace_s)  # it waits for a yes
            return
        verdict = await self._judged(service, case, plan, yes=False)
        match verdict:
            case Later():
                thought.refused = verdict.why
                self._later(name, max(0.2, min(verdict.for_s, 15 * case.pace_s)))
                await self._until_deployed(case)
            case No():
                thought.refused = verdict.why
                if verdict.needs_person:
                    await self._call(
                        service, incident, AskHuman(cause=plan.cause, reason=verdict.why, next=plan.why, plan=plan)
                    )
                self._later(name, 3 * case.pace_s)
            case Go():
                run = self._run_of(case, plan, "keeper", RunState.ASKED if verdict.needs_yes else RunState.RUNNING)
                notices = (notice_of_ask(service.title, run, self._link(name)),) if verdict.needs_yes else ()
                if not await self._steps.propose(run, self._outgoing(notices)):
                    self._later(name, case.pace_s)
                    return
                self._know(run)
                if verdict.needs_yes:
                    self._noticed()
                    words = f"{service.title}: {title_of(run)} would mend it and waits for a yes"
                    self._say(Level.WARNING, words, name)
                    self._later(name, case.pace_s)
                else:
                    self._say(Level.WARNING, f"{service.title}: {title_of(run)} begins. {plan.why}", name)
                    await self._go_on(run.id, name)

    async def _look_again(self, name: str, pace: float) -> Observation | None:
        """The last look may be as old as its interval: nothing is decided about a service that came back meanwhile.

        What was looked at a moment ago is not asked again, nor is what wakes: one patient look at it is under way.
        """
        last = next(iter(self._keeping.seen(name)), None)
        age_s = float("inf") if last is None else (self._clock.now() - last.at).total_seconds() - last.took_s
        if age_s < pace / 4 or self._keeping.service_view(name).state is State.WAKING:
            return last
        with suppress(TimeoutError):
            async with asyncio.timeout(max(1.0, pace)):
                return await self._keeping.look(name)
        return None

    async def _until_deployed(self, case: Case) -> None:
        """While a deploy is under way nothing may be done: its end is heard of soon, not when a pause is over."""
        newest = case.newest
        if newest is None or not newest.is_running or "deploys" not in case.verbs or case.host is None:
            return
        platform = await self._platform(case.service)
        if platform is None:
            return
        # `follow` looks ever more rarely; here a second late is a second longer down. 2 s are 30 of the 400 calls a minute.
        step_s, until_s = min(2.0, case.pace_s / 5), self._clock.monotonic() + FOLLOW_S
        with suppress(EverwakeError):
            while self._clock.monotonic() < until_s:
                await self._clock.sleep(step_s)
                last = next(iter(await platform.deploys(case.host.id, 1)), None)
                if last is None or not last.is_running:
                    break
        self._later(case.service, 0.0)

    async def _case(self, service: Service, *, asked: bool, seen: Observation | None = None) -> Case | None:
        """What is known of it, asked for anew. seen: the newest look."""
        name = service.name
        diagnosis = await self._ask_why(name)
        if diagnosis is None:
            return None
        now, incident = self._clock.now(), self._open_incident(name)
        told = self._told.get(name, Told(problem="it was not asked"))
        runs = await self._steps.since(now - PAST if incident is None else min(incident.opened_at, now - PAST), name)
        thought, now_s = self._thoughts.get(name), self._clock.monotonic()
        is_told = told.service is not None
        named_s = thought.named_s(diagnosis, is_told=is_told, now_s=now_s) if thought is not None else float("inf")
        fleet = self._keeping.fleet
        down = []
        for other in service.depends_on:
            with suppress(KeyError):
                if self._keeping.service_view(other).state not in WELL:
                    down.append(other)
        return case_of(
            service, self._keeping.service_view(name).state, diagnosis, told, await self._platform(name), incident, runs, down,
            now, asked=asked, named_s=named_s, seen=seen,
        ) if any(one.name == name for one in fleet.services) else None  # fmt: skip

    async def _judged(self, service: Service, case: Case, plan: Act, *, yes: bool) -> Go | Later | No:
        self._switch = await self._steps.switch()
        asked = Asked(
            service=service.name, plan=plan, at=case.at, state=case.state, repair=service.repair, incident=case.incident,
            switch=self._switch, own_trouble=self._keeping.trouble, deploys=case.deploys, pace_s=case.pace_s, yes=yes,
        )  # fmt: skip
        return judge(asked, await self._steps.since(case.at - PAST), self._limits)

    def _run_of(self, case: Case, plan: Act, by: str, state: RunState) -> RemedyRun:
        live = live_deploy(case)
        return RemedyRun(
            id=f"rem-{case.at:%Y%m%d%H%M%S}-{case.service}-{secrets.token_hex(3)}", service=case.service,
            incident=case.incident.id if case.incident else "", playbook=plan.playbook, cause=plan.cause, asked_at=case.at,
            steps=plan.steps, about=plan.about, why=plan.why, costs=plan.costs, proved_by=plan.proved_by, by=by, state=state,
            target=case.host.id if case.host else "", before=case.state, back_to=live.id if live else "", deploys=plan.deploys,
            began_at=case.at if state is RunState.RUNNING else None,
        )  # fmt: skip

    async def _call(self, service: Service, incident: Incident, ask: AskHuman) -> None:
        """A person is told, once for each cause."""
        notice = notice_of_person(
            service.name, service.title, incident.id, ask, self._link(service.name), self._clock.now()
        )
        thought = self._thoughts.get(service.name)
        if thought is not None and thought.unchanged == 0:
            self._say(
                Level.WARNING,
                f"{service.title} needs a person: {ask.cause}. {ask.next or ask.reason}"[:400],
                service.name,
            )
        await self._steps.told(self._outgoing((notice,)))
        self._noticed()

    async def _forget(self, incident: str) -> None:
        await self._undo.forget(incident)

    async def _drop(self, run: RemedyRun, why: str) -> None:
        now = self._clock.now()
        if await self._steps.advance(run.id, self._holder, RunState.DROPPED, now, why):
            self._know(replace(run, state=RunState.DROPPED, outcome=why, ended_at=now))

    # --- doing --------------------------------------------------------------------------------------------------------

    async def _go_on(self, id: str, name: str) -> None:
        """Carry out what is left of a remedy, then prove it; at the end the service is thought about anew."""
        run = await self._executor.carry_out(id)
        if run is None:
            # Somebody else is at it; when that one dies, its lease ends.
            known = await self._steps.run(id)
            if known is not None:
                self._know(known)
            self._later(name, AGAIN_S)
            if known is not None and known.state.is_open and name not in self._thoughts:
                self._thoughts[name] = Thought(due_s=self._clock.monotonic() + AGAIN_S)
            return
        self._know(run)
        if run.state is RunState.PROVING:
            run = await self._executor.holding(id, self._prove) or run
        elif not run.state.is_open:
            self._say_end(self._title(run.service), run)
            self._noticed()
        self._know(run)
        self._later(name, 0.0)

    async def _prove(self, run: RemedyRun) -> RemedyRun:
        try:
            service = self._keeping.fleet.service(run.service)
        except KeyError:
            return await self._executor.end(run, RunState.DROPPED, "its service left the fleet")
        proof = await self._prover.prove(
            run.service, run.cause, (run.cause,), pace_s(service), lambda: self._still_degraded(run)
        )
        state = RunState.PROVED if proof.is_proved else RunState.UNPROVED
        outcome = "" if proof.is_proved else "; ".join(one.said for one in proof.criteria if not one.met)
        self._keeping.proved(run.service, proof)
        link, now = self._link(run.service), self._clock.now()
        notice = notice_of_end(service.title, run, state, outcome, proof, link, now)
        ended = await self._executor.end(run, state, outcome, proof, self._outgoing((notice,)))
        self._noticed()
        self._say_end(service.title, ended)
        return ended

    def _still_degraded(self, run: RemedyRun) -> str:
        """Of what answered all the while: that it answers proves nothing."""
        with suppress(KeyError):
            if run.before is State.DEGRADED and self._keeping.service_view(run.service).state is State.DEGRADED:
                return "it is still degraded"
        return ""

    def _failing(self, run: RemedyRun, outcome: str) -> Sequence[Notice]:
        title, link = self._title(run.service), self._link(run.service)
        return self._outgoing((notice_of_end(title, run, RunState.FAILED, outcome, None, link, self._clock.now()),))

    def _say_end(self, title: str, run: RemedyRun) -> None:
        words = {RunState.PROVED: "it is well again, and proved", RunState.UNPROVED: "it is not shown to be well"}
        said = words.get(run.state, run.state.value)
        why = f": {run.outcome}" if run.outcome else ""
        self._say(_LEVELS.get(run.state, Level.ERROR), f"{title}: {title_of(run)}: {said}{why}"[:400], run.service)

    def _title(self, name: str) -> str:
        try:
            return self._keeping.fleet.service(name).title
        except KeyError:
            return name

    def _know(self, run: RemedyRun) -> None:
        self._runs[run.service] = run
        self._changed(run)

    def _stepped(self, run: RemedyRun) -> None:
        """A step began or ended: the incident's story and the log tell it."""
        self._know(run)
        last = next((one for one in reversed(run.steps) if one.state is not StepState.PLANNED), None)
        if last is None or run.state is not RunState.RUNNING:
            return
        level = Level.ERROR if last.state is StepState.FAILED else Level.INFO
        self._say(level, step_line(self._title(run.service), run, last)[:400], run.service)
        self._tell_actions(run)

    def _tell_actions(self, run: RemedyRun) -> None:
        """What was done and is not in the incident yet; also what the keeper before us did not come to tell."""
        incident = self._open_incident(run.service)
        if incident is None:
            return
        known = {(one.remedy, one.step, one.at) for one in incident.actions}
        for one in run.steps:
            if one.ended_at is not None and (run.playbook, one.says, one.ended_at) not in known:
                action = Action(
                    at=one.ended_at, remedy=run.playbook, step=one.says, by=run.by, outcome=one.said or one.state.value
                )
                self._keeping.acted(run.service, action)

    # --- what the steps reach for -------------------------------------------------------------------------------------

    async def _platform(self, name: str) -> Platform | None:
        try:
            return await self._doors.of(self._keeping.fleet.service(name))
        except KeyError:
            return None

    async def _mend(self, name: str, keys: Sequence[str], variables: Mapping[str, str]) -> Mended:
        fleet = self._keeping.fleet
        return await asyncio.to_thread(mended, fleet.service(name), keys, variables, fleet)
