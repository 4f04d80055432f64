"""A dependency that failed and was there afterwards is no cause any more. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from everwake.diagnose.log._speech import level_of
from everwake.diagnose.log.signs import Sign, SignKind

__all__ = ["ANY", "dependency_of", "is_outlived", "without_past"]

REDIS, DATABASE, EXTERNAL, SIBLING, ANY = "redis", "database", "external", "sibling", ""
TRACE_LINES = 60
TURNS_MOST = 2
_AFTER_CONNECTING = frozenset({SignKind.REDIS_AUTH, SignKind.REDIS_LIMIT, SignKind.DATABASE_AUTH})
_REDIS_WORDS = ("redis", "valkey", "keydb", "upstash", "6379")
_DATABASE_WORDS = (
    "postgres", "mysql", "mariadb", "mongo", "database", "prisma", "sequelize", "typeorm", "sqlalchemy", "supabase", "db ",
)  # fmt: skip
_SIBLING_WORDS = ("upstream", "rabbitmq", "amqp", "kafka")
_EXTERNAL_WORDS = ("openai", "anthropic", "gemini")
# Nobody logs his own killing: what an ordinary line of a process that goes on tells of memory was about something else.
_ALIVE = ("ordinary", "warning")
# What no service shows that answers, and what it does that was let go on.
_STOPPED = frozenset({SignKind.SUSPENDED, SignKind.QUOTA, SignKind.NO_WEB})
_LIVES = frozenset({SignKind.SERVED, SignKind.LIVE, SignKind.RESUMED, SignKind.LISTENING})
# After one of these another process may serve.
_ANOTHER_LIFE = frozenset({
    SignKind.EXIT, SignKind.CRASHED, SignKind.EXITED_EARLY, SignKind.LOOPING, SignKind.KILLED, SignKind.SIGTERM,
    SignKind.SHUTTING_DOWN, SignKind.STARTING, SignKind.LISTENING, SignKind.LISTENING_LOOPBACK, SignKind.LIVE,
    SignKind.DEPLOYING, SignKind.HEALTHY, SignKind.PORT_FOUND, SignKind.CYCLING,
})  # fmt: skip
_KINDS = {
    SignKind.REDIS: REDIS,
    SignKind.REDIS_AUTH: REDIS,
    SignKind.REDIS_LIMIT: REDIS,
    SignKind.DATABASE: DATABASE,
    SignKind.DATABASE_AUTH: DATABASE,
    SignKind.EXTERNAL: EXTERNAL,
    SignKind.SIBLING: SIBLING,
    SignKind.BROKER: SIBLING,
}


def dependency_of(low: str) -> str:
    """Which dependency a lower-case line is about; ANY when it names none."""
    for name, words in ((REDIS, _REDIS_WORDS), (DATABASE, _DATABASE_WORDS), (EXTERNAL, _EXTERNAL_WORDS)):
        if any(word in low for word in words):
            return name
    return SIBLING if any(word in low for word in _SIBLING_WORDS) else ANY


def without_past(signs: Sequence[Sign], counts: dict[SignKind, int]) -> list[Sign]:
    """The signs in the order of time; those of a dependency that came back after its last failure are PAST_TROUBLE.

    It came back when a line says so, or when the service went live and served after the last failure. counts: kept right.
    """
    found = list(signs)
    for name in (REDIS, DATABASE, EXTERNAL, SIBLING):
        failed = [n for n, sign in enumerate(found) if _fails(sign) == name]
        if not failed or not _is_back(found, failed[-1], name):
            continue
        past = {*failed, *(n for n, sign in enumerate(found) if _is_trace_of(sign, [found[one] for one in failed]))}
        for n in sorted(past):
            _set_kind(found, n, SignKind.PAST_TROUBLE, counts)
        left = {sign.kind for sign in found}
        for kind in [one for one in counts if one in _KINDS and one not in left]:
            counts[SignKind.PAST_TROUBLE] = counts.get(SignKind.PAST_TROUBLE, 0) + counts.pop(kind)
    for n, sign in enumerate(found):
        if sign.kind is SignKind.MEMORY and level_of(sign.text.lower()) in _ALIVE and is_outlived(found, n):
            _set_kind(found, n, SignKind.PAST_TROUBLE, counts)
    lives = max((n for n, sign in enumerate(found) if sign.kind in _LIVES), default=-1)
    for n, sign in enumerate(found[: max(lives, 0)]):
        if sign.kind in _STOPPED and "minutes" not in sign.text.lower():  # those are of building
            _set_kind(found, n, SignKind.PAST_TROUBLE, counts)
    for kind in [one for one, count in counts.items() if count <= 0]:
        del counts[kind]
    return found


def is_outlived(signs: Sequence[Sign], n: int) -> bool:
    """Whether the process that said the n-th sign answered a request well after, and neither ended nor began in between."""
    after = signs[n + 1 :]
    served = next((place for place, one in enumerate(after) if one.kind is SignKind.SERVED), None)
    return served is not None and not any(one.kind in _ANOTHER_LIFE for one in after[:served])


def _set_kind(found: list[Sign], n: int, kind: SignKind, counts: dict[SignKind, int]) -> None:
    counts[found[n].kind] = counts.get(found[n].kind, 0) - 1
    counts[kind] = counts.get(kind, 0) + 1
    found[n] = replace(found[n], kind=kind)


def _fails(sign: Sign) -> str | None:
    if sign.kind in (SignKind.LOOPBACK_REFUSED, SignKind.COMPOSE_HOST):
        return REDIS if dependency_of(sign.text.lower()) == REDIS else DATABASE
    return _KINDS.get(sign.kind)


def _is_back(signs: Sequence[Sign], last: int, name: str) -> bool:
    after = signs[last + 1 :]
    if _is_said_to_be_back(signs, last, name):
        return True
    kinds = {sign.kind for sign in after}
    if kinds & {SignKind.EXIT, SignKind.CRASHED, SignKind.SERVER_ERROR}:
        return False
    has_come_up = bool(kinds & {SignKind.LIVE, SignKind.LISTENING, SignKind.PORT_FOUND})
    is_tried_again = any(word in signs[last].text.lower() for word in ("retry", "retri", "trying again", "attempt"))
    return has_come_up and (SignKind.SERVED in kinds or (is_tried_again and SignKind.LIVE in kinds))


def _is_said_to_be_back(signs: Sequence[Sign], last: int, name: str) -> bool:
    """Whether a line says so after the last failure: a word that names no dependency is about the one that failed last.

    Who is let in and refused after, or comes and goes, connects again and again; only an answer shows that this is over.
    """
    if signs[last].kind in _AFTER_CONNECTING:
        return False
    after = range(last + 1, len(signs))
    others = min((n for n in after if _fails(signs[n]) not in (None, name)), default=len(signs))
    is_back = any(_is_ready(signs[n], name) or (_is_ready(signs[n], ANY) and n < others) for n in after)
    turns = 0
    for one, then in pairwise(sign for sign in signs if _fails(sign) == name or _is_ready(sign, name)):
        turns += _fails(one) == name and _is_ready(then, name)
    return is_back and turns <= TURNS_MOST


def _is_ready(sign: Sign, name: str) -> bool:
    return sign.kind is SignKind.DEPENDENCY_READY and sign.key == name


def _is_trace_of(sign: Sign, failed: Sequence[Sign]) -> bool:
    """Whether it is the head of a trace that ends in one of the failures."""
    return sign.kind is SignKind.TRACEBACK and any(0 < one.n - sign.n <= TRACE_LINES for one in failed)
