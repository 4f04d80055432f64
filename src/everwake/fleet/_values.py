"""How one value of the file is read: TOML value in, our value out, or what is wrong with it. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

__all__ = ["Wrong", "read"]

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WINDOW = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)(?: ([A-Za-z0-9_+/-]{1,64}))?")


class Wrong(Exception):  # noqa: N818
    """What is wrong with a value, and what to write instead. choices: the words that would be right."""

    def __init__(self, message: str, hint: str | None = None, choices: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.choices = message, hint, choices


def read(value: Any, annotation: Any, about: Mapping[str, Any]) -> Any:
    """`value` as the setting wants it. Raises Wrong."""
    reads = about.get("reads")
    if reads is not None:
        found = _READERS[reads](value)
    elif get_origin(annotation) is Literal:
        found = _choice(value, get_args(annotation))
    else:
        found = _plain(value, annotation)
    if isinstance(found, int | float) and not isinstance(found, bool):
        _within(value, found, about, is_time=reads == "seconds")
    return found


def _within(value: Any, found: float, about: Mapping[str, Any], *, is_time: bool) -> None:
    unit = "s" if is_time else ""
    shown = f"{value}" if isinstance(value, str) else f"{value}{unit}"
    if about.get("ge") is not None and found < about["ge"]:
        hint = (
            "use 1s or more; free platforms throttle what is faster than 10s" if is_time and about["ge"] == 1 else None
        )
        least = f"{about['ge']:g}{unit}"
        raise Wrong(f"{shown} is below the minimum of {least}", hint or f"use {least} or more")
    if about.get("le") is not None and found > about["le"]:
        most = f"{about['le']:g}{unit}"
        raise Wrong(f"{shown} is above the maximum of {most}", f"use {most} or less")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{_shown(value)} is not a text", "put it in quotes")
    if not value.strip():
        raise Wrong("is empty", "write a value, or leave the line out")
    return value


def _name(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", text):
        raise Wrong(
            f"{_shown(value)} is not a name", "use up to 63 letters, digits, - and _, beginning with a letter or digit"
        )
    return text


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = (
        re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s?(ms|[smhd])?", value.strip()) if isinstance(value, str) else None
    )
    if match is None:
        raise Wrong(f"{_shown(value)} is not a length of time", "write a number with ms, s, m, h or d, such as 3m")
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def _url(value: Any) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Wrong("the URL's host or port cannot be read", "write https://host or https://host:port") from None
    if parts.scheme not in ("http", "https", "ws", "wss", "redis", "rediss", "tcp"):
        raise Wrong(f"the URL has no scheme we know ({parts.scheme[:20] or 'none'})", "begin with https://")
    if not host:
        raise Wrong("the URL has no host", "write https://host")
    if parts.username is not None or parts.password is not None:
        raise Wrong("the URL carries a user or password", "leave it out; give secrets by env or file")
    if re.search(r"[\s\x00-\x1f]", text):
        raise Wrong("the URL has a blank in it", "remove the blank")
    return text.rstrip("/")


def _host(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9_.:%-]{1,253}", text):
        raise Wrong(f"{_shown(value)} is not a host", "write a bare name or address")
    return text


def _route(value: Any) -> str:
    text = _text(value)
    if not text.startswith("/") or re.search(r"[\s\x00-\x1f]", text):
        raise Wrong(f"{_shown(value)} is not a path", f'begin with a slash: "/{text.strip().lstrip("/")[:40]}"')
    return text


def _awake(value: Any) -> str:
    text = _text(value)
    if text in ("always", "on-demand"):
        return text
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise Wrong(f"{_shown(value)} is not a window", 'write always, on-demand or "08:00-24:00 Europe/Berlin"')
    begins, ends = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if begins > 24 * 60 or ends > 24 * 60 or begins == ends:
        raise Wrong(f"{_shown(value)} has no length", "write two different times from 00:00 to 24:00")
    _zone(match[5] or "UTC")
    return text


def _zone(value: Any) -> str:
    from zoneinfo import ZoneInfo

    text = _text(value)
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise Wrong(f"{_shown(text)} is not a time zone", "write one such as Europe/Berlin or UTC") from None
    return text


def _statuses(value: Any) -> tuple[int, ...]:
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if not isinstance(entry, int) or isinstance(entry, bool) or not 100 <= entry <= 599:
            raise Wrong(f"{_shown(entry)} is not a status", "write a number from 100 to 599, or a list of them")
    return tuple(entries)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Wrong(f"{_shown(value)} is not a list", 'write ["one", "two"]')
    return tuple(_text(entry) for entry in value)


def _map(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Wrong(f"{_shown(value)} is not a table", 'write { name = "value" }')
    return value


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        listed = ", ".join(map(str, choices))
        raise Wrong(f"{_shown(value)} is none of {listed}", None, tuple(map(str, choices)))
    return value


def _plain(value: Any, annotation: Any) -> Any:
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    if bool in kinds:
        if not isinstance(value, bool):
            raise Wrong(f"{_shown(value)} is neither true nor false", "write true or false, without quotes")
        return value
    if float in kinds or int in kinds:
        if isinstance(value, bool) or not isinstance(value, int if float not in kinds else int | float):
            raise Wrong(f"{_shown(value)} is not a number", "write digits, without quotes")
        return value
    return _text(value) if str in kinds else value


def _shown(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


_READERS: Mapping[str, Any] = {
    "text": _text, "name": _name, "seconds": _seconds, "url": _url, "host": _host, "path": _text, "route": _route,
    "awake": _awake, "zone": _zone, "statuses": _statuses, "texts": _texts, "map": _map,
}  # fmt: skip
