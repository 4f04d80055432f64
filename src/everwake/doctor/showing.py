"""What of a value a person may see: only what is known to be harmless, never "all but the secret". Pure.

Somebody may have pasted a secret into any variable, in any mangled form. So a value is shown piece by piece: a piece that is no
sign, no known word, no part of a host as people name hosts, becomes `***`. What then still resembles a secret is not shown at all.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from everwake.doctor.kinds import SECRETS, URLS, Kind
from everwake.doctor.rules._entries import LISTS
from everwake.doctor.words import is_default_secret, is_placeholder
from everwake.fleet.redact import MASK, redact_with

__all__ = ["Excerpt", "excerpt", "found_text", "harmless", "in_path", "shown_key", "worth_hiding"]

_WIDEST = 160
_SHORT = 6
_WORDS = frozenset(["true", "false", "yes", "no", "on", "off", "debug", "info", "warning", "warn", "error", "critical", "fatal", "trace", "production", "development", "staging", "test", "local", "localhost", "http", "https", "ws", "wss", "redis", "rediss", "postgres", "postgresql", "mysql", "mongodb", "amqp", "amqps", "sqlite", "srv", "asyncpg", "psycopg", "pymysql", "health", "api", "undefined", "null", "none"])  # fmt: skip
_PIECE = re.compile(r"[A-Za-z0-9_-]+|\s|.", re.DOTALL)


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
    if kind in SECRETS or (kind is Kind.TEXT and end - at > _SHORT):
        return MASK
    text = value[at:end].strip()
    if not text:
        return "a blank" if value[at:end] else ""
    if kind not in URLS | LISTS and not harmless(text):
        known = _address_shown(text) if kind in (Kind.HOST, Kind.BIND, Kind.HOSTS, Kind.ROUTE) else MASK
        return _netted(known, secrets)
    if harmless(text):
        return _netted(text, secrets)
    return _netted("".join(_pieces(value, at, end)), secrets)


def excerpt(value: str, kind: Kind, at: int, end: int, secrets: Collection[str]) -> Excerpt | None:
    """The value on one line with what is not harmless hidden; None where nothing of it may be shown."""
    if kind in SECRETS or kind is Kind.TEXT or not value or len(value) > 4_096:
        return None
    before, inside, after = (_pieces(value, *span) for span in ((0, at), (at, end), (end, len(value))))
    head, middle, tail = "".join(before), "".join(inside), "".join(after)
    text = head + middle + tail
    if MASK * 2 in text or text.replace(MASK, "").strip("/:.,[]\"' ") == "" or redact_with(text, secrets) != text:
        return None
    if len(text) > _WIDEST:
        cut = max(0, min(len(head) - 40, len(text) - _WIDEST))
        text, head = ("…" if cut else "") + text[cut : cut + _WIDEST], ("…" if cut else "") + head[cut:]
        text += "…" if cut + _WIDEST < len(head) + len(middle) + len(tail) else ""
    start = min(len(head), len(text))
    return Excerpt(text, start, max(min(start + len(middle), len(text)), start + 1))


def _pieces(value: str, at: int, end: int) -> list[str]:
    """The pieces of value[at:end], judged by where they stand in the whole."""
    shown: list[str] = []
    hosts = [
        (found.start(1), found.end(1)) for found in re.finditer(r"://(?:[^\s\"',]*@)?([A-Za-z0-9.:\[\]-]+)", value)
    ]
    users = [(found.start(1), found.end(1)) for found in re.finditer(r"://([^\s\"]*)@", value)]
    queries = [(found.start(), found.end()) for found in re.finditer(r"[?#][^\s\"',\]]*", value)]
    for piece in _PIECE.finditer(value, at, end):
        text, begin = piece[0], piece.start()
        in_user = any(start <= begin < stop for start, stop in users)
        in_query = any(start < begin < stop for start, stop in queries)
        in_host = any(start <= begin < stop for start, stop in hosts)
        if in_user or (
            in_query and not (len(text) == 1 and not text.isalnum()) and text.lower() not in ("sslmode", "require")
        ):
            hidden = True
        elif len(text) == 1 and not text.isalnum():
            hidden, text = False, text if text.isprintable() else "·"
        else:
            hidden = not (
                harmless(text)
                or (in_host and _is_label(text))
                or (re.fullmatch(r"[a-z]+(?:-[a-z]+)*", text) is not None and in_path(value, begin))
            )
        if not hidden:
            shown.append(text)
        elif not shown or shown[-1] != MASK:
            shown.append(MASK)
    return shown


def in_path(value: str, at: int) -> bool:
    """Whether a word of small letters stands in the path of a URL, where it is a word of a route."""
    before = value[max(0, at - 120) : at]
    return re.search(r"://[^\s\"'@?#]*/(?:[a-z0-9-]{1,16}/){0,4}\Z", before) is not None


def _is_label(text: str) -> bool:
    """Part of a host as people and platforms make them: words and short numbers, with at most one short random tail."""
    runs = [run for run in re.split(r"[-_]+", text.lower()) if run]
    mixed = [run for run in runs if not run.isalpha() and not run.isdigit()]
    return (
        len(text) <= 50
        and len(mixed) <= 1
        and all(re.fullmatch(r"[a-z]{1,14}|[0-9]{1,6}|[a-z0-9]{1,6}", run) for run in runs)
    )


def _address_shown(text: str) -> str:
    return "".join(
        _pieces(
            text if "://" in text else f"x://{text}", 0 if "://" in text else 4, len(text) + (0 if "://" in text else 4)
        )
    )


def _netted(text: str, secrets: Collection[str]) -> str:
    """A second net: what holds a known secret of the same set, or looks like one, is not shown."""
    return text if redact_with(text, secrets) == text and len(text) <= _WIDEST else MASK


def worth_hiding(value: str) -> bool:
    """Whether a secret is one: not a template's text, and not a word that our own sentences use."""
    return len(value) >= 3 and not is_placeholder(value) and not is_default_secret(value)
