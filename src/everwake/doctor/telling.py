"""What the doctor says, for a person and for programs. Pure: lines without colour, and data. No secret is in either."""

from collections.abc import Iterator, Sequence
from typing import Any

from everwake.doctor.context import Context
from everwake.doctor.examination import Finding, kind_of
from everwake.doctor.kinds import SECRETS, Kind
from everwake.doctor.problems import meaning
from everwake.doctor.showing import excerpt, shown_key
from everwake.doctor.variables.dotenv import parse
from everwake.doctor.variables.readers import Difference
from everwake.fleet.redact import MASK

__all__ = ["as_data", "difference_lines", "lines", "reader_lines"]

_INDENT = "    "


def lines(source: str, findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """(tone, line) of every finding. tone: "error", "advice" for its head, "mark" for the underline, "plain" for the rest."""
    for finding in findings:
        problem = finding.problem
        place = source if problem.line is None else f"{source}:{problem.line}"
        if problem.line is not None and finding.file_column is not None:
            place += f":{finding.file_column}"
        yield (
            ("error" if problem.is_error else "advice"),
            f"{place}: {problem.key}: {meaning(problem.problem)} [{problem.problem}]",
        )
        # A name stands before every value, so a column that is the line's too is no place within the value.
        column = problem.column if problem.column and problem.column != finding.file_column else 0
        if finding.excerpt is not None:
            width = finding.excerpt.end - finding.excerpt.start
            yield "plain", f"{_INDENT}{finding.excerpt.text}"
            yield (
                "mark",
                f"{_INDENT}{' ' * finding.excerpt.start}{'^' * width}"
                + (f" column {problem.column}" if problem.column else ""),
            )
        elif problem.found and problem.found != MASK:
            yield (
                "plain",
                f"{_INDENT}found: {problem.found}" + (f", at column {column} of the value" if column > 1 else ""),
            )
        elif column > 1:
            yield "plain", f"{_INDENT}found: at column {column} of the value (it is not shown)"
        yield "plain", f"{_INDENT}fix: {problem.fix}"


def reader_lines(apart: Sequence[Difference]) -> Iterator[str]:
    """Which readers would understand the file otherwise; readers that agree share a line."""
    for one in apart:
        by_words: dict[str, list[str]] = {}
        for reader, words in one.gets.items():
            by_words.setdefault(words, []).append(reader)
        yield f"line {one.line}, {shown_key(one.key)}: " + "; ".join(
            f"{', '.join(readers)}: {words}" for words, readers in by_words.items()
        )


def difference_lines(before: str, after: str, secrets: Sequence[str], *, is_variables: bool = True) -> Iterator[str]:
    """What mending changes, line by line (`-` was, `+` is), with every value masked that may hold a secret."""
    import difflib

    old, new = before.splitlines(), after.splitlines()
    if old == new and before != after:
        yield "~ line ends only"
        return
    for tag, start, end, begin, stop in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for n in range(start, end):
            yield f"- {n + 1:>3}  {_line_shown(old[n], secrets, is_variables=is_variables)}"
        for n in range(begin, stop):
            yield f"+ {n + 1:>3}  {_line_shown(new[n], secrets, is_variables=is_variables)}"


def _line_shown(line: str, secrets: Sequence[str], *, is_variables: bool) -> str:
    """A line of a file with its value masked; the signs round a value stay, for they are what changes."""
    if not line.strip():
        return ""
    if is_variables:
        entry = next(iter(parse(line).entries), None)
        if entry is None or entry.value is None:
            return MASK
        key, at, end = entry.key, entry.value_at, entry.value_end
        head = line[: entry.at].replace("\ufeff", "<BOM>") + shown_key(key.removeprefix("\ufeff"))
        middle = line[entry.at + len(key) : at]
        value, tail = line[at:end], line[end:].replace("\r", "")
        tail = tail if not tail.strip() or tail.strip() == entry.quote else f"{entry.quote} {MASK}"
        middle = middle if not middle.strip("= \t\"'`:") else "="
    else:
        head, colon, value = line.partition(":")
        key, middle, tail = head.strip(" -"), f"{colon} " if colon else "", ""
        value = value.strip()
        head = head if len(head) < 40 and head.strip(" -").isidentifier() else MASK
    kind = kind_of(key, value, Context())
    if not is_variables:
        kind = Kind.URL if "://" in value else kind
    shown = excerpt(value, kind, 0, len(value), secrets) if kind not in SECRETS else None
    if shown is not None:
        return f"{head}{middle}{shown.text}{tail}"
    return f"{head}{middle}{_signs(value)}{tail}"


def _signs(value: str) -> str:
    """`***` between the quotes and blanks that stand round a value."""
    if not value.strip():
        return value
    bare = value.strip(" \t\"'`“”‘’<>")
    if not bare:
        return value
    at = value.index(bare)
    return f"{value[:at]}{MASK}{value[at + len(bare) :]}"


def as_data(source: str, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as the contract's `variables` have them, and where they are."""
    return [
        {
            "file": source, "service": one.problem.service, "key": one.problem.key, "problem": one.problem.problem,
            "level": "error" if one.problem.is_error else "advice", "line": one.problem.line, "file_column": one.file_column,
            "column": one.problem.column, "found": one.problem.found, "fix": one.problem.fix,
            "mendable": bool(one.value_edits or one.text_edits),
        }
        for one in findings
    ]  # fmt: skip
