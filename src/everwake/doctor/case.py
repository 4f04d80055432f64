"""What a rule is given and what it answers. Pure.

A rule looks at one variable (`look`), at all of them together (`look_at_all`) or at the file's text (`look_at_file`), and
yields hits. The engine (`examination`) places, masks and ranks them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from everwake.doctor.context import Context
from everwake.doctor.declared import Declared
from everwake.doctor.kinds import Kind
from everwake.doctor.urls import Url, dissect
from everwake.doctor.variables.dotenv import Document, Entry

__all__ = ["Case", "Edit", "Example", "Hit", "Rule", "Variable"]

Edit = tuple[int, int, str]  # (from, to, instead), offsets into Variable.value; for a file's rules into the file's text


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable as the rules see it. raw: as its reader hands it over.   value: raw without what an earlier rule found too
    much (quotes, blanks), it begins at raw[start].   entry: its assignment, where it came from a file."""

    key: str
    raw: str
    value: str
    start: int
    kind: Kind
    declared: Declared | None = None
    entry: Entry | None = None

    @property
    def url(self) -> Url | None:
        """The value as a URL, or None where it is none."""
        return dissect(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The whole of what is looked at. values: variable -> value without what is too much.   document: the file, if one."""

    context: Context
    values: Mapping[str, str]
    document: Document | None = None
    is_production: bool = False
    is_development: bool = False

    @property
    def is_compose(self) -> bool:
        """Whether containers of one compose file run these: their names are hosts then."""
        said = f"{self.context.platform} {self.context.reader}".lower()
        return self.context.platform == "docker" or "compose" in said or self.context.platform == "kubernetes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something that a rule saw. at, end: of the offending text in Variable.value (in the text, for a file's rule).

    edits: what mends it, where there is exactly one safe answer.   keep: the part of the value that is meant, where the rest is
    too much; the rules after this one see only that.   stops: nothing further can be said of this value.
    """

    problem: str
    fix: str
    at: int | None = 0
    end: int | None = None
    key: str = ""
    edits: tuple[Edit, ...] = ()
    keep: tuple[int, int] | None = None
    stops: bool = False
    is_error: bool | None = None
    line: int | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A case that a rule was made for: what it finds, as "KEY problem"; empty for a counter-example."""

    finds: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


Looks = Callable[[Variable, Case], Iterator[Hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A family of problems. about: one sentence for the docs.   problems: the names it may give.

    stage: "text" looks at signs that are too much, again until nothing is left; "value" at what is meant.
    examples: run by a test; every problem of the rule has one, and each rule has counter-examples.
    """

    name: str
    about: str
    problems: tuple[str, ...]
    look: Looks | None = None
    look_at_all: Callable[[Case], Iterator[Hit]] | None = None
    look_at_file: Callable[[Document, Case], Iterator[Hit]] | None = None
    stage: str = "value"
    order: int = 50
    examples: Iterable[Example] = ()
