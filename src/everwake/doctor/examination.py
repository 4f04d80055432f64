"""Examine variables: which rules look at what, and what they saw, placed and masked. Pure.

    examine({"PORT": "'8000'"}, {"platform": "render"})
    examine("PORT='8000'\\n", {"reader": "docker run --env-file"})

A value is looked at in two steps. First what is too much of it (quotes kept, blanks, a comment) is found and set aside; then what
is meant is held against what it is for. A value of more than 64 KiB is not looked into, and that is said; of what is masked with
`***` nothing is said. So a quoted `redis://` that needs TLS has two problems, each with its own place.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from everwake.doctor import problems
from everwake.doctor.case import Case, Edit, Hit, Rule, Variable
from everwake.doctor.context import Context
from everwake.doctor.kinds import HTTP_WORDS, SECRETS, URLS, Kind, kind_of_name, kind_of_type, kind_of_value, words_of
from everwake.doctor.rules import rules
from everwake.doctor.rules.reading import plain_key
from everwake.doctor.showing import Excerpt, excerpt, found_text, shown_key, worth_hiding
from everwake.doctor.urls import dissect
from everwake.doctor.variables.dialects import PLAIN, dialect_of
from everwake.doctor.variables.dotenv import Document, Entry, parse
from everwake.fleet.redact import redact_with
from everwake.variable_problem import VariableProblem

__all__ = ["Finding", "Study", "apply", "examine", "kind_of", "study"]

_ROUNDS = 6
_MOST_HITS = 20  # of one rule at one variable: a list of a thousand wrong entries is told by its first
_MOST_VARIABLES = 20_000
_LONGEST = 65_536
_LONGEST_OF_LINUX = 131_072  # MAX_ARG_STRLEN, execve(2): name, = and value of one variable
_MAY_BE_LONG = SECRETS | {Kind.TEXT, Kind.JSON}
_MASKED = re.compile(
    r"(?<!\*)\*{3}(?!\*)"
)  # fleet.redact's mask; more stars are a key that was copied from a dashboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem with what is needed to show and mend it. file_column: in the file's line, from 1.

    value_edits: into the value as it is read.   text_edits: into the text.   excerpt: the value as it may be shown.
    """

    problem: VariableProblem
    name: str
    excerpt: Excerpt | None = None
    file_column: int | None = None
    value_edits: tuple[Edit, ...] = field(default=(), repr=False)
    text_edits: tuple[Edit, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything that was found, in the order of the file. secrets: what no message may hold.   values: as they are read.

    write: the edit of the text that gives a variable another value; None where the text cannot say it.
    """

    findings: tuple[Finding, ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    write: Callable[[str, str], Edit | None] | None = field(default=None, repr=False, compare=False)

    @property
    def problems(self) -> tuple[VariableProblem, ...]:
        """What is wrong, as the rest of the house takes it."""
        return tuple(finding.problem for finding in self.findings)


def examine(
    variables: "Mapping[str, str] | str", context: "Context | Mapping[str, Any] | None" = None
) -> tuple[VariableProblem, ...]:
    """What is wrong with variables, or with the text of a file of them; nothing for a healthy set.

    context: a `Context`, or the same as data (`reader`, `type`, `environment`, `expected_keys`, `siblings`, ..).
    """
    return study(variables, context).problems


def study(variables: "Mapping[str, str] | str", context: "Context | Mapping[str, Any] | None" = None) -> Study:
    """The same with places, excerpts and edits."""
    known = context if isinstance(context, Context) else Context.of(context or {})
    document = None
    if isinstance(variables, str):
        document = parse(variables, dialect_of(known.reader) or PLAIN)
        entries = {plain_key(entry.key): entry for entry in document.entries if entry.value is not None}
        values = {key: entry.value or "" for key, entry in entries.items()}
    else:
        entries, values = {}, dict(list(variables.items())[:_MOST_VARIABLES])
    return _Examination(known, values, entries, document).study()


def kind_of(key: str, value: str, context: Context, *, alone: bool = False) -> Kind:
    """What a variable is for. alone: it is the only one, so that `context.type` is about it."""
    declared = context.declared.get(key)
    if declared is not None:
        return declared.kind
    named = kind_of_name(key)
    if context.type and alone:
        typed = kind_of_type(context.type)
        if (
            typed is Kind.JSON
            and named in (Kind.ORIGINS, Kind.JSON_ORIGINS)
            and not context.type.lower().startswith("dict")
        ):
            return Kind.JSON_ORIGINS
        if typed is not None and not (typed is Kind.SECRET and named in SECRETS):
            return typed
        if named is Kind.JSON_ORIGINS:
            return Kind.ORIGINS
    if named in (Kind.TEXT, Kind.URL):
        seen = kind_of_value(value)
        return seen if seen is not Kind.TEXT else named
    if named is Kind.HTTP_URL and not HTTP_WORDS & set(words_of(key)):
        seen = kind_of_value(value)
        return seen if seen in URLS else named
    if named is Kind.PATH and "-----BEGIN " in value[:200]:
        return Kind.PEM
    return Kind.PEM if named in SECRETS and "-----BEGIN " in value[:200] and "{" not in value[:100] else named


class _Examination:
    def __init__(
        self, context: Context, values: dict[str, str], entries: Mapping[str, Entry], document: Document | None
    ) -> None:
        self.context, self.values, self.entries, self.document = context, values, entries, document
        self.case = self.case_of(values)
        self.starts = _line_starts(document.text) if document is not None else [0]
        self.found: list[tuple[str, Variable | None, Hit]] = []

    def case_of(self, values: Mapping[str, str]) -> Case:
        return Case(
            context=self.context, values=values, document=self.document, is_production=self.context.is_production(values),
            is_development=self.context.is_development(values),
        )  # fmt: skip

    def study(self) -> Study:
        alone = len(self.values) == 1
        text_rules = [rule for rule in rules() if rule.look is not None and rule.stage == "text"]
        value_rules = [rule for rule in rules() if rule.look is not None and rule.stage == "value"]
        peeled: list[tuple[Variable, bool]] = []
        for key, value in self.values.items():
            kind = kind_of(key, value, self.context, alone=alone)
            variable = Variable(
                key=key,
                raw=value,
                value=value,
                start=0,
                kind=kind,
                declared=self.context.declared.get(key),
                entry=self.entries.get(key),
            )
            peeled.append(self.too_long(variable) if len(value) > _LONGEST else self.peel(variable, text_rules))
        self.case = self.case_of({variable.key: variable.value for variable, _ in peeled})
        for variable, stops in peeled:
            if not stops:
                self.look(variable, value_rules)
        self.look_at_all()
        return self.told()

    def too_long(self, variable: Variable) -> tuple[Variable, bool]:
        """A value beyond 64 KiB is not looked into, and that is said; what can never be so long is an error."""
        is_refused = len(variable.value) >= _LONGEST_OF_LINUX
        fix = "shorten it: " + (
            "Linux starts no program with a variable of more than 128 KiB"
            if is_refused
            else "beyond 64 KiB nothing of a value is examined"
        )
        is_error = is_refused or variable.kind not in _MAY_BE_LONG
        hit = Hit(
            problem="bad_type", fix=fix, at=None, line=variable.entry.line if variable.entry is not None else None,
            found=f"{len(variable.value)} characters", is_error=is_error,
        )  # fmt: skip
        self.found.append((variable.key, variable, hit))
        return variable, True

    def hits(self, rule: Rule, variable: Variable) -> list[Hit]:
        """What one rule says. What is masked in the value is not known, so nothing is said of it."""
        assert rule.look is not None
        found = list(islice(rule.look(variable, self.case), _MOST_HITS))
        hidden = [each.span() for each in _MASKED.finditer(variable.value)] if "***" in variable.value else []
        if not hidden:
            return found
        size = len(variable.value)
        return [
            hit
            for hit in found
            if hit.at is not None
            and not any(start < (size if hit.end is None else hit.end) and hit.at < end for start, end in hidden)
        ]

    def peel(self, variable: Variable, text_rules: list[Rule]) -> tuple[Variable, bool]:
        """The variable without what is too much of it, and whether nothing further can be said of it."""
        stops, seen = False, set()
        for _ in range(_ROUNDS):
            narrowed = False
            for rule in text_rules:
                for hit in self.hits(rule, variable):
                    place = (hit.problem, None if hit.at is None else variable.start + hit.at)
                    if place in seen:
                        continue
                    if hit.problem:
                        seen.add(place)
                        self.found.append((variable.key, variable, hit))
                    stops = stops or hit.stops or (bool(hit.edits) and hit.keep is None)
                    if hit.keep is not None:
                        keep = hit.keep
                        narrowed = True
                if narrowed:
                    variable = replace(
                        variable, value=variable.value[keep[0] : keep[1]], start=variable.start + keep[0]
                    )
                    break
            if not narrowed or stops:
                break
        if variable.start or variable.value != variable.raw:
            kind = kind_of(variable.key, variable.value, self.context, alone=len(self.values) == 1)
            variable = replace(variable, kind=kind)
        return variable, stops

    def look(self, variable: Variable, value_rules: list[Rule]) -> None:
        for rule in value_rules:
            for hit in self.hits(rule, variable):
                self.found.append((variable.key, variable, hit))
                if hit.stops:
                    return
                if hit.keep is not None:
                    variable = replace(
                        variable, value=variable.value[hit.keep[0] : hit.keep[1]], start=variable.start + hit.keep[0]
                    )

    def look_at_all(self) -> None:
        told = {key for key, _, _ in self.found}
        for rule in rules():
            if rule.look_at_all is not None:
                for hit in rule.look_at_all(self.case):
                    if hit.problem and not (hit.problem == "empty_value" and hit.key in told):
                        self.found.append((hit.key, None, hit))
            if rule.look_at_file is not None and self.document is not None:
                for hit in rule.look_at_file(self.document, self.case):
                    self.found.append((hit.key, None, hit))

    # --- telling ----------------------------------------------------------------------------------------------------------

    def secrets(self) -> tuple[str, ...]:
        held = []
        for key, raw in self.values.items():
            # Taken bare: as it is shown, it may have lost the quotes and blanks round it.
            value = raw.strip().strip("\"'`“”‘’<> \t\r\n")
            if kind_of(key, raw, self.context) in SECRETS:
                held += [value, *(line for line in value.splitlines() if len(line) > 8)]
            url = dissect(value[:_LONGEST])
            if url is not None and url.password:
                held.append(url.password)
        return tuple(each for each in dict.fromkeys(held) if worth_hiding(each))

    def told(self) -> Study:
        secrets = self.secrets()
        mended = self.mended()
        order = {key: at for at, key in enumerate(self.values)}
        findings = [self.finding(key, variable, hit, secrets, mended) for key, variable, hit in self.found]
        findings.sort(key=lambda one: (one.problem.line or 0, order.get(one.name, len(order)), one.problem.column or 0))
        return Study(
            findings=tuple(dict.fromkeys(findings)), secrets=secrets, values=self.values,
            write=None if self.document is None else self.write,
        )  # fmt: skip

    def write(self, key: str, value: str) -> Edit | None:
        """How the file would say the new value: as it was written, else in quotes; None where its reader cannot have it."""
        entry = self.entries.get(key)
        if entry is None or self.document is None:
            return None
        wide = 1 if entry.quote else 0
        start, end = entry.value_at - wide, entry.value_end + wide
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        tries = [f"{entry.quote}{value}{entry.quote}", value, f"'{value}'", f'"{value}"', f'"{escaped}"', f"`{value}`"]
        for tried in tries:
            line_start = self.document.text.rfind("\n", 0, entry.at) + 1
            around = self.document.text[line_start:start] + tried + self.document.text[end : end + 400]
            alone = parse(around, self.document.dialect)
            read = next((one for one in alone.entries if one.at == entry.at - line_start), None)
            if read is not None and read.value == value and read.key == entry.key:
                return start, end, tried
        return None

    def mended(self) -> dict[str, str]:
        """Variable -> what it should be, where something of it has one safe answer: all such edits at once."""
        edits: dict[str, list[Edit]] = {}
        for key, variable, hit in self.found:
            if variable is not None:
                edits.setdefault(key, []).extend(
                    (variable.start + at, variable.start + end, text) for at, end, text in hit.edits
                )
        return {key: apply(self.values[key], each) for key, each in edits.items() if each}

    def finding(
        self, key: str, variable: Variable | None, hit: Hit, secrets: tuple[str, ...], mended: Mapping[str, str]
    ) -> Finding:
        entry = self.entries.get(key)
        line = hit.line if hit.line is not None else entry.line if entry is not None and hit.at is not None else None
        column = file_column = None
        shown: Excerpt | None = None
        found = hit.found
        if variable is not None and hit.at is not None:
            end = len(variable.value) if hit.end is None else hit.end
            column = variable.start + hit.at + 1
            if found is None:
                found = found_text(variable.value, variable.kind, hit.at, end, secrets)
            shown = excerpt(variable.raw, variable.kind, variable.start + hit.at, variable.start + end, secrets)
            if entry is not None and self.document is not None:
                place = entry.value_at + (column - 1 if entry.is_plain else 0)
                line, file_column = _place(self.starts, place)
        elif hit.at is not None and self.document is not None:
            line, file_column = _place(self.starts, hit.at)
            column = file_column
        value_edits = (
            tuple((variable.start + at, variable.start + end, text) for at, end, text in hit.edits)
            if variable is not None
            else ()
        )
        quiet = tuple(each for each in secrets if len(each) >= 6)
        problem = VariableProblem(
            key=shown_key(key), problem=hit.problem,
            is_error=problems.is_error(hit.problem) if hit.is_error is None else hit.is_error,
            fix=redact_with(hit.fix, quiet, 300), line=line, column=column, found=redact_with(found or "", quiet, 120),
            service=self.context.service or None, value=mended.get(key) if value_edits else None,
        )  # fmt: skip
        return Finding(
            problem=problem, name=key, excerpt=shown, file_column=file_column, value_edits=value_edits,
            text_edits=hit.edits if variable is None else (),
        )  # fmt: skip


def apply(text: str, edits: "list[Edit] | tuple[Edit, ...]") -> str:
    """The text with its edits made; of two that overlap the first counts."""
    parts, at = [], 0
    for start, end, instead in sorted(dict.fromkeys(edits)):
        if start < at:
            continue
        parts += [text[at:start], instead]
        at = end
    return "".join([*parts, text[at:]])


_LINE_END = re.compile(r"\r\n|\n|\r")


def _line_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in _LINE_END.finditer(text))]


def _place(starts: list[int], at: int) -> tuple[int, int]:
    """Line and column, from 1."""
    line = bisect_right(starts, at)
    return line, at - starts[line - 1] + 1
