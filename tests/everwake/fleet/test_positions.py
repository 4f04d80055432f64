"""Where keys and values of a TOML text stand."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.fleet._positions import Path, Place, locate

TEXT = """\
# a fleet
[fleet]
name = "blabbin"   # "=" in a comment

[[service]]
name = "chatbot"
expect = { status = 200, json = { status = "healthy" } }
depends_on = [
  "redis",  # first
  'backend',
]

  [[service.check]]
  kind = "tcp"
  port = 6379

[[service]]
name = '''redis'''
notes = \"\"\"
[[service]]
not = "a key" \\\"\"\" \"\"\"\"
every = "3m"
"dotted".'key' = 1
"""


def every_path(value: Any, path: Path = ()) -> set[Path]:
    if isinstance(value, dict):
        inner = set().union(*(every_path(v, (*path, k)) for k, v in value.items())) if value else set()
    elif isinstance(value, list):
        inner = set().union(*(every_path(v, (*path, n)) for n, v in enumerate(value))) if value else set()
    else:
        inner = set()
    return inner | ({path} if path else set())


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("fleet", "name"), Place(3, 1, 3, 8)),
        (("service", 0, "expect", "json", "status"), Place(7, 35, 7, 44)),
        (("service", 0, "depends_on", 1), Place(10, 3, 10, 3)),
        (("service", 0, "check", 0, "port"), Place(15, 3, 15, 10)),
        (("service", 1), Place(17, 1, 17, 1)),
        (("service", 1, "every"), Place(22, 1, 22, 9)),
        (("service", 1, "dotted", "key"), Place(23, 10, 23, 18)),
    ],
)
def test_every_key_is_found_at_its_line_and_column(path: Path, place: Place) -> None:
    assert locate(TEXT)[path] == place


def test_nothing_is_found_that_is_not_there_and_nothing_is_missed() -> None:
    assert set(locate(TEXT)) == every_path(tomllib.loads(TEXT))


NAMES = st.text(min_size=1, max_size=6).filter(lambda text: not any(0xD800 <= ord(c) <= 0xDFFF for c in text))
SCALARS = st.one_of(st.integers(-5, 5), st.booleans(), NAMES, st.floats(0, 9, allow_nan=False))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[ # a comment ] }\n" + ",\n ".join(written(v) for v in value) + "]"
    if isinstance(value, str):
        return quoted(value)
    return json.dumps(value)


def quoted(text: str) -> str:
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + '"'


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=3))
def test_any_document_is_located_whole(top: dict[str, Any], tables: list[dict[str, Any]]) -> None:
    top.pop("service", None)
    text = "".join(f"{quoted(key)} = {written(value)}\n" for key, value in top.items())
    for table in tables:
        text += "[[service]]\n" + "".join(f"{quoted(key)} = {written(value)} # x\n" for key, value in table.items())
    parsed = tomllib.loads(text)
    places = locate(text)
    assert set(places) == every_path(parsed)
    lines = text.split("\n")
    for place in places.values():
        assert 1 <= place.line <= place.value_line <= len(lines)
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1
