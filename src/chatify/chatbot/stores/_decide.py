"""Whether a reply may be made and whether it may be stored: pure, for one session at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from chatify.chatbot.sessions import (
    Expired,
    Failed,
    InTheMaking,
    KeyReused,
    LimitReached,
    Missing,
    Replay,
    Reply,
    Session,
)

__all__ = ["Start", "Turn", "begin", "may_go_on"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is known of the turn behind a key.

    digest: of the user's text.   leased_until: while it is in the making.   outcome: its reply once finished, with
    responses_used as it was then; its failure once given back; None while in the making.
    """

    message_id: str
    digest: str
    attempt: int
    leased_until: datetime
    outcome: Reply | Failed | None = None
    responses_used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Take the place, under this message_id and attempt."""

    message_id: str
    attempt: int


Decision = Start | Replay | InTheMaking | Failed | KeyReused | LimitReached | Expired | Missing


def begin(
    session: Session | None, turn: Turn | None, *, others: int, message_id: str, digest: str, now: datetime,
    waited_for: int | None,
) -> Decision:  # fmt: skip
    """What `SessionStore.begin` answers. others: turns of other keys that are in the making under a living lease."""
    if session is None:
        return Missing()
    if now >= session.expires_at:
        return Expired(session=session)
    if turn is not None:
        if turn.digest != digest:
            return KeyReused()
        match turn.outcome:
            case Reply() as reply:
                return Replay(
                    message_id=turn.message_id, reply=reply, responses_used=turn.responses_used, session=session
                )
            case Failed() as failed if turn.attempt == waited_for:
                return failed
            case None if turn.leased_until > now:
                return InTheMaking(attempt=turn.attempt)
    if session.responses_used + others >= session.response_limit:
        return LimitReached(session=session)
    if turn is None:
        return Start(message_id=message_id, attempt=1)
    return Start(message_id=turn.message_id, attempt=turn.attempt + 1)


def may_go_on(
    session: Session, turn: Turn | None, *, others: int, message_id: str, attempt: int, now: datetime
) -> Literal["yes", "done", "no"]:
    """Whether who holds a ticket may still renew or finish it; `done` when it was finished with this very ticket."""
    if turn is None or (turn.message_id, turn.attempt) != (message_id, attempt):
        return "no"
    match turn.outcome:
        case Reply():
            return "done"
        case Failed():
            return "no"
    # A lease that ran out freed its place; going on takes a place anew, if one is left.
    if turn.leased_until > now or session.responses_used + others < session.response_limit:
        return "yes"
    return "no"
