"""What is wrong with a variable, told without ever showing a secret.

Somebody may have pasted a secret into any variable, in any mangled form. So nothing of a value is shown unless it is
known to be harmless: every reader in `chatify.reading` says what it may show, and `unshown` is what it says otherwise.
"""

import re
from dataclasses import dataclass
from typing import Any, cast

from pydantic_core import PydanticCustomError

__all__ = ["BadSettings", "Mistake", "Wrong", "as_error", "host_shown", "unshown", "word_shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong with one variable. column: 1-based, None when the whole value or its absence is the mistake.

    problem: stable name, for programs.   found: what stands there, or that it is not shown.
    """

    variable: str
    problem: str
    message: str
    column: int | None
    found: str
    fix: str

    def __str__(self) -> str:
        where = self.variable if self.column is None else f"{self.variable}, column {self.column}"
        return f"{where}: {self.message}\n    found: {self.found}\n    fix:   {self.fix}"


class BadSettings(Exception):  # noqa: N818 - reads as what it is
    """The variables cannot be used. mistakes: every one of them, in the order of the variables."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = mistakes
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__("\n".join([f"{count} in the variables:", *(f"  {m}" for m in mistakes)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A mistake before it is known whose it is. found: None for "so many characters, not shown"."""

    problem: str
    message: str
    fix: str
    column: int | None = 1
    found: str | None = None


def as_error(*wrongs: Wrong) -> Exception:
    """What a reader raises: pydantic collects it and goes on with the other variables."""
    return PydanticCustomError(cast(Any, "unreadable"), cast(Any, "unreadable"), {"wrongs": wrongs})


def unshown(value: str) -> str:
    """Of a value that may hold a secret only its length is told."""
    return f"{len(value)} characters, not shown" if len(value) != 1 else "1 character, not shown"


def word_shown(value: str, wanted: tuple[str, ...] = ()) -> str | None:
    """`value` when it is too short to be a secret, or one of `wanted` in disguise; else None."""
    plain = value.strip().strip("\"'`“”‘’").casefold()
    if len(value) <= 6 and value.isprintable():
        return value
    return value if plain in {one.casefold() for one in wanted} and len(value) <= len(plain) + 8 else None


# Part of a host name as people and platforms make them: words, short numbers, the short random tail of a free host.
_RUN = re.compile(r"[a-z]{1,14}|[0-9]{1,5}|[a-z0-9]{1,6}")


def host_shown(host: str) -> str | None:
    """A host name or address that nobody would take for a secret; else None."""
    if len(host) > 80 or not re.fullmatch(r"[a-z0-9.:-]+", host):
        return None
    labels = host.split(".")
    if host != "localhost" and len(labels) < 2 and not re.fullmatch(r"[0-9a-f:]{2,39}", host):
        return None
    runs = [run for run in re.split(r"[.:-]+", host) if run]
    mixed = [run for run in runs if not run.isalpha() and not run.isdigit()]
    return host if len(mixed) <= 1 and all(_RUN.fullmatch(run) for run in runs) else None
