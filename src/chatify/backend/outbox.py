"""What the backend keeps, and the port behind which it is kept.

A *message* is accepted into its session's queue and later settled: answered or failed. Settling goes in order of acceptance.
Whoever works on a session holds a *claim* on it: a lease that pushes the time at which the session is due ahead of now. A
holder that dies lets its lease run out, and the session is due again. `attempt` fences: only the newest claim may write.
All times are Unix seconds; no store reads a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

__all__ = [
    "Accepted", "ChatSession", "Claim", "ClaimLost", "IdReused", "Made", "Message", "NoSession", "Outbox",
    "OutboxUnavailable", "TooManyWaiting",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The session that the chatbot made for one of ours."""

    session_id: str
    response_limit: int
    opening: str | None
    expires_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSession:
    """A conversation as the user knows it. made: the chatbot's side, None until it has one.

    accepted: how many messages there are, numbered from 1 (`Message.number`); settled: how many of them are settled, the
    oldest first; answered: how many of these had a reply.
    """

    id: str
    user_id: str
    personality_id: str
    created_at: float
    made: Made | None = None
    settled: int = 0
    accepted: int = 0
    answered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message and what became of it. tries: calls to the chatbot that ended badly.

    outcome: what the user is told: response, responses_used, responses_left, provider of an answered one; `problem` of a
    failed one; None while queued.
    """

    id: str
    number: int
    text: str
    created_at: float
    status: Literal["queued", "answered", "failed"] = "queued"
    tries: int = 0
    outcome: dict[str, Any] | None = None
    settled_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on one session. message: the oldest that is not settled."""

    session: ChatSession
    attempt: int
    message: Message

    def on(self, message: Message) -> "Claim":
        """The same claim, for the next message."""
        return replace(self, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The message is kept. is_new: False for one that was accepted before. claim: given only where asked for and free."""

    message: Message
    is_new: bool
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class NoSession:
    """There is no such session."""


@dataclass(frozen=True, slots=True)
class IdReused:
    """The message id stands for another text."""


@dataclass(frozen=True, slots=True)
class TooManyWaiting:
    """The session's queue is full."""


@dataclass(frozen=True, slots=True)
class ClaimLost:
    """Somebody else claimed the session since, or it is gone. Nothing was written."""


Acceptance = Accepted | NoSession | IdReused | TooManyWaiting


class Outbox(Protocol):
    """Sessions and their messages. Every method is atomic across the processes that share the store.

    Raises `OutboxUnavailable` when the store cannot be reached within its own deadline; nothing else leaks out.
    """

    name: str  # "sqlite" or "redis", as /health tells it

    async def open(self) -> None:
        """Connect and create what is missing; safe to call again after a failure."""

    async def close(self) -> None:
        """Finish what was promised, then let go."""

    async def ping(self) -> None:
        """One round trip."""

    async def add(self, session: ChatSession) -> None:
        """Keep a new session."""

    async def session(self, session_id: str) -> ChatSession | None:
        """The session."""
        ...

    async def accept(
        self, session_id: str, message_id: str, text: str, *, now: float, lease_s: float | None, waiting_limit: int
    ) -> Acceptance:
        """Put a message at the end of its session's queue, unless its id is there already.

        lease_s: claim the session in the same breath if nobody holds it and nothing else waits in it; None: never.
        """
        ...

    async def message(self, session_id: str, message_id: str) -> Message | None:
        """One message."""

    async def messages(self, session_id: str, *, after: int = 0, limit: int) -> tuple[Message, ...]:
        """Messages with a number greater than `after`, oldest first."""
        ...

    async def claim(
        self, *, now: float, lease_s: float, limit: int, accepted_before: float | None = None
    ) -> list[Claim]:
        """Claim up to `limit` sessions that are due, those due for longest first.

        accepted_before: instead, those whose oldest waiting message was accepted before then, due or held, oldest first.
        """
        ...

    async def renew(self, claims: Sequence[Claim], *, now: float, lease_s: float) -> list[Claim]:
        """Hold them longer; those that were lost."""
        ...

    async def bind(self, claim: Claim, made: Made) -> ClaimLost | None:
        """Remember the chatbot's session, instead of the one before."""

    async def settle(
        self,
        claim: Claim,
        status: Literal["answered", "failed"],
        outcome: dict[str, Any],
        *,
        now: float,
        lease_s: float,
    ) -> Message | ClaimLost | None:
        """Store what became of the claim's message, once. The next message, still claimed; None: none waits, claim over."""
        ...

    async def release(self, claim: Claim, *, due_at: float, tries: int) -> ClaimLost | None:
        """End the claim with its message unsettled; it is due again at `due_at`. tries: the message's from now on."""

    async def next_due(self) -> float | None:
        """When the next session is due (a claimed one: when its lease runs out); None when nothing waits."""
        ...

    async def take_lease(self, name: str, holder: str, *, now: float, lease_s: float) -> bool:
        """Take or keep the lease `name`; False while somebody else holds it."""
        ...

    async def drop_lease(self, name: str, holder: str) -> None:
        """Let go of it, if it is held by `holder`."""

    async def remember(self, key: str, value: str) -> None:
        """Keep one small text, replacing what was there."""

    async def recall(self, key: str) -> str | None:
        """The text kept under `key`."""

    async def purge(self, *, quiet_since: float, limit: int) -> int:
        """Drop sessions in which nothing was accepted since then (to the hour) and nothing waits; how many, at most `limit`."""
        ...


class OutboxUnavailable(Exception):  # noqa: N818
    """The store did not answer in time. retry_after_s: when to come again."""

    def __init__(self, store: str, reason: str, retry_after_s: int = 5) -> None:
        super().__init__(f"{store} is not available: {reason}")
        self.store = store
        self.reason = reason
        self.retry_after_s = retry_after_s
