"""Both stores against a plain model, step by step, in whatever order Hypothesis thinks of."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from chatify.chatbot.sessions import (
    HISTORY_TURNS,
    Beginning,
    Begun,
    Expired,
    Failed,
    Finished,
    InTheMaking,
    KeyReused,
    LimitReached,
    Message,
    Missing,
    Replay,
    Reply,
    Session,
    SessionStore,
    Ticket,
)
from chatify.chatbot.stores.redis import RedisStore
from chatify.chatbot.stores.sqlite import SqliteStore
from tests.chatify.chatbot.stores.told import a_session, new_id


@dataclass
class _Turn:
    message_id: str
    text: str
    attempt: int
    leased_until: datetime
    state: str = "making"  # making, failed, done
    told: Any = None


@dataclass
class _Conversation:
    """One session, as plainly as it can be said."""

    session: Session
    turns: dict[str, _Turn] = field(default_factory=dict)
    shown: list[Message] = field(default_factory=list)

    @property
    def now_told(self) -> Session:
        return replace(self.session, responses_used=len(self.shown) // 2)

    def taken(self, key: str, now: datetime) -> int:
        """Places that are not for `key`."""
        making = [k for k, t in self.turns.items() if t.state == "making" and t.leased_until > now and k != key]
        return len(self.shown) // 2 + len(making)

    def begin(
        self, key: str, text: str, message_id: str, now: datetime, lease_s: float, waited: int | None
    ) -> Beginning:
        if now >= self.session.expires_at:
            return Expired(session=self.now_told)
        turn = self.turns.get(key)
        if turn is not None:
            if turn.text != text:
                return KeyReused()
            if turn.state == "done":
                reply, used = turn.told
                return Replay(message_id=turn.message_id, reply=reply, responses_used=used, session=self.now_told)
            if turn.state == "making" and turn.leased_until > now:
                return InTheMaking(attempt=turn.attempt)
            if turn.state == "failed" and waited == turn.attempt:
                assert isinstance(turn.told, Failed)
                return turn.told
        if self.taken(key, now) >= self.session.response_limit:
            return LimitReached(session=self.now_told)
        attempt, message_id = (turn.attempt + 1, turn.message_id) if turn else (1, message_id)
        self.turns[key] = _Turn(message_id, text, attempt, now + timedelta(seconds=lease_s))
        self.turns[key].told = now
        ticket = Ticket(session_id=self.session.id, message_id=message_id, key=key, attempt=attempt)
        return Begun(ticket=ticket, session=self.now_told, history=tuple(self.shown[-2 * HISTORY_TURNS :]))

    def held(self, ticket: Ticket, now: datetime) -> _Turn | None:
        turn = self.turns.get(ticket.key)
        if turn is None or (turn.message_id, turn.attempt) != (ticket.message_id, ticket.attempt):
            return None
        if (
            turn.state == "making"
            and turn.leased_until <= now
            and self.taken(ticket.key, now) >= self.session.response_limit
        ):
            return None
        return turn

    def renew(self, ticket: Ticket, now: datetime, lease_s: float) -> bool:
        turn = self.held(ticket, now)
        if turn is None or turn.state != "making":
            return False
        turn.leased_until = now + timedelta(seconds=lease_s)
        return True

    def finish(self, ticket: Ticket, reply: Reply, now: datetime) -> Finished | None:
        turn = self.held(ticket, now)
        if turn is None or turn.state == "failed":
            return None
        if turn.state == "making":
            asked = turn.told
            self.shown += [
                Message(id=turn.message_id + "-q", role="user", text=turn.text, at=asked),
                Message(id=turn.message_id, role="assistant", text=reply.text, at=now, provider=reply.provider),
            ]
            turn.state, turn.told = "done", (reply, len(self.shown) // 2)
        return Finished(session=self.now_told, responses_used=turn.told[1])

    def give_back(self, ticket: Ticket, failed: Failed) -> None:
        turn = self.turns.get(ticket.key)
        if turn and turn.state == "making" and (turn.message_id, turn.attempt) == (ticket.message_id, ticket.attempt):
            turn.state, turn.told = "failed", failed


class _Machine(RuleBasedStateMachine):
    """Every step is done to the model and to both stores, which must answer the same."""

    redis_url: str
    tickets: Bundle[Ticket] = Bundle("tickets")
    keys = st.sampled_from(["k1", "k2", "k3", "k4", "\x00", "😀"])
    texts = st.sampled_from(["hello", "hello\x00", ""])
    leases = st.sampled_from([0.0, 5.0, 30.0])

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.stores: list[SessionStore] = [SqliteStore(self.folder / "s.db"), RedisStore(self.redis_url)]
        for store in self.stores:
            self.runner.run(store.open())

    def teardown(self) -> None:
        for store in self.stores:
            self.runner.run(store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def both(self, method: str, *args: Any, **named: Any) -> Any:
        async def ask() -> list[Any]:
            return [await getattr(store, method)(*args, **named) for store in self.stores]

        first, second = self.runner.run(ask())
        assert first == second
        return first

    @initialize(limit=st.integers(1, 4))
    def create(self, limit: int) -> None:
        session = a_session(limit=limit)
        self.now, self.alive = session.created_at, True
        self.model = _Conversation(replace(session, expires_at=session.created_at + timedelta(seconds=300)))
        self.both("create", self.model.session)

    @rule(seconds=st.sampled_from([0.000001, 1.0, 5.0, 29.999999, 40.0, 120.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(target=tickets, key=keys, text=texts, lease_s=leases, waited=st.none() | st.integers(1, 3))
    def begin(self, key: str, text: str, lease_s: float, waited: int | None) -> Any:
        message_id = new_id()
        told = self.both(
            "begin", self.model.session.id, message_id=message_id, key=key, text=text, now=self.now, lease_s=lease_s,
            waited_for=waited,
        )  # fmt: skip
        assert told == (self.model.begin(key, text, message_id, self.now, lease_s, waited) if self.alive else Missing())
        return told.ticket if isinstance(told, Begun) else multiple()

    @rule(ticket=tickets, lease_s=leases)
    def renew(self, ticket: Ticket, lease_s: float) -> None:
        told = self.both("renew", ticket, now=self.now, lease_s=lease_s)
        assert told == (self.alive and self.model.renew(ticket, self.now, lease_s))

    @rule(ticket=tickets, text=texts, tokens=st.none() | st.integers(0, 2**53))
    def finish(self, ticket: Ticket, text: str, tokens: int | None) -> None:
        reply = Reply(text=text, provider="offline", tokens_in=tokens)
        told = self.both("finish", ticket, reply, now=self.now)
        assert told == (self.model.finish(ticket, reply, self.now) if self.alive else None)

    @rule(ticket=tickets, status=st.sampled_from([502, 503]), retry_after_s=st.none() | st.just(7))
    def give_back(self, ticket: Ticket, status: int, retry_after_s: int | None) -> None:
        self.both("give_back", ticket, status=status, code="c", detail="d", retry_after_s=retry_after_s)
        self.model.give_back(ticket, Failed(status=status, code="c", detail="d", retry_after_s=retry_after_s))

    @rule(skip=st.integers(0, 8), limit=st.integers(1, 5))
    def read_a_page(self, skip: int, limit: int) -> None:
        shown = self.model.shown if self.alive else []
        after = shown[skip - 1].id if 0 < skip <= len(shown) else None
        begin = skip if after else 0
        assert self.both("messages", self.model.session.id, after=after, limit=limit) == tuple(
            shown[begin : begin + limit]
        )

    @rule(sure=st.integers(0, 9))
    def delete(self, sure: int) -> None:
        if sure == 0:
            assert self.both("delete", self.model.session.id) is self.alive
            self.alive = False

    @invariant()
    def the_session_is_as_the_model_says_and_never_over_its_limit(self) -> None:
        found = self.both("get", self.model.session.id)
        assert found == (self.model.now_told if self.alive else None)
        assert found is None or found.responses_used <= found.response_limit


@pytest.mark.timeout(180)
def test_both_stores_answer_like_a_plain_model(redis_url: str) -> None:
    machine = type("Machine", (_Machine,), {"redis_url": redis_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
