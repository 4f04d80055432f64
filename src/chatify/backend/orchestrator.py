"""Sees to it that every accepted message is settled: in order within a session, sessions side by side, exactly once.

The outbox remembers, `decide` and `gate` decide; here is only the shell that calls, stores and tells. Several backends may
share an outbox: a claim keeps them apart, the chatbot's `Idempotency-Key` makes a call that is repeated harmless.
"""

import asyncio
import importlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from chatify.backend import decide as decisions
from chatify.backend.answers import Answered, Created, NotThere, Refused, Reply
from chatify.backend.chatbot import Chatbot
from chatify.backend.gate import Standing
from chatify.backend.hub import Event, Hub
from chatify.backend.outbox import (
    Acceptance,
    Accepted,
    ChatSession,
    Claim,
    ClaimLost,
    Made,
    Message,
    Outbox,
    OutboxUnavailable,
)
from chatify.backend.waker import Waker, happens

__all__ = ["Orchestrator", "Pace", "made_of", "moment", "outcome_event"]

log = logging.getLogger(__name__)

HISTORY_BUDGET_BYTES = 56_000  # within the chatbot's default BODY_LIMIT
HISTORY_TURNS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast and how much. Seconds, except the counts.

    lease_s: a backend that was killed keeps its messages from others for as long; renewed at a third of it.
    waking_after_s: a look unanswered for so long is told to users as "waking".   poll_s: how often the outbox is looked at
    for what other processes put there.   retention_s: life of a quiet session.
    """

    most: int = 200
    waiting_limit: int = 100
    lease_s: float = 6.0
    waking_after_s: float = 1.5
    poll_s: float = 2.0
    tidy_s: float = 60.0
    retention_s: float = 7 * 86_400.0


class _Lost(Exception):  # noqa: N818
    """The claim went to somebody else."""


class Orchestrator:
    """`run` does the work until cancelled; `stop` comes before that."""

    def __init__(
        self,
        outbox: Outbox,
        chatbot: Chatbot,
        hub: Hub,
        pace: Pace,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._chatbot = chatbot
        self._hub = hub
        self._pace = pace
        self._clock = clock
        self._monotonic = monotonic
        self.waker = Waker(
            chatbot, outbox, most=pace.most, waking_after_s=pace.waking_after_s, on_news=self._news,
            lease=f"wake-{chatbot.place}", clock=clock, monotonic=monotonic,
        )  # fmt: skip
        self._group: asyncio.TaskGroup | None = None
        self._active: dict[tuple[str, int], tuple[Claim, asyncio.Task[None]]] = {}
        self._is_stopping = False
        self._is_starved = False
        self._more = asyncio.Event()
        self._is_ready = asyncio.Event()

    # --- what the API asks ------------------------------------------------------------------------------------------

    async def ready(self, within_s: float) -> bool:
        """Wait until the outbox was opened."""
        return self._is_ready.is_set() or await happens(self._is_ready, within_s)

    async def accept(self, session_id: str, message_id: str, text: str) -> Acceptance:
        """Keep a message; work on it begins at once if it can."""
        has_room = (
            self.waker.knock()
            and self._group is not None
            and not self._is_stopping
            and len(self._active) < self.waker.room
        )
        lease_s = self._pace.lease_s if has_room else None
        accepted = await self._outbox.accept(
            session_id, message_id, text, now=self._clock(), lease_s=lease_s, waiting_limit=self._pace.waiting_limit
        )
        if isinstance(accepted, Accepted) and accepted.is_new:
            self._hub.tell(session_id, {"type": "queued", "message_id": message_id})
            if self.waker.standing is Standing.WAKING:
                self._hub.tell(session_id, self._waking(message_id))
            if accepted.claim is not None:
                self._start(accepted.claim)
            elif lease_s is None:
                self._more.set()
        return accepted

    async def make(self, user_id: str, personality_id: str | None, within_s: float) -> Created | Refused | NotThere:
        """Have the chatbot make a session now, if it is awake."""
        if not await self.waker.is_awake(within_s):
            return NotThere(why="asleep")
        began_at = self._monotonic()
        made = await self._chatbot.create(user_id, personality_id, (), within_s=within_s)
        self.waker.report(made, began_at)
        if isinstance(made, Created):
            log.info("[AI_ORCHESTRATOR] AI session created for user %s", user_id[:64])
        return made

    # --- the loops --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        # In a thread: 0.1 s of importing would hold up whoever is served meanwhile.
        await asyncio.to_thread(importlib.import_module, "aiohttp")
        await self._open()
        async with asyncio.TaskGroup() as group:
            self._group = group
            for step in (self._dispatch, self._renew, self.waker.look, self._tidy):
                group.create_task(self._for_ever(step))

    async def stop(self, grace_s: float) -> None:
        """Take nothing new; what is under way may finish, the rest is handed back."""
        self._is_stopping = True
        tasks = [task for _, task in self._active.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        left = list(self._active.values())
        for _, task in left:
            task.cancel()
        if left:
            await asyncio.wait([task for _, task in left])
        try:
            for claim, _ in left:
                await self._outbox.release(claim, due_at=self._clock(), tries=claim.message.tries)
        except OutboxUnavailable:
            log.warning("[AI_ORCHESTRATOR] claims left to run out")

    async def _open(self) -> None:
        for misses in range(1, 2**30):
            try:
                await self._outbox.open()
                break
            except OutboxUnavailable as failure:
                log.warning("[AI_ORCHESTRATOR] outbox not available: %s", failure.reason)
                await asyncio.sleep(decisions.backoff_s(min(misses, 4), random.random()))
        self._is_ready.set()

    async def _for_ever(self, step: Callable[[], Awaitable[None]]) -> None:
        """A loop's outermost frame: nothing ends it."""
        while True:
            try:
                await step()
            except _Lost:
                pass  # another backend was quicker
            except OutboxUnavailable as failure:
                log.warning("[AI_ORCHESTRATOR] outbox not available: %s", failure.reason)
                await asyncio.sleep(0.5 + random.random())
            except Exception:
                log.exception("[AI_ORCHESTRATOR] unexpected")
                await asyncio.sleep(0.5 + random.random())

    async def _dispatch(self) -> None:
        """Claim what is due, as far as there is room."""
        self._more.clear()
        now, wait_s = self._clock(), self._pace.poll_s
        room = self.waker.room - len(self._active)
        if self._is_stopping:
            pass
        elif not self.waker.is_open():
            due_at = await self._outbox.next_due()
            if due_at is not None and due_at <= now:
                self.waker.knock()
        elif room <= 0:
            self._is_starved = True
        else:
            limit = min(room, 64)
            claims = await self._outbox.claim(now=now, lease_s=self._pace.lease_s, limit=limit)
            for claim in claims:
                self._start(claim)
            self._is_starved = len(claims) == limit
            if self._is_starved:
                return
            due_at = await self._outbox.next_due()
            if due_at is not None:
                wait_s = min(wait_s, max(due_at - self._clock(), 0.01))
        await happens(self._more, wait_s)

    async def _renew(self) -> None:
        """Hold every claim that is worked on."""
        await asyncio.sleep(self._pace.lease_s / 3)
        held = [claim for claim, _ in self._active.values()]
        for first in range(0, len(held), 64):
            # What was lost is told to its worker by the next thing it wants to write.
            await self._outbox.renew(held[first : first + 64], now=self._clock(), lease_s=self._pace.lease_s)

    async def _tidy(self) -> None:
        """Give up on what waited too long, forget what was quiet for long."""
        now = self._clock()
        before = now - decisions.GIVE_UP_AFTER_S
        while claims := await self._outbox.claim(now=now, lease_s=30.0, limit=50, accepted_before=before):
            for claim in claims:
                await self._settle(claim, "failed", {"problem": decisions.gave_up().problem}, keep=False)
        while await self._outbox.purge(quiet_since=now - self._pace.retention_s, limit=500) == 500:
            pass
        await asyncio.sleep(self._pace.tidy_s)

    # --- one session's messages -------------------------------------------------------------------------------------

    def _start(self, claim: Claim) -> None:
        assert self._group is not None
        task = self._group.create_task(self._work(claim))
        self._active[claim.session.id, claim.attempt] = claim, task

    async def _work(self, claim: Claim) -> None:
        """A worker's outermost frame. What it leaves behind is due again when the lease runs out."""
        try:
            await self._serve(claim)
        except _Lost:
            log.info("[AI_ORCHESTRATOR] claim went to another backend")
        except OutboxUnavailable as failure:
            log.warning("[AI_ORCHESTRATOR] outbox not available: %s", failure.reason)
        except Exception:
            log.exception("[AI_ORCHESTRATOR] unexpected")
        finally:
            self._active.pop((claim.session.id, claim.attempt), None)
            if self._is_starved:
                self._more.set()

    async def _serve(self, claim: Claim) -> None:
        session_id, tries = claim.session.id, claim.message.tries
        while True:
            if self._is_stopping or not self.waker.is_open():
                self.waker.knock()
                _kept(await self._outbox.release(claim, due_at=self._clock(), tries=tries))
                return
            began_at = self._monotonic()
            claim, outcome = await self._ask(claim)
            self.waker.report(outcome, began_at)
            now = self._clock()
            decision = decisions.decide(
                outcome, tries=tries, age_s=now - claim.message.created_at, now=now, dice=random.random()
            )
            following: Message | None = None
            match decision:
                case decisions.Store(answer):
                    log.info("[AI_ORCHESTRATOR] AI response received", extra={"session": session_id[:8]})
                    following = await self._settle(claim, "answered", _told(answer))
                case decisions.Fail(problem):
                    log.warning("[AI_ORCHESTRATOR] message failed: %s", problem.get("code"))
                    following = await self._settle(claim, "failed", {"problem": problem})
                case decisions.NewSession(tries):
                    log.warning("[AI_ORCHESTRATOR] the chatbot lost a session; making it anew")
                    claim = replace(claim, session=replace(claim.session, made=None))
                    continue
                case decisions.TryAt(at, tries) | decisions.Wake(at, tries):
                    _kept(await self._outbox.release(claim, due_at=at, tries=tries))
                    self._hub.tell(session_id, {"type": "queued", "message_id": claim.message.id})
                    if self.waker.standing is Standing.WAKING:
                        self._hub.tell(session_id, self._waking(claim.message.id))
                    self._more.set()
                    return
            if following is None:
                return
            claim, tries = claim.on(following), following.tries
            self._active[session_id, claim.attempt] = claim, self._active[session_id, claim.attempt][1]

    async def _ask(self, claim: Claim) -> tuple[Claim, Reply]:
        """One call for the claim's message; makes the chatbot's session first where there is none."""
        session = claim.session
        if session.made is None:
            history = await self._history(session)
            created = await self._chatbot.create(session.user_id, session.personality_id, history)
            if not isinstance(created, Created):
                return claim, created
            made = made_of(created)
            session = replace(session, made=made)
            claim = replace(claim, session=session)
            _kept(await self._outbox.bind(claim, made))
            log.info("[AI_ORCHESTRATOR] AI session created for user %s", session.user_id[:64])
        assert session.made is not None
        on_delta = None
        if await self._hub.is_heard(session.id):
            message_id = claim.message.id

            def on_delta(text: str) -> None:
                self._hub.tell(session.id, {"type": "delta", "message_id": message_id, "text": text})

        outcome = await self._chatbot.say(
            session.made.session_id, claim.message.id, claim.message.text, on_delta=on_delta
        )
        if not isinstance(outcome, NotThere):
            log.info("[AI_ORCHESTRATOR] Message sent to AI successfully", extra={"session": session.id[:8]})
        return claim, outcome

    async def _history(self, session: ChatSession) -> list[dict[str, str]]:
        turns: deque[tuple[str, str]] = deque(maxlen=HISTORY_TURNS)
        after = 0
        while after < session.settled:
            page = await self._outbox.messages(session.id, after=after, limit=100)
            if not page:
                break
            after = page[-1].number
            turns.extend((m.text, m.outcome["response"]) for m in page if m.status == "answered" and m.outcome)
        return decisions.history(tuple(turns), HISTORY_BUDGET_BYTES)

    async def _settle(
        self, claim: Claim, status: Literal["answered", "failed"], outcome: dict[str, Any], *, keep: bool = True
    ) -> Message | None:
        """Store and tell. keep: go on with the next message; else hand the claim back."""
        following = await self._outbox.settle(claim, status, outcome, now=self._clock(), lease_s=self._pace.lease_s)
        if isinstance(following, ClaimLost):
            raise _Lost
        self._hub.tell(claim.session.id, outcome_event(claim.message.id, claim.message.number, status, outcome))
        if following is not None and not keep:
            await self._outbox.release(claim.on(following), due_at=self._clock(), tries=following.tries)
            return None
        return following

    # --- words ------------------------------------------------------------------------------------------------------

    def _waking(self, message_id: str | None = None) -> Event:
        event = {"type": "waking", "since": moment(self.waker.since)}
        return event if message_id is None else {**event, "message_id": message_id}

    def _news(self, standing: Standing) -> None:
        self._hub.tell_all({"type": "awake"} if standing is Standing.AWAKE else self._waking())
        self._more.set()


def made_of(created: Created) -> Made:
    """What is kept of a session the chatbot made."""
    return Made(
        session_id=created.session_id, response_limit=created.response_limit, opening=created.opening,
        expires_at=created.expires_at,
    )  # fmt: skip


def outcome_event(message_id: str, number: int, status: str, outcome: dict[str, Any]) -> Event:
    """What a page is told when a message is settled."""
    return {
        "type": "reply" if status == "answered" else "failed",
        "message_id": message_id,
        "number": number,
        **outcome,
    }


def moment(at: float) -> str:
    """Unix seconds as RFC 3339 UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(answer: Answered) -> dict[str, Any]:
    return {
        "response": answer.response, "responses_used": answer.responses_used, "responses_left": answer.responses_left,
        "provider": answer.provider,
    }  # fmt: skip


def _kept(done: ClaimLost | None) -> None:
    if done is not None:
        raise _Lost
