r"""What a chat session is, and the port behind which it is kept.

A *turn* is one user message and the one reply to it. A turn is begun (its place under the response limit is taken and a
lease says who is making the reply), then finished or given back. Nobody sees a turn that is not finished, so a client that
goes away, a provider that fails or a process that is killed leaves a consistent session.

What may happen to a turn (decided by `stores/_decide.py`, and by the same rules in Lua in `stores/redis.py`):

    (nothing) --begin--> in the making --finish--> finished     shown, counted, replayed for ever
                           |   ^    |
                give_back  |   |    |  lease runs out (its process was killed)
                           v   |    v
                        failed |  abandoned                      neither counted nor shown
                           \---+----/   begin again: same message_id, next attempt
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

__all__ = [
    "HISTORY_TURNS", "KEPT_S", "Beginning", "Begun", "Expired", "Failed", "Finished", "InTheMaking", "KeyReused",
    "LimitReached", "Message", "Missing", "Replay", "Reply", "Session", "SessionStore", "StoreUnavailable", "Ticket",
]  # fmt: skip

HISTORY_TURNS = 20  # finished turns that go to the provider with a new message: the last 40 messages
KEPT_S = 24 * 3600  # how long an expired session is kept, so that its client learns why it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation of one user with one personality. Times are UTC-aware; responses_used counts finished turns."""

    id: str
    user_id: str
    personality_id: str
    response_limit: int
    responses_used: int
    created_at: datetime
    expires_at: datetime


class Message(NamedTuple):
    """One message of the conversation as people see it. id of a reply: its turn's message_id; the question's: the same + "-q".

    A tuple, for forty of them are made for every reply: as a frozen dataclass they cost a third of the store's time.
    """

    id: str
    role: Literal["user", "assistant"]
    text: str
    at: datetime
    provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A finished reply. tokens_in / tokens_out: what the provider counted, None when it did not say.

    A lone surrogate, which JSON can smuggle in and UTF-8 cannot carry out, becomes a question mark.
    """

    text: str
    provider: str
    model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None

    def __post_init__(self) -> None:
        if not self.text.isascii():
            object.__setattr__(self, "text", self.text.encode("utf-8", "replace").decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The right to make one reply. attempt: fencing number, from 1; only the newest attempt of a turn may finish it."""

    session_id: str
    message_id: str
    key: str
    attempt: int


# --- what `begin` may answer ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The place is taken: make the reply, then `finish` or `give_back`. history: finished turns, oldest first, bounded."""

    ticket: Ticket
    session: Session
    history: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """This key was answered before: here is the same answer. responses_used: as it was told with that answer."""

    message_id: str
    reply: Reply
    responses_used: int
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class InTheMaking:
    """Somebody holds the lease on this key: look again soon. attempt: the attempt that is being made."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The attempt that was waited for failed; code and detail of its problem. Only told to who waited for it."""

    status: int
    code: str
    detail: str
    retry_after_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReused:
    """The key stands for another message of this session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReached:
    """Every place is taken or used."""

    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The session is over."""

    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """There is no such session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The turn as it was stored."""

    session: Session
    responses_used: int


Beginning = Begun | Replay | InTheMaking | Failed | KeyReused | LimitReached | Expired | Missing


class SessionStore(Protocol):
    """Where sessions live. Every method is atomic across processes that share the store.

    `now` is an argument everywhere (UTC-aware); no store reads a clock. Raises `StoreUnavailable` when it cannot be reached
    within its own deadline (5 s); nothing else leaks out of the library underneath. After it the outcome of a write is
    unknown, and every method may simply be called again with the same arguments. Texts are valid Unicode (NULs included):
    a lone surrogate is a `UnicodeEncodeError`, and nothing is stored.
    """

    name: str  # "sqlite" or "redis", as /health tells it

    async def open(self) -> None:
        """Connect and create what is missing; safe to call again after a failure."""

    async def close(self) -> None:
        """Finish what was promised, then let go."""

    async def ping(self) -> float:
        """Seconds of one round trip."""

    async def create(self, session: Session, history: Sequence[Message] = ()) -> None:
        """Store a new session, with the finished turns it had elsewhere (user and assistant alternate).

        responses_used becomes the number of these turns. A session of this id that exists already is left as it is.

        Raises:
            ValueError: history is not whole turns.
        """

    async def get(self, session_id: str) -> Session | None:
        """The session, expired or not, until it is purged (`KEPT_S` after its expiry)."""

    async def delete(self, session_id: str) -> bool:
        """Remove session and turns; False when there was none. A reply in the making then finishes into nothing."""

    async def messages(self, session_id: str, *, after: str | None = None, limit: int = 100) -> tuple[Message, ...]:
        """Finished turns as messages, oldest first, those after the message with id `after`; of an unknown id, from the first.

        Their order is the order in which they were finished, so who asks for what is new misses nothing. No session: ().
        """

    async def begin(
        self, session_id: str, *, message_id: str, key: str, text: str, now: datetime, lease_s: float,
        waited_for: int | None = None,
    ) -> Beginning:  # fmt: skip
        """Take a place for one reply.

        Order of the decision: Missing, Expired, then by key (KeyReused, Replay, InTheMaking, Failed), then LimitReached,
        then Begun. A turn counts against the limit while it is finished, or in the making under a lease that has not run
        out. A key whose lease ran out, or whose attempt failed, is begun again with the next attempt number (and needs a
        free place like any other), except for a caller that waited for just that attempt: it is told Failed.
        message_id of a repeated attempt stays the one of the first; message_id must be new for every call.

        A lease that ran out without a word (its process was killed) has no failure to tell: its waiter begins again.
        Of the turns of a session that were begun and never finished only the last 100 are remembered.
        """
        ...

    async def renew(self, ticket: Ticket, *, now: datetime, lease_s: float) -> bool:
        """Hold the lease longer; False when it was lost: to a later attempt, or it had run out and its place was taken."""

    async def finish(self, ticket: Ticket, reply: Reply, *, now: datetime) -> Finished | None:
        """Store the reply and count it; the same again for a ticket that finished before.

        None when the ticket is no longer the newest, was given back, or its lease ran out and its place was taken; and
        when the session is gone. It may have expired meanwhile.
        """

    async def give_back(
        self, ticket: Ticket, *, status: int, code: str, detail: str, retry_after_s: int | None = None
    ) -> None:
        """Free the place: the provider failed or the client went away. What is told to who waits for this attempt."""

    async def purge(self, now: datetime) -> int:
        """Drop what expired more than `KEPT_S` ago; how many sessions (0 where the store does so by itself)."""
        ...


class StoreUnavailable(Exception):  # noqa: N818
    """The store did not answer in time.

    reason: one of few words, for everybody.   detail: for the log alone, masked; may name hosts.   retry_after_s: when to
    come again.
    """

    def __init__(self, store: str, reason: str, detail: str = "", retry_after_s: int = 5) -> None:
        super().__init__(f"{store} is not available: {reason}" + (f": {detail}" if detail else ""))
        self.store = store
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s
