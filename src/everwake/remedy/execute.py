"""Carries out the steps of a remedy: intent first, then the thing itself, then what came of it.

Killed anywhere, whoever holds the lease next goes on where it was. No step with an outside effect is done twice:

- a deploy and a rollback go by an intention, and the platform's adapter finds the deploy that was made for it;
- variables are read, mended as the doctor says now, and written only where that differs from what stands there; what stood
  there is kept first (`ports.Undo`), for taking it back;
- a restart is looked for among the platform's events before it is asked for again; what nobody tells is not repeated;
- a service that is not suspended any more is not resumed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from everwake.errors import EverwakeError, Finding, OutOfReach
from everwake.model import DeployRecord, Observation, Proof, RemedyRun, RemedyStep, RunState, StepState
from everwake.ports import Clock, Notice, Platform, Steps, Undo, Written
from everwake.remedy.steps import Do
from everwake.remedy.undo import InProcess

__all__ = ["LEASE_S", "Executor", "Mended", "Surroundings"]

log = logging.getLogger(__name__)

LEASE_S = 30.0
RENEW_S = 10.0
# A build, and the 15 min that a platform waits for the new instance.
RUN_S = 5_400.0
AGAIN_S = (1.0, 2.0, 4.0, 8.0, 15.0)
# How long what was asked for by somebody who died a moment ago may still be on its way: to the platform, and into its lists.
IN_FLIGHT_S = 5.0
LOOK_AGAIN_S = 0.25
# Times of the platform's clock are told from ours to a second or two.
CLOCKS_S = 2.0
TRIES = 30
FOLLOWED_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What variables should be. values: new ones, only of what is wrong now.   stuck: wrong, and only a person knows better."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    stuck: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the steps reach for. platform: of a service, None where there is no way to it.   intention: (id, time) -> its words.

    mend: (service, keys, variables as they are) -> what they should be.   look: one look, however long it may take.
    started: what the log says of the start that a deploy brought; "" where it says nothing. Raises nothing.
    """

    platform: Callable[[str], Awaitable[Platform | None]]
    mend: Callable[[str, Sequence[str], Mapping[str, str]], Awaitable[Mended]]
    look: Callable[[str], Awaitable[Observation]]
    intention: Callable[[str, datetime], str]
    started: Callable[[Platform, str, DeployRecord], Awaitable[str]]


class _Lost(Exception):  # noqa: N818 - somebody else has it now
    """The lease is gone."""


class _NotNow(Finding):
    """A step cannot be done at this moment; nothing is wrong with the remedy."""


