"""Short words for what the tests say to a store."""

import uuid
from datetime import UTC, datetime, timedelta

from chatify.chatbot.sessions import Beginning, Begun, Reply, Session, SessionStore, Ticket

# Redis drops keys by its own clock, so the tests' time starts at the real one.
NOW = datetime.now(UTC)


def at(seconds: float) -> datetime:
    """So long after the tests' beginning."""
    return NOW + timedelta(seconds=seconds)


def a_session(*, limit: int = 20, expires: datetime | None = None) -> Session:
    """A new one, of an hour."""
    return Session(
        id=uuid.uuid4().hex, user_id="ann", personality_id="general-assistant", response_limit=limit, responses_used=0,
        created_at=NOW, expires_at=expires or at(3600),
    )  # fmt: skip


def new_id() -> str:
    return uuid.uuid4().hex


async def begin(
    store: SessionStore, session: Session, key: str = "", *, text: str = "hello", now: datetime = NOW,
    lease_s: float = 60, waited_for: int | None = None,
) -> Beginning:  # fmt: skip
    """With a message_id, and unless given a key, of its own."""
    return await store.begin(
        session.id, message_id=new_id(), key=key or new_id(), text=text, now=now, lease_s=lease_s, waited_for=waited_for
    )


async def ticket(
    store: SessionStore,
    session: Session,
    key: str = "",
    *,
    text: str = "hello",
    now: datetime = NOW,
    lease_s: float = 60,
) -> Ticket:
    """Begin, which must succeed."""
    begun = await begin(store, session, key, text=text, now=now, lease_s=lease_s)
    assert isinstance(begun, Begun), begun
    return begun.ticket


def reply(text: str = "hi") -> Reply:
    return Reply(text=text, provider="offline", model="m", tokens_in=1, tokens_out=2)


async def turn(store: SessionStore, session: Session, question: str, answer: str, *, key: str = "") -> Ticket:
    """A whole turn: begun and finished."""
    held = await ticket(store, session, key, text=question)
    assert await store.finish(held, reply(answer), now=at(1)) is not None
    return held
