"""What is wrong with a fleet file, and how it is told. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from everwake.errors import Misused
from everwake.fleet.redact import redact

__all__ = ["BadFleet", "Mistake", "not_toml", "place_name"]

_BARE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = re.compile(r"\s*[\w.\"'-]{1,80}\s*$")


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake: line and column from 1, where in the file's own words, what, and what to do. Holds no secret."""

    line: int
    column: int
    where: str
    message: str
    hint: str | None = None

    def told(self, path: str) -> str:
        """As an editor understands it."""
        text = f"{path}:{self.line}:{self.column}: {self.where + ': ' if self.where else ''}{self.message}"
        return text if self.hint is None else f"{text}\n  hint: {self.hint}"


class BadFleet(Misused):
    """The file cannot be used. mistakes: every one of them, in the order of the file."""

    def __init__(self, path: str, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda one: (one.line, one.column, one.where, one.message)))
        super().__init__("\n".join(mistake.told(path) for mistake in self.mistakes))


def place_name(path: tuple[str | int, ...]) -> str:
    """A path in the file's own words: `service[2].every`, the first of a list being 1."""
    words = (f"[{part + 1}]" if isinstance(part, int) else f".{_key(part)}" for part in path)
    return "".join(words).lstrip(".")


def _key(name: str) -> str:
    if _BARE.fullmatch(name):
        return name
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in redact(name[:200]))
    return f'"{text if len(text) <= 40 else text[:39] + "…"}"'


def not_toml(text: str, error: ValueError) -> Mistake:
    """Where and why the file is no TOML, with the line that says so, and what was probably meant."""
    # Python 3.14 gives lineno and colno; before that the place stands only in the message.
    line, column = getattr(error, "lineno", 0), getattr(error, "colno", 0)
    message = str(getattr(error, "msg", error))
    found = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
    lines = text.split("\n")
    if found is not None:
        message = str(error)[: found.start()]
        line, column = (int(found[1]), int(found[2])) if found[1] else (len(lines), len(lines[-1]) + 1)
    if not line and "digits" in message:  # a number that Python does not even read
        line, column, message = _longest_number(lines), 1, "a number with thousands of digits"
    line, column = line or 1, column or 1
    written = lines[min(line, len(lines)) - 1]
    quoted = "".join(char for char in redact(written[:400]).strip() if char.isprintable())
    if message.startswith("a number with"):
        return Mistake(line, column, "", f"is not TOML: {message}", "write a number that a person can read")
    quoted = quoted if len(quoted) <= 60 else f"{quoted[:59]}…"
    said = f"is not TOML: {message[:1].lower()}{message[1:]}"
    return Mistake(line, column, "", f"{said}: {quoted}" if quoted else said, _probably(written))


def _longest_number(lines: list[str]) -> int:
    return max(range(len(lines)), key=lambda n: sum(char.isdigit() for char in lines[n])) + 1


def _probably(line: str) -> str:
    """What was meant by a line that is no TOML, judged by the line alone."""
    key, equals, value = line.partition("=")
    bare = re.sub(r"\s#.*$", "", value).strip()
    if line.strip().startswith("[") and not equals:
        return "a table's name stands in brackets: [fleet], and in two for each of many: [[service]]"
    if not equals:
        colon = re.match(r"\s*([\w-]{1,40})\s*:\s*(.{0,60})$", line)
        return f"write {colon[1]} = .. with an equals sign" if colon else 'write name = "value"'
    if not _KEY.match(key):
        return "a setting's name has letters, digits, - and _"
    if bare.lower() in ("true", "false", "yes", "no", "on", "off") and bare not in ("true", "false"):
        return f"write {'true' if bare.lower() in ('true', 'yes', 'on') else 'false'}, in small letters"
    if not bare:
        return 'write a value behind the equals sign, such as "text"'
    if bare[0] in "\"'" and (len(bare) < 2 or bare[-1] != bare[0]):
        return "a text ends with the quote that it begins with, on the same line"
    if bare[0] in "[{":
        return "every bracket that is opened is closed, and entries stand apart by commas"
    if bare[0] in "\"'":
        return "every setting stands once, on a line of its own"
    return f'texts need quotes: {redact(key.strip())[:40]} = "{redact(bare)[:40]}"'
