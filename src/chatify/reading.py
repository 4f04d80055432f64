"""From the text of a variable to its value: one reader for each kind, which says where a text goes wrong and what to write.

Readers take what is already a value as it is, so that settings can also be made in code. What they show of a text is only
what they know to be harmless (`chatify.mistakes`).
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, SecretStr

from chatify.mistakes import Wrong, as_error, host_shown, unshown, word_shown
from chatify.placeholders import is_placeholder

__all__ = [
    "Boolean", "Host", "HttpUrl", "Key", "Level", "Name", "Origins", "PythonVersion", "RedisUrl", "Seconds",
    "Whole", "choice", "is_true",
]  # fmt: skip

_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’"}
_SCHEMES = {
    "http", "https", "redis", "rediss", "ws", "wss", "tcp", "unix", "ftp", "postgres", "postgresql", "mysql", "mongodb",
}  # fmt: skip


def _bare(text: str) -> str:
    """`text` without blanks round it, when it stands in no quotes."""
    plain = text.strip()
    if len(plain) >= 2 and _QUOTES.get(plain[0]) == plain[-1]:
        column = text.index(plain[0]) + 1
        problem = "quotes_in_value" if plain[0] in "\"'`" else "smart_quotes"
        raise as_error(
            Wrong(
                problem=problem,
                message="the quotes are part of the value",
                column=column,
                fix="remove the quotes around it",
            )
        )
    return plain


def _word(text: str, wanted: tuple[str, ...], message: str, default: str) -> str:
    """One of `wanted`, exactly as written there; the nearest of them is the fix."""
    plain = _bare(text)
    if plain in wanted:
        return plain
    first, _, rest = plain.partition(" ")
    if first in wanted and rest:
        column = text.index(first) + len(first) + 1 + len(rest) - len(rest.lstrip()) + 1
        raise as_error(
            Wrong(
                problem="bad_type", message=f"text left after {first}", column=column, found=word_shown(rest.strip()),
                fix=f"write {first} and nothing after it",
            )
        )  # fmt: skip
    near = difflib.get_close_matches(plain.casefold(), [one.casefold() for one in wanted], 1, 0.5)
    suggestion = next((one for one in wanted if near and one.casefold() == near[0]), default)
    raise as_error(
        Wrong(problem="bad_type", message=message, found=word_shown(text, wanted), fix=f"write {suggestion}")
    )


def choice(*names: str, default: str) -> BeforeValidator:
    """Reader of a variable that is one of a few names."""
    known = f"not one of {', '.join(names)}"
    return BeforeValidator(lambda value: _word(str(value), names, known, default))


_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def is_true(text: str) -> bool:
    """Whether a boolean variable says true; what cannot be read does not."""
    return text.strip().lower() in _TRUE


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value)
    plain = text.strip().lower()
    if plain in _TRUE or plain in _FALSE:
        return plain in _TRUE
    near = difflib.get_close_matches(_bare(text).lower(), ("true", "false"), 1, 0.6)
    _word(text.lower(), ("true", "false"), "neither true nor false", near[0] if near else "false")
    raise AssertionError("unreachable: true and false were read above")


def _whole(value: object) -> int:
    if isinstance(value, int):
        return value
    text = str(value)
    plain = _bare(text)
    if re.fullmatch(r"[+-]?[0-9]{1,12}", plain):
        return int(plain)
    bad = re.search(r"[^0-9\s]", text)
    after = re.match(r"\s*([0-9]{1,6})\s", text)
    if bad and after:
        message, fix = "text left after the number", f"write {after[1]} and nothing after it"
    else:
        message, fix = "not a whole number", "write digits only"
    column = bad.start() + 1 if bad else 1
    found = word_shown(text) or (word_shown(text[column - 1 :]) if bad and after else None)
    raise as_error(Wrong(problem="bad_type", message=message, column=column, found=found, fix=fix))


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> float:
    if isinstance(value, int | float):
        return float(value)
    text = str(value)
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([smhd]?)", _bare(text))
    if match is None:
        bad = re.search(r"[^0-9.\s]", text)
        raise as_error(
            Wrong(
                problem="bad_type", message="not a length of time", column=bad.start() + 1 if bad else 1,
                found=word_shown(text), fix="write seconds, or a number with s, m, h or d: 24h",
            )
        )  # fmt: skip
    return float(match[1]) * _UNITS_S[match[2] or "s"]


def _url_shown(parts: SplitResult) -> str | None:
    host = host_shown((parts.hostname or "").lower())
    return None if host is None or parts.scheme not in _SCHEMES else f"{parts.scheme}://{host}"


def _check_url(text: str, schemes: tuple[str, ...], *, is_secret: bool) -> str:
    plain = _bare(text)
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)

    def wrong(problem: str, message: str, column: int, fix: str, found: str | None = None) -> Exception:
        return as_error(Wrong(problem=problem, message=message, column=column, fix=fix, found=found))

    if text != plain:
        lead = len(text) - len(text.lstrip())
        if lead:
            raise wrong("leading_whitespace", "blanks before the URL", 1, "remove them", "a blank")
        raise wrong("trailing_whitespace", "blanks after the URL", len(text.rstrip()) + 1, "remove them", "a blank")
    blank = re.search(r"\s", text)
    if blank and "://" in text[: blank.start()]:
        column = blank.end() + len(text[blank.end() :]) - len(text[blank.end() :].lstrip()) + 1
        raise wrong("bad_type", "text left after the URL", column, "keep the URL alone")
    if blank:
        fix = f"keep the URL alone: what begins with {wanted}"
        raise wrong("bad_type", "more than a URL", 1, fix)
    odd = re.search(r"[\"'<>`{}“”‘’\x00-\x1f]", text)
    if odd:
        raise wrong("bad_type", "no URL holds this character", odd.start() + 1, "remove it", f"U+{ord(odd[0]):04X}")
    if "://" not in text:
        raise wrong(
            "missing_scheme",
            "a URL needs its scheme",
            1,
            f"begin with {wanted}",
            None if is_secret else host_shown(text),
        )
    at_host = text.index("://") + 4
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        fix = "write scheme://host:port with a port from 1 to 65535, and what is odd in a password as %XX"
        raise wrong("bad_type", "its host or port cannot be read", at_host, fix) from None
    if parts.scheme not in schemes:
        scheme = f"{parts.scheme}://" if parts.scheme in _SCHEMES else None
        raise wrong("wrong_scheme", "another scheme is needed", 1, f"begin with {wanted}", scheme)
    if not host:
        raise wrong("bad_type", "the URL has no host", at_host, "write the host after ://")
    return text


def _url(*schemes: str, is_secret: bool = False) -> BeforeValidator:
    return BeforeValidator(lambda value: _check_url(_plain(value), schemes, is_secret=is_secret))


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


# --- BACKEND_CORS_ORIGINS ---------------------------------------------------------------------------------------------

_EXAMPLE = 'write exactly a JSON list: ["https://a.example", "https://b.example"]'
_DEFAULT_PORTS = {"http": 80, "https": 443}


def _kind_of(value: object) -> str:
    kinds = {str: "a text", dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _origin(entry: object, column: int) -> Wrong | None:
    """What keeps `entry` from ever being equal to the `Origin` that a browser sends (RFC 6454, 6.2)."""
    if entry == "*":
        return None
    if not isinstance(entry, str):
        return Wrong(
            problem="not_json_list",
            message="an entry is not a text",
            column=column,
            found=_kind_of(entry),
            fix='write each as "https://host"',
        )
    try:
        parts = urlsplit(entry)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in _DEFAULT_PORTS or re.search(r"[\s*\\,]", entry):
        known = host_shown(entry.lower())
        return Wrong(
            problem="missing_scheme", message="not an origin", column=column, found=known,
            fix=f"write https://{known}" if known and known == entry else "write scheme://host or scheme://host:port",
        )  # fmt: skip
    shown = _url_shown(parts)
    port_text = f":{port}" if port and port != _DEFAULT_PORTS[parts.scheme] else ""
    exact_host = f"[{host}]" if ":" in host else host
    exact = f"{parts.scheme}://{exact_host}{port_text}"
    if entry == exact:
        return None
    fix = f"write {shown}{port_text}" if shown else "write scheme://host in small letters, without anything after it"
    if entry.rstrip("/") == exact:
        message, found = "a trailing slash, which no browser sends", f"{shown}{port_text}/" if shown else None
    elif parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        message, found = "more than scheme, host and port, which is all a browser sends", None
        found = f"{shown}{port_text} with something more" if shown else None
    else:
        message = "a browser writes it otherwise (small letters, no :80 or :443)"
        found = entry if shown and len(entry) <= 80 and shown == f"{parts.scheme}://{host}" else None
    return Wrong(problem="trailing_slash_origin", message=message, column=column, found=found, fix=fix)


def _entries(text: str, at: int) -> Iterator[tuple[object, int]]:
    """Each entry of the JSON list that begins at `at`, with its 1-based column; a text's column is that of its first letter."""
    decoder, at = json.JSONDecoder(), at + 1
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        if text[at] == "]":
            return
        entry, end = decoder.raw_decode(text, at)
        yield entry, at + 2 if isinstance(entry, str) else at + 1
        at = end


