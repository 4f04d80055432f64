"""A dependency that failed and was there afterwards is no cause any more. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from everwake.diagnose.log.signs import Sign, SignKind

__all__ = ["ANY", "dependency_of", "without_past"]

REDIS, DATABASE, EXTERNAL, SIBLING, ANY = "redis", "database", "external", "sibling", ""
TRACE_LINES = 60
TURNS_MOST = 2
_AFTER_CONNECTING = frozenset({SignKind.REDIS_AUTH, SignKind.REDIS_LIMIT, SignKind.DATABASE_AUTH})
_REDIS_WORDS = ("redis", "valkey", "keydb", "upstash", "6379")
_DATABASE_WORDS = (
    "postgres", "mysql", "mariadb", "mongo", "database", "prisma", "sequelize", "typeorm", "sqlalchemy", "supabase", "db ",
)  # fmt: skip
_EXTERNAL_WORDS = ("openai", "anthropic", "gemini")
_KINDS = {
    SignKind.REDIS: REDIS,
    SignKind.REDIS_AUTH: REDIS,
    SignKind.REDIS_LIMIT: REDIS,
    SignKind.DATABASE: DATABASE,
    SignKind.DATABASE_AUTH: DATABASE,
    SignKind.EXTERNAL: EXTERNAL,
    SignKind.SIBLING: SIBLING,
}


def dependency_of(low: str) -> str:
    """Which dependency a lower-case line is about; ANY when it names none."""
    for name, words in ((REDIS, _REDIS_WORDS), (DATABASE, _DATABASE_WORDS), (EXTERNAL, _EXTERNAL_WORDS)):
        if any(word in low for word in words):
            return name
    return SIBLING if "upstream" in low else ANY


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
            kind = found[n].kind
            counts[kind] = counts.get(kind, 0) - 1
            counts[SignKind.PAST_TROUBLE] = counts.get(SignKind.PAST_TROUBLE, 0) + 1
            found[n] = replace(found[n], kind=SignKind.PAST_TROUBLE)
        left = {sign.kind for sign in found}
        for kind in [one for one in counts if one in _KINDS and one not in left]:
            counts[SignKind.PAST_TROUBLE] = counts.get(SignKind.PAST_TROUBLE, 0) + counts.pop(kind)
    for kind in [one for one, count in counts.items() if count <= 0]:
        del counts[kind]
    return found


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
