"""What a reader hands on with the value: the comment behind it, or the variable's own name before it."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.kinds import SECRETS, URLS, Kind

__all__ = ["RULE"]

_ONE_WORD = URLS | SECRETS | {
    Kind.ORIGINS, Kind.JSON_ORIGINS, Kind.JSON, Kind.PORT, Kind.BOOLEAN, Kind.LOG_LEVEL, Kind.INTEGER, Kind.FLOAT, Kind.DURATION,
    Kind.HOST, Kind.HOSTS, Kind.BIND, Kind.PYTHON_VERSION, Kind.NODE_VERSION, Kind.EMAIL, Kind.ENVIRONMENT, Kind.USER,
}  # fmt: skip


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """A comment, or `NAME=` once more, within the value."""
    yield from _comment(variable)
    yield from _name(variable)
    if variable.kind in URLS:
        yield from _command(variable)


def _comment(variable: Variable) -> Iterator[Hit]:
    value = variable.value
    found = re.search(r"(?:^|(?<=\s))#(?=\s|[A-Za-z])", value)
    if found is None or (variable.entry is not None and variable.entry.quote):
        return
    before = value[: found.start()].rstrip()
    from_file = variable.entry is not None
    # Of a value that nobody saw in a file, prose with a # is prose.
    if (
        not from_file
        and variable.kind not in _ONE_WORD
        and (not re.fullmatch(r"[a-z0-9_./:-]+", before.strip()) or not re.match(r"#\s", value[found.start() :]))
    ):
        return
    if variable.kind in (Kind.PASSWORD, Kind.SECRET) and not re.match(r"#\s", value[found.start() :]):
        return
    lead = len(before) - len(before.lstrip())
    yield Hit(
        problem="inline_comment_in_value",
        fix="put the comment on a line of its own: this reader takes it for a part of the value",
        at=len(before), end=len(value), edits=((len(before), len(value), ""),), keep=(lead, len(before)), found="a comment",
        stops=not before.strip(),
    )  # fmt: skip


def _command(variable: Variable) -> Iterator[Hit]:
    """`redis-cli -u redis://..`, `psql '..'`: the line that a dashboard offers to copy, with the command in front."""
    value = variable.value
    found = re.match(r"[a-z][\w.-]{0,30}(?:\s+-{1,2}[\w-]{1,30})*\s+([\"']?)(?=[a-z][a-z0-9+.-]{0,30}://)", value)
    if found is None:
        return
    end = len(value) - 1 if found[1] and value.endswith(found[1]) else len(value)
    if re.search(r"\s", value[found.end() : end]):
        return
    edits = ((0, found.end(), ""), *(((end, len(value), ""),) if end < len(value) else ()))
    yield Hit(
        problem="bad_type", fix="keep the URL alone: a command stands before it", at=0, end=found.end(), edits=edits,
        keep=(found.end(), end), found="a command", is_error=True,
    )  # fmt: skip


def _behind_name(value: str, key: str) -> int:
    """Where the value begins behind `NAME =`, or 0. By hand: a pattern for each name would be compiled for each name."""
    at = len("export ") if value.startswith("export ") else 0
    if not value.startswith(key, at):
        return 0
    rest = value[at + len(key) :]
    behind = rest.lstrip(" \t")
    if not behind.startswith("=") or not behind[1:].strip():
        return 0
    return len(value) - len(behind[1:].lstrip())


def _name(variable: Variable) -> Iterator[Hit]:
    """`NAME=value` pasted into the field of the value."""
    end = _behind_name(variable.value, variable.key)
    if end:
        yield Hit(
            problem="bad_type", fix=f"remove {variable.key}= from the value: the name belongs in its own field", at=0, end=end,
            edits=((0, end, ""),), keep=(end, len(variable.value)), found=f"{variable.key}=", is_error=True,
        )  # fmt: skip
        return
    header = re.match(r"(?:authorization:\s*)?bearer\s+(?=\S)", variable.value, re.IGNORECASE)
    if header is not None and variable.kind is Kind.API_KEY:
        yield Hit(
            problem="bad_type", fix='remove "Bearer": programs put it before the key themselves', at=0, end=header.end(),
            edits=((0, header.end(), ""),), keep=(header.end(), len(variable.value)), found="Bearer", is_error=True,
        )  # fmt: skip


RULE = Rule(
    name="comments",
    about="A comment behind the value, or the name before it, that the reader hands on as part of it.",
    problems=("inline_comment_in_value", "bad_type"),
    look=look,
    stage="text",
    order=10,
    examples=(
        Example(("PORT inline_comment_in_value",), {"PORT": "8000 # where it listens"}),
        Example(
            ("MODE inline_comment_in_value",), text="MODE=fast # or slow\n", context={"reader": "docker run --env-file"}
        ),
        Example(
            ("VOICE_API_KEY inline_comment_in_value",),
            text="VOICE_API_KEY= # later\n",
            context={"reader": "naive split"},
        ),
        Example(("MAIL_API_KEY bad_type",), {"MAIL_API_KEY": "MAIL_API_KEY=re_abc123"}),
        Example(("DATABASE_URL bad_type",), {"DATABASE_URL": "psql 'postgresql://app:pw1x@db.example.com/app'"}),
        Example(("MAIL_API_KEY bad_type",), {"MAIL_API_KEY": "Bearer re_abc123"}),
        Example(
            (),
            {"TITLE": "We are #1 in chat", "TEAM": "Team # 4 of the north", "COLOR": "#ff8800", "DB_PASSWORD": "a #b1"},
        ),
        Example((), text="MODE=fast # or slow\n", context={"reader": "python-dotenv"}),
        Example((), text='TITLE="a # b"\n', context={"reader": "dotenv"}),
    ),
)
