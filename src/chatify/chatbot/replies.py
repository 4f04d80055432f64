"""From a message to its reply: take a place, ask the provider, store the reply or give the place back.

The order of the decision: session missing or over, the same key answered before, response limit, rate limit, replies in the
making, provider. What refuses after the place was taken gives it back, so a place is held only by a reply that is made.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from chatify.chatbot.dependencies import Dependency
from chatify.chatbot.personalities import DEFAULT_ID, Personality
from chatify.chatbot.providers.port import Chunk, Provider, ProviderFailure, Question
from chatify.chatbot.sessions import (
    Begun,
    Expired,
    Failed,
    Finished,
    InTheMaking,
    KeyReused,
    LimitReached,
    Missing,
    Replay,
    Reply,
    SessionStore,
    StoreUnavailable,
    Ticket,
)
from chatify.chatbot.streaming import Event
from chatify.limits import RateLimiter
from chatify.problems import Problem

__all__ = ["Replies"]

log = logging.getLogger(__name__)

LEASE_S = 10.0  # a place whose process was killed is free after this
_RENEW_EVERY_S = 3.0
_FINISH_PAUSES_S = (0.1, 0.5, 2.0)  # a reply that was paid for is worth a few attempts to store it
_REPLY_LIMIT_CHARACTERS = 200_000
_ATTEMPTS = 3  # at one reply, when other processes take the turn over
_WAITING_PER_REPLY = 8  # requests in the house for each reply that may be in the making

Answer = Mapping[str, Any]


@dataclass(slots=True)
class _Collected:
    """The pieces of a reply, as they come."""

    pieces: list[str] = field(default_factory=list)
    characters: int = 0
    last: Chunk | None = None

    def add(self, chunk: Chunk) -> None:
        self.pieces.append(chunk.text)
        self.characters += len(chunk.text)
        if self.characters > _REPLY_LIMIT_CHARACTERS:
            raise ProviderFailure(503, "provider_unavailable", "The reply does not end.", retry_after_s=5)
        if chunk.done:
            self.last = chunk

    def reply(self, provider: str) -> Reply:
        text = "".join(self.pieces)
        if self.last is None or not text:
            raise ProviderFailure(503, "provider_unavailable", "The provider's reply is not whole.", retry_after_s=1)
        last = self.last
        return Reply(
            text=text, provider=provider, model=last.model, tokens_in=last.tokens_in, tokens_out=last.tokens_out
        )


class Replies:
    """Makes replies, a bounded number at a time.

    reply_within_s: the longest a provider may take over one reply, and a repeated request waits for the first.
    """

    def __init__(
        self,
        *,
        store: Dependency[SessionStore],
        provider: Provider,
        personalities: Mapping[str, Personality],
        rate: RateLimiter,
        max_replies: int,
        reply_within_s: float,
    ) -> None:
        self._store, self._provider, self._personalities, self._rate = store, provider, personalities, rate
        self._max_replies, self._reply_within_s = max_replies, reply_within_s
        self._in_hand: set[Ticket] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._in_the_house = 0
        self.last_failure: str | None = None  # code of the provider's newest failure, None after a reply

    # --- what a route calls -------------------------------------------------------------------------------------------

    async def answer(self, session_id: str, key: str | None, text: str) -> Answer:
        """The reply to `text`.

        Raises:
            Problem: whatever stands in the way.
        """
        key = key or _new_id()
        self._enter()
        try:
            for _ in range(_ATTEMPTS):
                begun = await self._begin(session_id, key, text)
                if isinstance(begun, Replay):
                    return _replayed(begun)
                async with aclosing(self._make(begun, text, stream=False)) as events:
                    async for _, answer in events:
                        return answer
                # Another process took the turn over while this one slept past its lease: its reply is the reply.
            raise _busy()
        finally:
            self._in_the_house -= 1

    async def stream(self, session_id: str, key: str | None, text: str) -> AsyncGenerator[Event, None]:
        """The reply in pieces: `delta` ..., then `done` with the answer, or `error` with a problem document.

        What stands in the way of a beginning is raised here, so that it is answered with a status of its own.

        Raises:
            Problem: as `answer`.
        """
        key = key or _new_id()
        self._enter()
        try:
            begun = await self._begin(session_id, key, text)
        finally:
            self._in_the_house -= 1
        return self._told(begun, key, text)

    async def _told(self, begun: Begun | Replay, key: str, text: str) -> AsyncGenerator[Event, None]:
        try:
            if isinstance(begun, Begun):
                async with aclosing(self._make(begun, text, stream=True)) as events:
                    async for event in events:
                        yield event
                        if event[0] == "done":
                            return
                yield ("done", await self.answer(begun.session.id, key, text))  # another process made it
                return
            answer = _replayed(begun)
            yield ("delta", {"text": answer["response"]})
            yield ("done", answer)
        except Problem as problem:
            wait = {} if problem.retry_after_s is None else {"retry_after_s": problem.retry_after_s}
            yield ("error", {**problem.body, **wait})

    # --- taking a place -----------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        if self._in_the_house >= self._max_replies * _WAITING_PER_REPLY:
            raise _busy()
        self._in_the_house += 1

    async def _begin(self, session_id: str, key: str, text: str) -> Begun | Replay:
        """A place for this key, or its earlier answer; waits while somebody else makes it."""
        store = await self._store.get()
        message_id, pause_s = _new_id(), 0.02
        waited_for: int | None = None
        give_up_at_s = time.monotonic() + self._reply_within_s + LEASE_S
        while True:
            try:
                seen = await store.begin(
                    session_id, message_id=message_id, key=key, text=text, now=datetime.now(UTC), lease_s=LEASE_S,
                    waited_for=waited_for,
                )  # fmt: skip
            except StoreUnavailable as failure:
                self._store.saw_failure(failure.reason, failure.detail)
                raise self._store.problem(failure.reason, failure.retry_after_s) from None
            match seen:
                case Begun():
                    self._store.saw_success()
                    await self._let_through(store, seen)
                    return seen
                case Replay():
                    return seen
                case InTheMaking():
                    waited_for = seen.attempt
                    if time.monotonic() > give_up_at_s:
                        raise _too_slow()
                    await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                    pause_s = min(pause_s * 1.5, 0.5)
                case Failed(status=status, code=code, detail=detail, retry_after_s=retry_after_s):
                    raise Problem(status, code, detail, retry_after_s=retry_after_s)
                case KeyReused():
                    raise Problem(422, "idempotency_key_reused", "This Idempotency-Key stands for another message.")
                case LimitReached(session=session):
                    limit = session.response_limit
                    raise Problem(409, "response_limit_reached", f"The session has had its {limit} replies.")
                case Expired():
                    raise Problem(410, "session_expired", "The session is over; begin a new one.")
                case Missing():
                    raise Problem(404, "session_not_found", "There is no such session.")

    async def _let_through(self, store: SessionStore, begun: Begun) -> None:
        """Rate limit and load shedding; a place that is refused here goes back."""
        refusal: Problem | None = None
        wait_s = self._rate.take(begun.session.user_id, time.monotonic())
        if wait_s is not None:
            refusal = Problem(429, "rate_limited", "Too many messages at once.", retry_after_s=int(wait_s) + 1)
        elif len(self._in_hand) >= self._max_replies:
            refusal = _busy()
        if refusal is not None:
            await self._give_back(store, begun.ticket, refusal)
            raise refusal

    # --- making the reply ---------------------------------------------------------------------------------------------

    async def _make(self, begun: Begun, text: str, *, stream: bool) -> AsyncGenerator[Event, None]:
        """Pieces, then `done`; nothing after the pieces when another attempt has taken the turn over.

        However it is left, the place is finished or given back.
        """
        ticket, session = begun.ticket, begun.session
        self._in_hand.add(ticket)
        self._is_idle.clear()
        told = Problem(503, "provider_unavailable", "The reply was broken off.", retry_after_s=1)
        is_settled = False
        store = await self._store.get()
        try:
            collected = _Collected()
            deadline_s = asyncio.get_running_loop().time() + self._reply_within_s
            async with aclosing(self._asked(begun, text, stream=stream)) as chunks:
                while True:
                    # Not round the loop: between two pieces the task belongs to whoever sends them.
                    async with asyncio.timeout_at(deadline_s):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    collected.add(chunk)
                    if chunk.text and stream:
                        yield ("delta", {"text": chunk.text})
            reply = collected.reply(self._provider.name)
            self.last_failure = None
            finished = await self._finish(store, ticket, reply)
            is_settled = True
            if finished is not None:
                used, limit = finished.responses_used, session.response_limit
                yield ("done", _answer(session.id, ticket.message_id, reply, used, limit))
        except TimeoutError:
            told = _too_slow()
            raise told from None
        except ProviderFailure as failure:
            self.last_failure = failure.code
            log.warning("the provider did not reply: %s: %s", failure.code, failure.detail)
            told = Problem(failure.status, failure.code, failure.detail, retry_after_s=failure.retry_after_s)
            raise told from None
        finally:
            if not is_settled:
                await self._give_back(store, ticket, told)
            self._put_down(ticket)

    def _put_down(self, ticket: Ticket) -> None:
        self._in_hand.discard(ticket)
        if not self._in_hand:
            self._is_idle.set()

    def _asked(self, begun: Begun, text: str, *, stream: bool) -> AsyncGenerator[Chunk, None]:
        session = begun.session
        # One that the operator has removed meanwhile: the conversation goes on with the default.
        persona = self._personalities.get(session.personality_id) or self._personalities[DEFAULT_ID]
        question = Question(
            personality_id=session.personality_id,
            system_prompt=persona.system_prompt,
            temperature=persona.temperature,
            history=begun.history,
            text=text,
            user_id=session.user_id,
        )
        return cast("AsyncGenerator[Chunk, None]", self._provider.reply(question, stream=stream))

    async def _finish(self, store: SessionStore, ticket: Ticket, reply: Reply) -> Finished | None:
        for pause_s in (*_FINISH_PAUSES_S, None):
            try:
                return await store.finish(ticket, reply, now=datetime.now(UTC))
            except StoreUnavailable as failure:
                self._store.saw_failure(failure.reason, failure.detail)
                if pause_s is None:
                    raise self._store.problem(failure.reason, failure.retry_after_s) from None
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable")

    async def _give_back(self, store: SessionStore, ticket: Ticket, told: Problem) -> None:
        try:
            await store.give_back(
                ticket, status=told.status, code=told.code, detail=told.detail, retry_after_s=told.retry_after_s
            )
        except StoreUnavailable as failure:
            # Nothing is lost: the lease runs out by itself.
            self._store.saw_failure(failure.reason, failure.detail)

    # --- while replies are made ---------------------------------------------------------------------------------------

    async def keep_leases(self) -> None:
        """Hold the places of the replies that are being made; the lifespan owns this."""
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            if self._in_hand and self._store.value is not None:
                await asyncio.gather(*(self._renew(self._store.value, ticket) for ticket in tuple(self._in_hand)))

    async def _renew(self, store: SessionStore, ticket: Ticket) -> None:
        try:
            if not await store.renew(ticket, now=datetime.now(UTC), lease_s=LEASE_S):
                # `finish` will find out, and look for the reply that took this one's place.
                self._put_down(ticket)
        except StoreUnavailable as failure:
            self._store.saw_failure(failure.reason, failure.detail)

    async def settled(self, within_s: float) -> None:
        """Wait until no reply is in the making, at most `within_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._is_idle.wait()


def _new_id() -> str:
    # Unique, not unguessable: who knows the session may read its messages. uuid4 asks the operating system each time.
    return f"{random.getrandbits(128):032x}"


def _answer(session_id: str, message_id: str, reply: Reply, used: int, limit: int) -> Answer:
    return {
        "session_id": session_id, "message_id": message_id, "response": reply.text, "responses_used": used,
        "responses_left": max(0, limit - used), "provider": reply.provider,
    }  # fmt: skip


def _replayed(replay: Replay) -> Answer:
    session = replay.session
    return _answer(session.id, replay.message_id, replay.reply, replay.responses_used, session.response_limit)


def _busy() -> Problem:
    return Problem(503, "provider_unavailable", "Too many replies are in the making.", retry_after_s=1)


def _too_slow() -> Problem:
    return Problem(503, "provider_unavailable", "The reply did not come in time.", retry_after_s=5)
