"""Quotes that became part of the value: a panel, Docker's --env-file and the like keep them."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Case, Example, Hit, Rule, Variable
from everwake.doctor.kinds import SECRETS, URLS, Kind
from everwake.doctor.variables.dialects import DIALECTS, dialect_of

__all__ = ["RULE"]

_PLAIN = "\"'`"
_SMART = "“”„‟‘’‚‛«»‹›＂＇"
_STRAIGHT = str.maketrans(dict.fromkeys("“”„‟«»＂", '"') | dict.fromkeys("‘’‚‛‹›＇", "'"))
# Words that a Content-Security-Policy writes in quotes (CSP 3, 2.3.1).
_CSP = re.compile(r"'(?:self|none|unsafe-\w+|strict-dynamic|report-sample|nonce-.*|sha\d+-.*)'", re.IGNORECASE)


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Quotes at both ends, or at one end of what never holds one; curly ones anywhere in what a program reads."""
    value = variable.value
    yield from _smart(variable)
    if value[:1] == "`" and dialect_of(case.context.reader) is DIALECTS["shell"]:
        return  # a command that the shell runs: what it prints is the value
    if not value or value[0] in _SMART:
        return
    if len(value) >= 2 and value[0] in _PLAIN and value[0] == value[-1] and not _CSP.match(value):
        inner = value[1:-1]
        is_json = inner.strip()[:1] in ("[", "{") and inner.strip()[-1:] in ("]", "}")
        if value[0] in re.sub(r"\\.", "", inner) and not is_json:
            return  # a list of quoted words
        nested = len(inner) >= 2 and inner[0] in _PLAIN and inner[0] == inner[-1] and inner[0] != value[0]
        of_file = variable.entry is not None and variable.entry.quote != "" and variable.entry.quote != value[0]
        if nested or of_file:
            start, end = (2, len(value) - 2) if nested else (1, len(value) - 1)
            fix = (
                "remove all quotes round the value"
                if nested
                else "one pair of quotes is enough; the inner pair stays in the value"
            )
            yield Hit(
                problem="nested_quotes", fix=fix, at=0, end=start, edits=((0, start, ""), (end, len(value), "")),
                keep=(start, end),
                found="two pairs of quotes",
            )  # fmt: skip
        else:
            yield Hit(
                problem="quotes_in_value", fix="remove the quotes: they are part of the value", at=0, end=1,
                edits=((0, 1, ""), (len(value) - 1, len(value), "")), keep=(1, len(value) - 1), found=f"{value[0]} at both ends",
            )  # fmt: skip
        return
    yield from _one_end(variable)


def _one_end(variable: Variable) -> Iterator[Hit]:
    """A quote that has lost its partner."""
    value = variable.value
    signs = [at for at, sign in enumerate(value) if sign in _PLAIN]
    if len(signs) != 1 or signs[0] not in (0, len(value) - 1) or len(value) < 2 or re.search(r"\s", value):
        return
    if variable.kind in (Kind.PASSWORD, Kind.SECRET) or (
        variable.kind is Kind.TEXT and not re.fullmatch(r"[\w.:/@-]+", value.strip(_PLAIN))
    ):
        return
    at = signs[0]
    yield Hit(
        problem="quotes_in_value", fix="remove the quote: it is part of the value", at=at, end=at + 1, edits=((at, at + 1, ""),),
        keep=(1, len(value)) if at == 0 else (0, at), found=f"a single {value[at]}",
    )  # fmt: skip


def _smart(variable: Variable) -> Iterator[Hit]:
    value = variable.value
    places = [at for at, sign in enumerate(value) if sign in _SMART]
    if not places:
        return
    machine_reads = variable.kind in URLS | SECRETS | {
        Kind.ORIGINS,
        Kind.JSON,
        Kind.JSON_ORIGINS,
        Kind.PORT,
        Kind.BOOLEAN,
        Kind.HOST,
    }
    at_ends = value[0] in _SMART or value[-1] in _SMART
    of_json = value.strip()[:1] in ("[", "{") and value.strip()[-1:] in ("]", "}")
    prose = variable.kind is Kind.TEXT and " " in value.strip() and not of_json
    if not (machine_reads or of_json or at_ends) or (prose and not (value[0] in _SMART and value[-1] in _SMART)):
        return
    start = 1 if value[0] in _SMART else 0
    end = len(value) - 1 if value[-1] in _SMART and len(value) > 1 else len(value)
    inner = [at for at in places if start <= at < end]
    edits = ((0, 1, ""),) * start + ((end, len(value), ""),) * (end < len(value))
    if of_json:
        edits += tuple((at, at + 1, value[at].translate(_STRAIGHT)) for at in inner)
    at = places[0]
    yield Hit(
        problem="smart_quotes", fix="retype it with straight quotes, or without: an editor or chat made them curly", at=at,
        end=at + 1,
        edits=edits if of_json or not inner else (), keep=None if inner else (start, end), stops=bool(inner),
        found=f"U+{ord(value[at]):04X} ({value[at]})", is_error=True,
    )  # fmt: skip


RULE = Rule(
    name="quotes",
    about="Quotes kept as part of a value, two pairs of them, or curly ones.",
    problems=("quotes_in_value", "nested_quotes", "smart_quotes"),
    look=look,
    stage="text",
    order=14,
    examples=(
        Example(("GREETING quotes_in_value",), {"GREETING": '"hello"'}),
        Example(("PORT quotes_in_value",), {"PORT": "'8000'"}),
        Example(("API_BASE_URL quotes_in_value",), {"API_BASE_URL": 'https://api.example.com"'}),
        Example(("APP_ID quotes_in_value",), text='APP_ID="a1"\n', context={"reader": "docker run --env-file"}),
        Example(("NAME nested_quotes",), text="NAME='\"a1\"'\n", context={"reader": "dotenv"}),
        Example(("NAME nested_quotes",), {"NAME": "\"'a1'\""}),
        Example(("APP_ORIGINS smart_quotes",), {"APP_ORIGINS": "[“https://a.example.com”]"}),
        Example(("MAIL_API_KEY smart_quotes",), {"MAIL_API_KEY": "re_abc123”"}),
        Example((), text='APP_ID="a1"\nLIMITS=\'{"a": "b"}\'\n', context={"reader": "python-dotenv"}),
        Example((), {"CSP_DEFAULT_SRC": "'self'", "TITLE": "It’s a team’s page", "DB_PASSWORD": 'pa"ss'}),
        Example((), {"WORDS": '"one" "two"'}),
        Example((), text="TODAY=`date +%F`\n", context={"reader": "bash source"}),
    ),
)
