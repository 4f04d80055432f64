"""What to do with a message after a call to the chatbot: a pure decision.

Store        the reply is here                    -> keep it, tell it
Fail         it was refused for good              -> keep the problem, tell it
TryAt        the chatbot asked for patience       -> the same message again, later
Wake         nobody there                         -> one wake-up for all, then the same message again
NewSession   the chatbot forgot the conversation  -> make it anew with what was said, then the same message again
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chatify.backend.answers import Answered, NotThere, Refused, Reply
from chatify.problems import Problem

__all__ = ["Decision", "Fail", "NewSession", "Store", "TryAt", "Wake", "backoff_s", "decide", "gave_up", "history"]

GIVE_UP_AFTER_S = 86_400.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 60.0
# What a person has to mend (a key, a token, a deploy) may be mended while we wait, but nobody waits a day for it.
PATIENT_TRIES = 8
KEY_TRIES = 5
_MENDABLE = frozenset({401, 403, 404, 405, 406, 415})
_PASSING = frozenset({408, 425, 429, 503})


@dataclass(frozen=True, slots=True)
class Store:
    """The reply."""

    answer: Answered


@dataclass(frozen=True, slots=True)
class Fail:
    """Final. problem: the document that the user gets."""

    problem: dict[str, object]


@dataclass(frozen=True, slots=True)
class TryAt:
    """at: Unix seconds.   tries: calls that ended badly so far."""

    at: float
    tries: int


@dataclass(frozen=True, slots=True)
class Wake:
    """As TryAt, once the chatbot is awake."""

    at: float
    tries: int


@dataclass(frozen=True, slots=True)
class NewSession:
    """tries: as in TryAt; a chatbot that forgets every session at once is not asked for ever."""

    tries: int


Decision = Store | Fail | TryAt | Wake | NewSession


def backoff_s(tries: int, dice: float) -> float:
    """Growing, jittered: half to all of 0.5, 1, 2, .. 60 seconds. dice: 0..1."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(tries, 20)) * (0.5 + dice / 2)


def gave_up() -> Fail:
    """What a message that waited too long becomes."""
    problem = Problem(
        504, "gave_up", "The assistant could not be reached for 24 hours. Send the message again to retry."
    )
    return Fail(problem.body)


def decide(outcome: Reply, *, tries: int, age_s: float, now: float, dice: float) -> Decision:
    """tries: calls of this message that ended badly before this one.   age_s: since it was accepted.   dice: 0..1."""
    if isinstance(outcome, Answered):
        return Store(outcome)
    if isinstance(outcome, Refused) and _is_final(outcome, tries):
        return Fail(dict(outcome.problem))
    if age_s >= GIVE_UP_AFTER_S:
        return gave_up()
    match outcome:
        case NotThere():
            # The first time it goes out again as soon as somebody is there; a message that breaks the chatbot whenever
            # it is sent backs off, so that it cannot keep everybody else's from being answered.
            return Wake(now if tries == 0 else now + backoff_s(tries - 1, dice), tries + 1)
        case Refused(status=404, code="session_not_found") if tries < PATIENT_TRIES:
            return NewSession(tries + 1)
        case Refused(retry_after_s=asked_s):
            wait_s = backoff_s(tries, dice) if asked_s is None else max(asked_s * (1 + dice / 4), backoff_s(0, dice))
            return TryAt(now + wait_s, tries + 1)


def _is_final(no: Refused, tries: int) -> bool:
    if no.code == "provider_rejected_key":
        return tries + 1 >= KEY_TRIES
    if no.retry_after_s is not None or no.status in _PASSING:
        return False
    if no.status >= 500 or no.status in _MENDABLE:
        return tries + 1 >= PATIENT_TRIES
    return True


def history(turns: Sequence[tuple[str, str]], budget_bytes: int) -> list[dict[str, str]]:
    """Answered turns (question, reply), oldest first, as the chatbot takes them back; at most `budget_bytes` of JSON text.

    No turn is left out, for each counts against the session's limit: the oldest texts are shortened instead.
    """
    texts = [text for turn in turns for text in turn]
    # 96: the braces, names and quotes of an item. Escaping can make a character cost six bytes (\uXXXX is never longer).
    room = budget_bytes - 96 * len(texts)
    kept: list[str] = []
    for left, text in zip(range(len(texts), 0, -1), reversed(texts), strict=True):
        # The newest may take what is free beyond 16 bytes for each of the older ones.
        mine = max(room - 16 * (left - 1), 16)
        shown = _shortened(text, mine)
        room -= _cost(shown)
        kept.append(shown)
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "text": text} for n, text in enumerate(reversed(kept))]


def _cost(text: str) -> int:
    """Bytes of `text` inside JSON, at most."""
    return sum(1 if " " <= c <= "~" and c not in '"\\' else 6 if c <= "\uffff" else 12 for c in text)


def _shortened(text: str, budget_bytes: int) -> str:
    if _cost(text) <= budget_bytes:
        return text
    room, end = budget_bytes - 6, 0
    for c in text:
        room -= _cost(c)
        if room < 0:
            break
        end += 1
    return text[:end] + "…"
