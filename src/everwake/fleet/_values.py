"""How one value of the file is read: TOML value in, our value out, or what is wrong with it. Pure."""

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

from everwake.fleet.redact import redact

__all__ = ["Wrong", "read", "shown"]

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LENGTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s?(ms|[smhd])?")
_LOOSE_LENGTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s{0,4}(ms|milli|s|m|h|d)[a-z]{0,10}\.?", re.IGNORECASE)
_ADDED_LENGTH = re.compile(r"(?:(\d{1,4})h)?\s?(?:(\d{1,4})m)?\s?(?:(\d{1,5})s)?")
_WINDOW = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)(?: ([A-Za-z0-9_+/-]{1,64}))?")
_LOOSE_WINDOW = re.compile(
    r"(\d{1,2})(?:[:.h](\d{2}))?\s{0,3}(?:-|–|to|bis)\s{0,3}(\d{1,2})(?:[:.h](\d{2}))?(?:\s{1,3}(\S{1,64}))?"
)
_HOST_AND_PORT = re.compile(r"[A-Za-z0-9_.-]{1,253}(?::\d{1,5})?(?:/.{0,200})?")
SCHEMES = ("https", "http", "wss", "ws", "rediss", "redis", "tcp")
WEB = ("https", "http")


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


def shown(value: Any) -> str:
    """A value of the file as it may be quoted in a message: as TOML writes it, short, on one line, masked."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        text = value.isoformat() if hasattr(value, "isoformat") else str(value)
        return text if len(text) <= 60 else f"{text[:59]}…"
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in redact(value[:400]))
    return f'"{text if len(text) <= 58 else text[:57] + "…"}"'


def _within(value: Any, found: float, about: Mapping[str, Any], *, is_time: bool) -> None:
    unit = "s" if is_time else ""
    given = shown(value).strip('"') if isinstance(value, str) else f"{shown(value)}{unit}"
    if math.isnan(found):
        raise Wrong("nan is not a number to count with", "write digits")
    if about.get("ge") is not None and found < about["ge"]:
        hint = (
            "use 1s or more; free platforms throttle what is faster than 10s" if is_time and about["ge"] == 1 else None
        )
        least = f"{about['ge']:g}{unit}"
        raise Wrong(f"{given} is below the minimum of {least}", hint or f"use {least} or more")
    if about.get("le") is not None and found > about["le"]:
        most = f"{about['le']:.12g}{unit}"
        raise Wrong(f"{given} is above the maximum of {most}", f"use {most} or less")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        is_plain = isinstance(value, int | float) and not isinstance(value, bool)
        raise Wrong(
            f"{shown(value)} is not a text", f'write "{shown(value)}"' if is_plain else "write a text in quotes"
        )
    if not value.strip():
        raise Wrong('"" is empty' if not value else "is blank", "write a value, or leave the line out")
    return value


def _name(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", text):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text[:80]).strip("-_").lower()[:63].rstrip("-")
        rule = "use up to 63 letters, digits, - and _, beginning with a letter or digit"
        raise Wrong(f"{shown(text)} is not a name", f'{rule}, such as "{plain}"' if plain else rule)
    return text


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    match = _LENGTH.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        loose = _LOOSE_LENGTH.fullmatch(value.strip()) if isinstance(value, str) else None
        hint = "write a number with ms, s, m, h or d, such as 3m"
        added = _ADDED_LENGTH.fullmatch(value.strip()) if isinstance(value, str) else None
        if loose is not None:
            unit = loose[2].lower().replace("milli", "ms")
            hint = f'write "{loose[1]}{unit}"'
        elif added is not None and any(added.groups()):
            hours, minutes, seconds = (int(part or 0) for part in added.groups())
            hint = (
                f'write "{hours * 60 + minutes}m"'
                if not seconds
                else f'write "{hours * 3600 + minutes * 60 + seconds}s"'
            )
        raise Wrong(f"{shown(value)} is not a length of time", hint)
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def _url(value: Any, schemes: tuple[str, ...] = SCHEMES) -> str:
    text = _text(value)
    told = shown(text)
    if re.search(r"[\s\x00-\x1f]", text):
        better = "".join(text.split())
        raise Wrong(
            f"{told} has a blank in it", f"write {shown(better)}" if text.strip() == better else "remove the blank"
        )
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        raise Wrong(f"the host of {told} cannot be read", "write https://host or https://host:port") from None
    try:
        _ = parts.port
    except ValueError:
        raise Wrong(f"the port of {told} is not a number from 1 to 65535", "write https://host:port") from None
    if parts.username is not None or parts.password is not None:
        raise Wrong(f"{told} carries a user or password", "leave them out; secrets are given by env or file")
    if parts.scheme not in schemes or ("://" not in text and parts.scheme):
        raise _bad_scheme(text, parts.scheme, schemes)
    if not host:
        host = text.partition(":")[2].lstrip("/\\") or "host"
        raise Wrong(f"{told} has no host", f"write {shown(f'{parts.scheme}://{host}')}")
    return text.rstrip("/")


def _bad_scheme(text: str, scheme: str, schemes: tuple[str, ...]) -> Wrong:
    told = shown(text)
    known, bare = [f"{one}://" for one in schemes], text.partition("://")[2]
    if "://" not in text and scheme in schemes:
        return Wrong(f"{told} has no host", f"write {shown(scheme + '://' + text.partition(':')[2].lstrip('/'))}")
    if "://" not in text:
        is_host = _HOST_AND_PORT.fullmatch(text) is not None
        is_local = re.match(r"localhost|127\.|\[::1\]", text) is not None
        best = "http" if is_local and "http" in schemes else schemes[0]
        hint = f"write {shown(f'{best}://{text}')}" if is_host else f"begin with {known[0]}"
        return Wrong(f"{told} does not begin with {' or '.join(known[:2])}", hint)
    if scheme in ("redis", "rediss", "tcp"):
        kind = "tcp" if scheme == "tcp" else "redis"
        hint = (
            f'write the address of its HTTP service; its port is looked at by a [[service.check]] with kind = "{kind}"'
        )
        return Wrong(f"{told} begins with {scheme}://, and a service is asked by HTTP", hint)
    near = difflib.get_close_matches(scheme, schemes, 1, 0.6)
    wanted = near[0] if near else {"ws": "http", "wss": "https"}.get(scheme, schemes[0])
    if wanted not in schemes:
        wanted = schemes[0]
    listed = ", ".join(known)
    return Wrong(
        f"{told} begins with {scheme[:20]}://, which is none of {listed}",
        f"did you mean {shown(f'{wanted}://{bare}')}?",
    )


def _web(value: Any) -> str:
    """A URL that others are made from by putting a path behind it."""
    text = _url(value, WEB)
    parts = urlsplit(text)
    for mark, what in (("?", parts.query), ("#", parts.fragment)):
        if what or mark in text:
            raise Wrong(
                f"{shown(text)} goes on with {mark}", "write the address alone; a path with a query belongs into health"
            )
    return text


def _host(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9_.:%-]{1,253}", text):
        try:
            bare = urlsplit(text).hostname if "://" in text else None
        except ValueError:
            bare = None
        raise Wrong(f"{shown(text)} is not a host", f'write "{bare}"' if bare else "write a bare name or address")
    return text


def _route(value: Any) -> str:
    text = _text(value)
    if re.search(r"[\s\x00-\x1f]", text):
        raise Wrong(f"{shown(text)} has a blank in it", "remove it, or write %20")
    if "://" in text:
        raise Wrong(
            f"{shown(text)} is a whole URL", 'write its path alone, such as "/health"; its host belongs into url'
        )
    if not text.startswith("/"):
        raise Wrong(f"{shown(text)} is not a path", f"begin with a slash: {shown('/' + text.lstrip('/')[:40])}")
    return text


def _awake(value: Any) -> str:
    text = _text(value)
    if text in ("always", "on-demand"):
        return text
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise Wrong(f"{shown(text)} is not a window", _better_window(text), ("always", "on-demand"))
    begins, ends = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if begins > 24 * 60 or ends > 24 * 60:
        raise Wrong(f"{shown(text)} goes beyond the end of the day", "write times from 00:00 to 24:00")
    if begins % (24 * 60) == ends % (24 * 60) and begins >= ends:
        raise Wrong(f"{shown(text)} has no length", "write two different times from 00:00 to 24:00")
    _zone(match[5] or "UTC")
    return text


def _better_window(text: str) -> str:
    loose = _LOOSE_WINDOW.fullmatch(text.strip())
    if loose is not None and int(loose[1]) <= 24 and int(loose[3]) <= 24:
        begins, ends = (f"{int(hour):02}:{minute or '00'}" for hour, minute in (loose.group(1, 2), loose.group(3, 4)))
        zone = loose[5] or "Europe/Berlin"
        zone = zone if _is_zone(zone) else _near_zone(zone) or "Europe/Berlin"
        return f"write {shown(f'{begins}-{ends} {zone}')}"
    return 'write always, on-demand or "08:00-24:00 Europe/Berlin"'


def _zone(value: Any) -> str:
    text = _text(value)
    if not _is_zone(text):
        near = _near_zone(text)
        hint = f"did you mean {near}?" if near else "write one such as Europe/Berlin or UTC"
        raise Wrong(f"{shown(text)} is not a time zone", hint)
    return text


def _is_zone(text: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _near_zone(text: str) -> str | None:
    from zoneinfo import available_timezones

    zones = {zone.lower(): zone for zone in available_timezones()}
    near = difflib.get_close_matches(text.lower(), zones, 1, 0.7)
    return zones[near[0]] if near else None


def _statuses(value: Any) -> tuple[int, ...]:
    entries = value if isinstance(value, list) else [value]
    if not entries:
        raise Wrong("the list is empty", "write the statuses that are good, or leave the line out for 200-299")
    found: list[int] = []
    for entry in entries:
        span = re.fullmatch(r"([1-5]\d\d)-([1-5]\d\d)", entry.strip(), re.ASCII) if isinstance(entry, str) else None
        if span is not None and (first := int(span[1])) <= (last := int(span[2])):
            found += range(first, last + 1)
            continue
        if not isinstance(entry, int) or isinstance(entry, bool) or not 100 <= entry <= 599:
            digits = isinstance(entry, str) and re.fullmatch(r"[1-5]\d\d", entry.strip())
            hint = (
                f"write {entry.strip()}, without quotes"
                if digits
                else 'write a number from 100 to 599, a range as "200-499", or a list of them'
            )
            raise Wrong(f"{shown(entry)} is not a status", hint)
        found.append(entry)
    return tuple(dict.fromkeys(found))


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Wrong(
            f"{shown(value)} is not a list", f"write [{shown(value)}]" if isinstance(value, str) else 'write ["one"]'
        )
    return tuple(_text(entry) for entry in value)


def _map(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Wrong(f"{shown(value)} is not a table", 'write { name = "value" }')
    return value


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices or isinstance(value, bool):
        listed = ", ".join(map(str, choices))
        raise Wrong(
            f"{shown(value)} is none of {listed}",
            f'write one of them in quotes, such as "{choices[0]}"',
            tuple(map(str, choices)),
        )
    return value


def _plain(value: Any, annotation: Any) -> Any:
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    if bool in kinds:
        if not isinstance(value, bool):
            said = value.strip().lower() if isinstance(value, str) else ""
            meant = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}.get(
                said
            )
            hint = f"write {meant}, without quotes" if meant else "write true or false, without quotes"
            raise Wrong(f"{shown(value)} is neither true nor false", hint)
        return value
    if float in kinds or int in kinds:
        wants_whole = float not in kinds
        if isinstance(value, bool) or not isinstance(value, int if wants_whole else int | float):
            digits = value.strip() if isinstance(value, str) and re.fullmatch(r"\s*\d{1,9}\s*", value) else None
            what = "a whole number" if wants_whole and isinstance(value, float) else "a number"
            raise Wrong(
                f"{shown(value)} is not {what}",
                f"write {digits}, without quotes" if digits else "write digits, without quotes",
            )
        return value
    return _text(value) if str in kinds else value


_READERS: Mapping[str, Any] = {
    "text": _text, "name": _name, "seconds": _seconds, "url": _url, "web": _web, "host": _host, "path": _text,
    "route": _route, "awake": _awake, "zone": _zone, "statuses": _statuses, "texts": _texts, "map": _map,
}  # fmt: skip
