"""What of a value a person may see: only what is known to be harmless, never "all but the secret". Pure.

Somebody may have pasted a secret into any variable, in any mangled form. So a value is shown piece by piece: a piece that is no
sign, no known word, no part of a host as people name hosts, becomes `***`. What still resembles a secret is not shown at all.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from everwake.doctor.kinds import SECRETS, Kind
from everwake.doctor.words import is_default_secret, is_placeholder
from everwake.fleet.redact import MASK, redact_with

__all__ = ["Excerpt", "excerpt", "found_text", "harmless", "shown_key", "worth_hiding"]

_WIDEST = 160
_SHORT = 6
_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
true false yes no on off debug info warning warn error critical fatal trace production development staging test local
localhost http https ws wss redis rediss postgres postgresql mysql mongodb amqp amqps sqlite srv asyncpg psycopg
pymysql health api undefined null none
""",
    )
)  # fmt: skip
_WORD = re.compile(r"[^\s\"'\[\]{}(),;]+|.", re.DOTALL)
_LONGEST = 4_096


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A value as it may be shown, and where the offending text is in it."""

    text: str
    start: int
    end: int


def harmless(word: str) -> bool:
    """A word that nobody would take for a secret: a known one, or one of at most six characters that can be printed."""
    return word.lower() in _WORDS or (len(word) <= _SHORT and word.isprintable())


def shown_key(key: str) -> str:
    """The name of a variable; a line of a broken secret that ended up as a name is not shown."""
    plain = re.fullmatch(r"[A-Za-z_*][A-Za-z0-9_.\- ]{0,79}", key)
    is_word = (
        plain
        and (key.upper() == key or not re.search(r"\d", key) or "_" in key)
        and not re.search(r"[A-Za-z0-9]{25}", key)
    )
    if is_word and redact_with(key, ()) == key:
        return key
    odd = re.fullmatch(r"[A-Za-z_][\w.-]{0,40}", key)
    return key if odd and not re.search(r"\d", key) else MASK


def found_text(value: str, kind: Kind, at: int, end: int, secrets: Collection[str]) -> str:
    """The offending text itself, or `***`."""
    if kind in SECRETS or (kind is Kind.TEXT and end - at > _SHORT) or len(value) > _LONGEST:
        return MASK
    if not value[at:end].strip():
        return "a blank" if value[at:end] else ""
    shown = "".join(
        piece.text if piece.is_hidden else piece.text[max(at - piece.start, 0) : end - piece.start]
        for piece in _pieces(value)
        if piece.start < end and at < piece.end
    )
    return _netted(shown.strip(), secrets)


def excerpt(value: str, kind: Kind, at: int, end: int, secrets: Collection[str]) -> Excerpt | None:
    """The value on one line with what is not harmless hidden; None where nothing of it may be shown."""
    if kind in SECRETS or kind is Kind.TEXT or not value or len(value) > _LONGEST:
        return None
    pieces = _pieces(value)
    text = "".join(piece.text for piece in pieces)
    if text.replace(MASK, "").strip("/:.,[]\"' ") == "" or redact_with(text, secrets) != text:
        return None
    start, stop = _where(pieces, at), _where(pieces, max(end - 1, at), is_end=True)
    if len(text) > _WIDEST:
        cut = max(0, min(start - 40, len(text) - _WIDEST))
        lead, trail = ("…" if cut else ""), ("…" if cut + _WIDEST < len(text) else "")
        text = lead + text[cut : cut + _WIDEST] + trail
        start, stop = start - cut + len(lead), min(stop - cut + len(lead), len(text))
    return Excerpt(text, start, max(stop, start + 1))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a value, and what of it is shown; a hidden one is `***` and never cut in two."""

    start: int
    end: int
    text: str
    is_hidden: bool = False


def _where(pieces: list[_Piece], at: int, *, is_end: bool = False) -> int:
    """Where a place of the value is in what is shown."""
    shown = 0
    for piece in pieces:
        if at < piece.end:
            inner = 0 if piece.is_hidden else at - piece.start
            return shown + (len(piece.text) if is_end and piece.is_hidden else inner + is_end)
        shown += len(piece.text)
    return shown


def _pieces(value: str) -> list[_Piece]:
    """The whole value in pieces, each judged as a whole: half of a secret looks harmless."""
    pieces: list[_Piece] = []
    for word in _WORD.finditer(value):
        text, start = word[0], word.start()
        if len(text) == 1 and not text.isalnum():
            pieces.append(_Piece(start, start + 1, text if text.isprintable() else "·"))
        elif "://" in text:
            pieces += _of_url(text, start)
        else:
            is_shown = harmless(text) or _is_host(text)
            pieces.append(_Piece(start, word.end(), text if is_shown else MASK, not is_shown))
    return pieces


def _of_url(text: str, start: int) -> list[_Piece]:
    """Scheme, host, port and a route of plain words are shown; user, query and whatever is odd are not."""
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]{0,23})(://)(.*@)?([^/?#@]*)([^?#]*)(.*)", text)
    if found is None or not all(harmless(part) for part in re.split(r"[+.-]", found[1])):
        return [_Piece(start, start + len(text), MASK, True)]
    pieces = []
    for n, part in enumerate(found.groups(), 1):
        at, end = start + found.start(n), start + found.end(n)
        if not part:
            continue
        if n == 3:
            pieces += [_Piece(at, end - 1, MASK, True), _Piece(end - 1, end, "@")]
        elif n in (1, 2) or (n == 4 and (_is_host(part) or harmless(part))) or (n == 5 and _is_route(part)):
            pieces.append(_Piece(at, end, part))
        else:
            pieces.append(
                _Piece(
                    at, end, part if part in ("/", "?sslmode=require") else MASK, part not in ("/", "?sslmode=require")
                )
            )
    return pieces


def _is_route(text: str) -> bool:
    """A path of a few plain words: `/api/v1/health`."""
    words = [word for word in text.split("/") if word]
    return len(words) <= 6 and all(
        re.fullmatch(r"v\d{1,2}|[a-z]{1,14}(?:[-_.][a-z]{1,14}){0,3}|\d{1,4}", word) for word in words
    )


def _is_host(text: str) -> bool:
    """A host with or without a port, as people and platforms name them: words, short numbers, at most one short random tail."""
    host, _, port = text.partition(":")
    if not re.fullmatch(r"\d{0,5}", port) or len(host) > 80 or not re.fullmatch(r"[A-Za-z0-9.*-]+", host):
        return False
    if "." not in host and not re.fullmatch(r"[a-z]{1,14}(?:-[a-z0-9]{1,8}){0,3}", host):
        return False
    if "." not in host and len(re.findall(r"\d", host)) > 2:
        return False
    runs = [run for run in re.split(r"[.*-]+", host.lower()) if run]
    mixed = [run for run in runs if not run.isalpha() and not run.isdigit()]
    is_ip = re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){3}", host) is not None
    has_domain = re.search(r"\.[a-z]{2,14}$", host) is not None
    named = has_domain or "." not in host
    usual = all(re.fullmatch(r"[a-z]{1,20}|[0-9]{1,6}|[a-z0-9]{1,6}", run) for run in runs)
    return is_ip or (named and len(mixed) <= 2 and usual)


def _netted(text: str, secrets: Collection[str]) -> str:
    """A second net: what holds a known secret of the same set, or looks like one, is not shown."""
    return text if redact_with(text, secrets) == text and len(text) <= _WIDEST else MASK


def worth_hiding(value: str) -> bool:
    """Whether a secret is one: not a template's text, and not a word that our own sentences use."""
    return len(value) >= 3 and not is_placeholder(value) and not is_default_secret(value)
