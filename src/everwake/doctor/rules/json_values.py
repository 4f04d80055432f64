"""JSON that is none, JSON with something left over, and JSON where its reader wants plain words."""

import json
import re
from collections.abc import Iterator
from typing import Any

from everwake.doctor.case import Case, Edit, Example, Hit, Rule, Variable
from everwake.doctor.kinds import Kind, words_of

__all__ = ["RULE"]

_LONGEST = 65_536
# What a person or a logger is to read, which may begin with anything.
_TEXTS = frozenset(
    {"FORMAT", "PROMPT", "TEMPLATE", "MESSAGE", "TEXT", "PATTERN", "EXAMPLE", "DESCRIPTION", "BODY", "QUERY"}
)


def _splits(case: Case) -> bool:
    return bool(re.search(r"comma|split|csv|delimit", case.context.reader, re.IGNORECASE))


def _wants_json(variable: Variable, case: Case) -> bool:
    if variable.kind in (Kind.JSON, Kind.JSON_ORIGINS, Kind.SERVICE_ACCOUNT):
        return not _splits(case)
    if variable.kind is Kind.ORIGINS:
        return ("pydantic" in case.context.reader.lower() and case.context.type != "str") or variable.value.lstrip()[
            :1
        ] == "["
    return False


def look(variable: Variable, case: Case) -> Iterator[Hit]:
    """Whether the value is the JSON its reader wants."""
    value = variable.value
    if not value.strip() or len(value) > _LONGEST or "\\n-----" in value[:60]:
        return
    if _splits(case) and variable.kind in (Kind.ORIGINS, Kind.JSON_ORIGINS, Kind.JSON, Kind.HOSTS, Kind.TEXT):
        yield from _list_where_words(value)
        return
    if not _wants_json(variable, case):
        if variable.kind is Kind.TEXT and not _TEXTS & set(words_of(variable.key)):
            yield from _plainly_json(value)
        return
    if variable.kind is Kind.SERVICE_ACCOUNT and (value.lstrip()[:1] != "{" or value.startswith("{{")):
        return  # a path or base64, which others accept
    found, end = _read(value)
    rest = value[end:].strip() if found is not None else ""
    if found is not None and rest and _is_whole(found):
        yield _left_over(value, end)
    elif found is not None and not rest:
        yield from _wrong_shape(variable, found, value)
    else:
        yield _broken(variable, value)


def _read(value: str) -> tuple[Any, int]:
    """What JSON the value begins with, and where that ends; (None, 0) where it begins with none."""
    start = len(value) - len(value.lstrip())
    try:
        return json.JSONDecoder().raw_decode(value, start)
    except (ValueError, RecursionError):
        return None, 0


def _plainly_json(value: str) -> Iterator[Hit]:
    """Of a name that says nothing: JSON with something behind it that no list of further JSON and no sentence is."""
    if value.lstrip()[:1] not in ("[", "{"):
        return
    found, end = _read(value)
    rest = value[end:].strip()
    if found and _is_whole(found) and '"' in value[:end] and re.match(r"[\w\]}\"'#-]", rest):
        yield _left_over(value, end)


def _is_whole(found: Any) -> bool:
    return isinstance(found, list | dict)


def _left_over(value: str, end: int) -> Hit:
    at = end + len(value[end:]) - len(value[end:].lstrip())
    return Hit(
        problem="json_trailing_garbage", fix=f"remove everything after the closing {value[end - 1]}", at=at, end=len(value),
        edits=((end, len(value), ""),), keep=(0, end),
    )  # fmt: skip


def _wrong_shape(variable: Variable, found: Any, value: str) -> Iterator[Hit]:
    if variable.kind is Kind.JSON_ORIGINS and not isinstance(found, list):
        one = isinstance(found, str)
        yield Hit(
            problem="not_json_list",
            fix="put it in brackets: a list of texts is wanted",
            edits=((0, 0, "["), (len(value), len(value), "]")) if one else (),
            end=len(value),
            stops=True,
        )
    elif variable.kind is Kind.JSON and not _is_whole(found):
        yield Hit(problem="not_json_list", fix='write a JSON list, such as ["a", "b"]', end=len(value), stops=True)


def _broken(variable: Variable, value: str) -> Hit:
    escaped = value.replace('\\"', '"')
    if escaped != value and _is_whole(_complete(escaped)):
        edits = tuple((found.start(), found.start() + 1, "") for found in re.finditer(r'\\(?=")', value))
        at = value.index('\\"')
        return Hit(
            problem="json_escaped_quotes",
            fix='write plain " without a backslash before it: nothing takes the backslashes away here',
            at=at, end=at + 2, edits=edits, stops=True,
        )  # fmt: skip
    for opening in ("[", "{"):  # something stands before it
        at = value.find(opening)
        if at > 0 and re.fullmatch(r"[\w$>=:;. -]{1,40}", value[:at]) and _is_whole(_complete(value[at:])):
            return Hit(
                problem="json_trailing_garbage", fix=f"remove what stands before the {opening}", at=0, end=at,
                edits=((0, at, ""),),
                keep=(at, len(value)),
            )  # fmt: skip
    try:
        json.loads(value)
        at = 0
    except RecursionError:
        at = 0
    except ValueError as error:
        at = getattr(error, "pos", 0)
    mended = _mended(value, is_list=variable.kind is not Kind.SERVICE_ACCOUNT)
    edits = ((0, len(value), mended),) if mended is not None else ()
    return Hit(
        problem="bad_type" if variable.kind is Kind.SERVICE_ACCOUNT else "not_json_list",
        fix=_advice(variable, value, mended), at=at,
        end=min(at + 1, len(value)) if value.lstrip()[:1] in ("[", "{") else len(value), edits=edits, is_error=True, stops=True,
    )  # fmt: skip