def _as_comma_list(text: str) -> str | None:
    """The JSON list that a comma-separated list of origins was meant to be, when it is one and harmless to show."""
    origins = [one.strip() for one in text.strip().strip("[]").split(",") if one.strip()]
    try:
        sound = all(_origin(one, 1) is None and (one == "*" or _url_shown(urlsplit(one))) for one in origins)
    except ValueError:
        return None
    return json.dumps(origins) if origins and len(origins) <= 10 and sound else None


def _origins(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        wrongs = [wrong for entry in value if (wrong := _origin(entry, 1))]
        if wrongs:
            raise as_error(*wrongs)
        return tuple(value)
    text = str(value)
    _bare(text)
    start = len(text) - len(text.lstrip())
    try:
        found, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        meant = _as_comma_list(text)
        at = min(getattr(error, "pos", 0), len(text))
        here = text[at : at + 1]
        shown = "the end" if not here else unshown(text) if here.isalnum() else f"U+{ord(here):04X} ({here})"
        if not here.isprintable():
            shown = f"U+{ord(here):04X}"
        raise as_error(
            Wrong(
                problem="not_json_list", message="not a JSON list", column=at + 1, found=shown,
                fix=f"write {meant}" if meant else _EXAMPLE,
            )
        ) from None  # fmt: skip
    wrongs = []
    if isinstance(found, list):
        wrongs += [wrong for entry, column in _entries(text, start) if (wrong := _origin(entry, column))]
    else:
        what = _kind_of(found)
        wrongs.append(
            Wrong(problem="not_json_list", message="JSON, but not a list", column=start + 1, found=what, fix=_EXAMPLE)
        )
    rest = text[end:]
    if rest.strip():
        column = end + len(rest) - len(rest.lstrip()) + 1
        left = word_shown(rest.strip())
        fix = f"remove {left!r} at the end" if left else f"remove everything from column {column} on"
        wrongs.append(
            Wrong(
                problem="json_trailing_garbage", message="text left after the JSON list", column=column,
                found=left or unshown(rest.strip()), fix=fix,
            )
        )  # fmt: skip
    if wrongs:
        raise as_error(*wrongs)
    return tuple(found)


# --- the others -------------------------------------------------------------------------------------------------------


def _version(value: object) -> str:
    text = str(value)
    plain = _bare(text)
    if not re.fullmatch(r"3\.[0-9]{1,2}\.[0-9]{1,2}((a|b|rc)[0-9]{1,2})?", plain):
        is_version = re.fullmatch(r"(python-?)?[0-9.]{1,9}", plain) is not None
        raise as_error(
            Wrong(
                problem="python_version_no_patch", message="not a full Python version",
                found=text if is_version else word_shown(text), fix="write all three parts: 3.11.9",
            )
        )  # fmt: skip
    return plain


_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _host(value: object) -> str:
    text = str(value)
    plain = _bare(text)
    if "://" in plain or "/" in plain:
        raise as_error(
            Wrong(problem="scheme_in_host_field", message="a host is a bare name or address", fix="write 0.0.0.0")
        )
    odd = re.search(r"[^\w.:%-]", plain)
    if odd:
        column = text.index(plain) + odd.start() + 1
        raise as_error(
            Wrong(
                problem="bad_type", message="no host holds this character", column=column,
                found="a blank" if odd[0].isspace() else f"U+{ord(odd[0]):04X}", fix="write 0.0.0.0",
            )
        )  # fmt: skip
    if re.fullmatch(r"[0-9.]+", plain) and not _is_ipv4(plain):
        column = text.index(plain) + 1
        known = text if re.fullmatch(r"(?:[0-9]{1,3}\.){1,5}[0-9]{1,3}", text) else word_shown(text)
        raise as_error(
            Wrong(
                problem="bad_type", message="not an IPv4 address: four numbers from 0 to 255", column=column,
                found=known, fix="write 0.0.0.0",
            )
        )  # fmt: skip
    return plain


def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(re.fullmatch("[0-9]{1,3}", part) and int(part) <= 255 for part in parts)


def _level(value: object) -> str:
    text = str(value)
    if _bare(text).upper() in _LEVELS:  # small letters are as good
        return _bare(text).upper()
    return _word(text, _LEVELS, f"not one of {', '.join(_LEVELS)}", "INFO")


def _key(value: object) -> str:
    """A key that is sent in a header; a placeholder is let through, for it means: no key."""
    text = _plain(value)
    _bare(text)
    if is_placeholder(text):
        return text
    odd = re.search(r"[^\x21-\x7e]", text)
    if odd:
        at_end = odd.start() == len(text.rstrip())
        raise as_error(
            Wrong(
                problem="trailing_whitespace" if at_end else "non_ascii_char", message="no key holds this character",
                column=odd.start() + 1, found="a blank" if odd[0].isspace() else f"U+{ord(odd[0]):04X}",
                fix="paste the key again, without anything before or after it",
            )
        )  # fmt: skip
    return text


def _name(value: object) -> str:
    return _bare(str(value))


def _reader(read: Callable[[Any], object]) -> BeforeValidator:
    return BeforeValidator(read)


Boolean = Annotated[bool, _reader(_boolean)]
Whole = Annotated[int, _reader(_whole)]
Seconds = Annotated[float, _reader(_seconds)]
Name = Annotated[str, _reader(_name)]
Host = Annotated[str, _reader(_host)]
Level = Annotated[str, _reader(_level)]
PythonVersion = Annotated[str, _reader(_version)]
HttpUrl = Annotated[str, _url("http", "https")]
RedisUrl = Annotated[SecretStr, _url("redis", "rediss", is_secret=True)]
Origins = Annotated[tuple[str, ...], _reader(_origins)]
Key = Annotated[SecretStr, _reader(_key)]