class Executor:
    """Does the steps for one holder. undo: keeps what variables were before they were written; None: this process alone does.

    seen: told of a run each time something of it changed; must return at once.   failing: what people are told of one that fails
    with that outcome; it is stored with the end itself.
    """

    def __init__(
        self,
        steps: Steps,
        clock: Clock,
        holder: str,
        around: Surroundings,
        *,
        undo: Undo | None = None,
        seen: Callable[[RemedyRun], None] = lambda run: None,
        failing: Callable[[RemedyRun, str], Iterable[Notice]] = lambda run, outcome: (),
    ) -> None:
        self._steps, self._clock, self._holder, self._around, self._seen = steps, clock, holder, around, seen
        self._failing = failing
        self._undo = undo or InProcess()

    async def carry_out(self, id: str) -> RemedyRun | None:
        """Do what is left of a remedy that runs; as it is then: `PROVING`, `FAILED` or `DROPPED`. None: somebody else has it.

        Raises:
            OutOfReach: the history cannot be written; nothing is done without it.
        """
        return await self.holding(id, self._work)

    async def holding(self, id: str, work: Callable[[RemedyRun], Coroutine[Any, Any, RemedyRun]]) -> RemedyRun | None:
        """Do something with a remedy while its lease is held and renewed; None: it is not to be had, or was lost.

        Raises:
            OutOfReach: the history cannot be used.
        """
        run = await self._steps.claim(id, self._holder, self._clock.now(), LEASE_S)
        if run is None:
            return None
        working = asyncio.create_task(work(run))
        renewing = asyncio.create_task(self._renew(id))
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                log.warning("remedy.lease_lost", extra={"run": id})
                return None
            return await working
        except _Lost:
            return None
        finally:
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)

    async def _renew(self, id: str) -> None:
        """Until the lease is gone."""
        left_s = LEASE_S
        while left_s > RENEW_S:
            await self._clock.sleep(RENEW_S)
            try:
                if await self._steps.claim(id, self._holder, self._clock.now(), LEASE_S) is None:
                    return
                left_s = LEASE_S
            except OutOfReach:
                left_s -= RENEW_S

    async def _work(self, run: RemedyRun) -> RemedyRun:
        if run.state is not RunState.RUNNING:
            return run
        began_s = self._clock.monotonic()
        for n in range(len(run.steps)):
            if run.steps[n].state is StepState.DONE:
                continue
            if run.steps[n].state is StepState.FAILED:
                return await self._cut_short(run, RunState.FAILED, run.steps[n].said)
            is_again = run.steps[n].state is StepState.INTENDED
            switch = await self._steps.switch()
            if switch.is_stopped and not is_again:
                return await self.end(run, RunState.DROPPED, f"all repairs were stopped by {switch.by or 'somebody'}")
            now = self._clock.now()
            if not await self._steps.intend(run.id, n, self._holder, now):
                raise _Lost
            if not is_again:
                run = _with(run, n, replace(run.steps[n], state=StepState.INTENDED, at=now))
                self._seen(run)
            failed = RunState.FAILED
            try:
                said, state = await self._insist(run, n, is_again, began_s), StepState.DONE
            except EverwakeError as refusal:
                said, state = refusal.message, StepState.FAILED
                failed = RunState.DROPPED if isinstance(refusal, _NotNow) else failed
            now = self._clock.now()
            if not await self._steps.mark(run.id, n, self._holder, state, said, now):
                raise _Lost
            run = _with(run, n, replace(run.steps[n], state=state, said=said, ended_at=now))
            self._seen(run)
            if state is StepState.FAILED:
                return await self._cut_short(run, failed, said)
        return await self.end(run, RunState.PROVING, "")

    async def _cut_short(self, run: RemedyRun, state: RunState, outcome: str) -> RemedyRun:
        """What is told of a failure goes with it, so that a kill cannot come between the two."""
        notices = self._failing(run, outcome) if state is RunState.FAILED else ()
        return await self.end(run, state, outcome, notices=notices)

    async def end(
        self, run: RemedyRun, state: RunState, outcome: str, proof: Proof | None = None, notices: Iterable[Notice] = ()
    ) -> RemedyRun:
        """It goes on to another state, or ends; only while it is held."""
        now = self._clock.now()
        if not await self._steps.advance(run.id, self._holder, state, now, outcome, proof, notices):
            raise _Lost
        ended_at = None if state.is_open else now
        run = replace(run, state=state, outcome=outcome, proof=proof or run.proof, ended_at=ended_at)
        self._seen(run)
        return run

    async def _insist(self, run: RemedyRun, n: int, is_again: bool, began_s: float) -> str:
        """A platform that does not answer is asked again, with the same intention, for as long as a remedy may take."""
        for tried in range(TRIES):
            try:
                return await self._do(run, n, is_again or tried > 0)
            except OutOfReach as silence:
                spent_s = self._clock.monotonic() - began_s
                if tried == TRIES - 1 or spent_s > RUN_S:
                    raise _NotNow(f"its platform was out of reach: {silence.message}") from None
                await self._clock.sleep(AGAIN_S[min(tried, len(AGAIN_S) - 1)])
        raise AssertionError("the last try returns or raises")

    # --- the steps ----------------------------------------------------------------------------------------------------

    async def _do(self, run: RemedyRun, n: int, is_again: bool) -> str:
        """One step; what came of it, in words. Raises EverwakeError."""
        one = run.steps[n]
        try:
            do = Do(one.do)
        except ValueError:
            raise Finding(f"this version of Everwake knows no step {one.do[:40]!r}; a person has to go on") from None
        if do is Do.WAKE:
            seen = await self._around.look(run.service)
            return "it answers" if seen.failure is None else f"it does not answer yet: {seen.failure.kind.value}"
        platform = await self._around.platform(run.service)
        if platform is None:
            raise Finding("there is no way to its platform")
        match do:
            case Do.WRITE_VARIABLES:
                return await self._write(platform, run, one, is_again)
            case Do.PUT_BACK_VARIABLES:
                return await self._put_back(platform, run, one)
            case Do.DEPLOY | Do.DEPLOY_CLEAR_CACHE | Do.ROLLBACK:
                return await self._deploy(platform, run, n, do, is_again)
            case Do.FOLLOW:
                return await self._follow(platform, run, n)
            case Do.RESTART:
                return await self._restart(platform, run, one, is_again)
            case Do.RESUME:
                found = await platform.service(run.target)
                if not found.is_suspended:
                    return "it is not suspended any more"
                await platform.resume(run.target)
                return "resumed"

    async def _write(self, platform: Platform, run: RemedyRun, one: RemedyStep, is_again: bool) -> str:
        if not is_again:
            await self._alone(platform, run, one.at or run.steps[0].at or run.asked_at)
        keys = one.args.get("keys", "").split()
        now = await platform.variables(run.target)
        wanted = await self._around.mend(run.service, keys, now)
        if wanted.stuck:
            raise Finding(f"{', '.join(wanted.stuck)}: there is not one safe answer any more")
        values = {key: value for key, value in wanted.values.items() if key in keys and now.get(key) != value}
        if not values:
            return f"{', '.join(keys)}: right already"
        before = {key: now.get(key) for key in values}
        await self._undo.keep(run.id, run.service, Written(before=before, wrote=values))
        await platform.set_variables(run.target, values)
        return f"wrote {', '.join(values)}"

    async def _put_back(self, platform: Platform, run: RemedyRun, one: RemedyStep) -> str:
        known = await self._undo.recall(one.args.get("run", ""), run.service)
        if known is None:
            return "what they were before is not remembered any more"
        now = await platform.variables(run.target)
        # What somebody has changed since is not ours to undo.
        changed = [key for key, value in known.before.items() if now.get(key) not in (value, known.wrote[key])]
        values = {key: value for key, value in known.before.items() if key not in changed and now.get(key) != value}
        if values:
            await platform.set_variables(run.target, values)
        said = [f"put back {', '.join(values)}"] if values else []
        if changed:
            said.append(f"{', '.join(changed)}: changed by somebody since, and left so")
        if not known.is_whole:
            said.append("what they were before cannot be read any more: the platform key has changed")
        return "; ".join(said) or "they are as they were"

    async def _deploy(self, platform: Platform, run: RemedyRun, n: int, do: Do, is_again: bool) -> str:
        made_at = run.steps[0].at or run.asked_at
        if not is_again:
            await self._alone(platform, run, made_at)
        else:
            since = made_at - timedelta(seconds=CLOCKS_S)

            async def is_listed() -> bool:
                newest = next(iter(await platform.deploys(run.target, 1)), None)
                return newest is not None and newest.created_at is not None and newest.created_at >= since

            await self._until_seen(is_listed)
        words = self._around.intention(f"{run.id}.{n}", made_at)
        if do is Do.ROLLBACK:
            made = await platform.rollback(run.target, run.steps[n].args.get("deploy", ""), intention=words)
        else:
            clear = do is Do.DEPLOY_CLEAR_CACHE
            made = await platform.deploy(run.target, intention=words, clear_cache=clear)
        return made.id

    async def _alone(self, platform: Platform, run: RemedyRun, made_at: datetime) -> None:
        """Nobody else deploys it now. What our own write of a variable has triggered is ours. Raises _NotNow."""
        other = next((each for each in await platform.deploys(run.target, 5) if each.is_running), None)
        if other is not None and (other.created_at is None or other.created_at < made_at):
            raise _NotNow(f"the deploy {other.id} is under way, and it is not ours")

    async def _follow(self, platform: Platform, run: RemedyRun, n: int) -> str:
        wanted, began_s = (run.steps[n - 1].said if n else ""), self._clock.monotonic()
        for _ in range(FOLLOWED_MOST):
            last: DeployRecord | None = None
            async for each in platform.follow(run.target, wanted):
                last = each
            if last is None or last.is_running:
                raise OutOfReach(f"{wanted} is still under way")
            if last.status == "canceled":
                newest = next(iter(await platform.deploys(run.target, 1)), last)
                if newest.id != wanted:
                    wanted = newest.id  # a newer one has taken over: it is that one's outcome that counts
                    continue
            if last.has_failed:
                raise Finding(f"{last.id} {last.status.replace('_', ' ')}")
            took_s = self._clock.monotonic() - began_s
            line = await self._around.started(platform, run.target, last)
            return f"{last.id} is {last.status} after {took_s:.0f} s{f'; its log: {line}' if line else ''}"
        raise Finding("one deploy after the other was canceled by a newer one")

    async def _restart(self, platform: Platform, run: RemedyRun, one: RemedyStep, is_again: bool) -> str:
        if is_again:
            # Asked for and then killed, or cut off: only the platform knows whether it was heard.
            if "events" not in platform.verbs:
                return "it was asked to restart; whether it did is not told"
            since = (one.at or run.asked_at) - timedelta(seconds=CLOCKS_S)

            async def is_told() -> bool:
                found = await platform.events(run.target, since, 50)
                return any(each.type == "server_restarted" for each in found)

            if await self._until_seen(is_told):
                return "restarted"
        await platform.restart(run.target)
        return "restarted"

    async def _until_seen(self, is_there: Callable[[], Awaitable[bool]]) -> bool:
        """Whether what may have been asked for shows at the platform; only where nothing does, all of the time is waited."""
        until_s = self._clock.monotonic() + IN_FLIGHT_S
        while not await is_there():
            if self._clock.monotonic() >= until_s:
                return False
            await self._clock.sleep(LOOK_AGAIN_S)
        return True


def _with(run: RemedyRun, n: int, step: RemedyStep) -> RemedyRun:
    return replace(run, steps=(*run.steps[:n], step, *run.steps[n + 1 :]))