def _complete(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _mended(value: str, *, is_list: bool) -> str | None:
    """The JSON that was meant, where there is just one way to read it."""
    text = value.strip()
    if text[:1] in ("[", "{"):
        closing = "]" if text[0] == "[" else "}"
        double = text.replace("'", '"') if '"' not in text else text
        for tried in (double, text + closing, re.sub(r",\s*([\]}])", r"\1", double), double + closing):
            if _is_whole(_complete(tried)):
                return tried
    inner = re.fullmatch(r"\[?([^\[\]{}\"'\\]*)\]?", text)
    if not is_list or inner is None:
        return None
    items = [item.strip() for item in inner[1].split(",")]
    if items and all(
        re.fullmatch(r"\*|https?://[^\s,;]+|[\w.@+-]+@[\w.-]+|\.?[\w-]+(?:\.[\w-]+)+(?::\d+)?", item) for item in items
    ):
        return json.dumps(items, separators=(", ", ": "), ensure_ascii=False)
    return None


def _advice(variable: Variable, value: str, mended: str | None) -> str:
    if variable.kind is Kind.SERVICE_ACCOUNT:
        return "paste the whole JSON of the service account anew, on one line"
    if value.lstrip()[:1] == "{":
        return "write JSON: names and texts in double quotes, true and false in small letters"
    if "\\" in value and mended is None:
        return 'write a JSON list, with / or \\\\ in paths: ["C:/data"]'
    return "write a JSON list: each in double quotes, all in [ ], with commas between" + (
        "" if mended is None else "; --fix does it"
    )


def _list_where_words(value: str) -> Iterator[Hit]:
    found = _complete(value)
    if not isinstance(found, list):
        return
    words = found if all(isinstance(each, str) and "," not in each for each in found) else None
    edits: tuple[Edit, ...] = ((0, len(value), ",".join(words)),) if words else ()
    yield Hit(
        problem="json_where_comma_list_expected", fix="write the entries with commas between, without brackets and quotes", at=0,
        end=1, edits=edits, stops=True,
    )  # fmt: skip


RULE = Rule(
    name="json_values",
    about="A value that must be JSON and is not, or is more than that, or is JSON where its reader splits at commas.",
    problems=(
        "json_trailing_garbage",
        "not_json_list",
        "json_escaped_quotes",
        "json_where_comma_list_expected",
        "bad_type",
    ),
    look=look,
    order=30,
    examples=(
        Example(("MY_JSON json_trailing_garbage",), {"MY_JSON": '{"a":1} junk'}),
        Example(("FEATURES json_trailing_garbage",), {"FEATURES": '["a","b"] junk'}),
        Example((), {"LOG_FORMAT": '{"level":"x"} %(message)s', "NOTE": "[1] see below", "ROWS": '{"a":1}\n{"b":2}'}),
        Example(
            ("BACKEND_CORS_ORIGINS json_trailing_garbage",), {"BACKEND_CORS_ORIGINS": '["https://a.example.com"] -rsss'}
        ),
        Example(("ALLOWED_ORIGINS json_trailing_garbage",), {"ALLOWED_ORIGINS": '["https://a.example.com"],'}),
        Example(("TAGS json_trailing_garbage",), {"TAGS": 'echo ["a", "b"]'}, context={"type": "list[str]"}),
        Example(("TAGS not_json_list",), {"TAGS": "a,b"}, context={"type": "set[str]", "reader": "pydantic-settings"}),
        Example(("TAGS not_json_list",), {"TAGS": "['a', 'b']"}, context={"type": "list[str]"}),
        Example(("TAGS not_json_list",), {"TAGS": '["a", "b"'}, context={"type": "list[str]"}),
        Example(("TAGS json_escaped_quotes",), {"TAGS": '[\\"a\\", \\"b\\"]'}, context={"type": "list[str]"}),
        Example(
            ("APP_ORIGINS json_where_comma_list_expected",),
            {"APP_ORIGINS": '["https://a.example.com"]'},
            context={"reader": "split(',')"},
        ),
        Example(("GOOGLE_CREDENTIALS bad_type",), {"GOOGLE_CREDENTIALS": '{"type": "service_account", "project_id":'}),
        Example(("FIREBASE_SERVICE_ACCOUNT bad_type",), {"FIREBASE_SERVICE_ACCOUNT": "{'type': 'service_account'}"}),
        Example((), {"GCP_SERVICE_ACCOUNT": "app@project.iam.gserviceaccount.com"}),
        Example((), {"TAGS": '["a", "b"]', "BACKEND_CORS_ORIGINS": '["https://a.example.com"]'}),
        Example((), {"APP_ORIGINS": "https://a.example.com,https://b.example.com"}),
        Example((), {"APP_ORIGINS": "https://a.example.com, https://b.example.com"}, context={"reader": "comma list"}),
        Example((), {"LIMITS": '{"a": {"b": 1}}'}, context={"type": "dict[str, int]"}),
    ),
)
