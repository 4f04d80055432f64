"""Blanks and line ends at the ends of a value: pasted with it, or written by `echo`."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.kinds import SECRETS, Kind, words_of

__all__ = ["RULE"]

# Where a blank is what is meant.
_BLANKS_MEANT = frozenset(
    {"SEPARATOR", "DELIMITER", "PREFIX", "SUFFIX", "PROMPT", "INDENT", "JOINER", "PADDING", "PS1", "IFS", "FORMAT"}
)
_STRICT = SECRETS | {
    Kind.BOOLEAN,
    Kind.LOG_LEVEL,
    Kind.HOST,
    Kind.BIND,
    Kind.PYTHON_VERSION,
    Kind.ENVIRONMENT,
    Kind.REDIS_URL,
}


def _look(variable: Variable, case: Case) -> Iterator[Hit]:
    value = variable.value
    bare = value.strip(" \t\r\n\x0b\x0c")
    if bare == value or not bare or _BLANKS_MEANT & set(words_of(variable.key)):
        return
    start = value.index(bare[0])
    end = start + len(bare)
    tail = value[end:]
    if "-----BEGIN" in bare or (bare[0] in "[{" and bare[-1] in "]}" and "\n" in tail and variable.kind not in SECRETS):
        tail = ""  # the last line end of a key or of JSON belongs to it
    if "\n" in tail and "\n" in bare and variable.kind is Kind.TEXT:
        tail = ""  # a text of several lines ends with its last
    from_file = variable.entry is not None and not variable.entry.quote
    lead = "" if from_file else value[:start]  # in a file that is a question of its reader: rules/reading.py
    if from_file and tail.strip("\r") == "":
        tail = ""
    keep = (start, end)
    if lead:
        fix = "remove the blank before the value" if len(lead) == 1 else "remove the blanks before the value"
        yield Hit(
            problem="leading_whitespace", fix=fix, at=0, end=start, edits=((0, start, ""),), keep=keep, found="a blank",
            is_error=variable.kind in _STRICT or None,
        )  # fmt: skip
    if tail:
        problem, found = _tail(tail)
        fix = {
            "trailing_newline": "remove the line end behind the value (write it with printf %s, not with echo)",
            "crlf": "remove the carriage return behind the value; save the file it came from with LF line ends",
        }.get(problem, "remove the blank behind the value")
        yield Hit(
            problem=problem, fix=fix, at=end, end=len(value), edits=((end, len(value), ""),), keep=keep, found=found,
            is_error=True if problem != "trailing_whitespace" else variable.kind in _STRICT or None,
        )  # fmt: skip
    if not lead and not tail:
        yield Hit(problem="", fix="", keep=keep)


def _tail(tail: str) -> tuple[str, str]:
    if "\n" in tail:
        return "trailing_newline", "a line end"
    return ("crlf", "a carriage return") if "\r" in tail else ("trailing_whitespace", "a blank")


def _within(variable: Variable, case: Case) -> Iterator[Hit]:
    """A line end or a blank in the middle of what is one word."""
    if variable.kind is not Kind.API_KEY and variable.kind not in (
        Kind.HTTP_URL,
        Kind.REDIS_URL,
        Kind.POSTGRES_URL,
        Kind.MONGO_URL,
    ):
        return
    found = re.search(r"(?<=\S)[\r\n]+\s*(?=\S)", variable.value)
    if found is not None:
        yield Hit(
            problem="trailing_newline", fix="join the lines: the value was broken in two when it was pasted", at=found.start(),
            end=found.end(), edits=((found.start(), found.end(), ""),), found="a line end", stops=True, is_error=True,
        )  # fmt: skip


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Blanks and line ends that nobody meant."""
    yield from _look(variable, case)
    if variable.value == variable.value.strip():
        yield from _within(variable, case)


RULE = Rule(
    name="blanks",
    about="Blanks and line ends round a value, which most readers keep.",
    problems=("leading_whitespace", "trailing_whitespace", "trailing_newline", "crlf"),
    look=look,
    stage="text",
    order=12,
    examples=(
        Example(("MAIL_API_KEY trailing_newline",), {"MAIL_API_KEY": "re_abc123\n"}),
        Example(("MAIL_API_KEY leading_whitespace",), {"MAIL_API_KEY": "\tre_abc123"}),
        Example(("MAIL_API_KEY trailing_whitespace",), {"MAIL_API_KEY": "re_abc123 "}),
        Example(("LOG_LEVEL crlf",), {"LOG_LEVEL": "info\r"}),
        Example(("MAIL_API_KEY trailing_newline",), {"MAIL_API_KEY": "re_abc\n123"}),
        Example((), {"TLS_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----\n"}),
        Example((), {"JOIN_SEPARATOR": ", ", "MOTD": "Welcome.\nBe kind.\n"}),
        Example((), {"LIMITS": '{\n  "a": 1\n}\n'}),
    ),
)
