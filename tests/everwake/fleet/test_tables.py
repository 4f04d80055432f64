"""docs/everwake-toml.md says what the settings are."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from everwake.checks import specs
from everwake.fleet.load import read
from everwake.fleet.tables import TABLES, rewritten, spoken, table

PAGE = Path(__file__).parents[3] / "docs" / "everwake-toml.md"


def test_the_tables_in_the_docs_are_the_settings_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"<!-- table (\w+) -->", text) == list(TABLES)
    assert text == rewritten(text), "run: python -m everwake.fleet.tables docs/everwake-toml.md"


@pytest.mark.parametrize("kind", TABLES.values())
def test_a_table_has_a_row_for_every_setting(kind: type) -> None:
    settings = [each for each in dataclasses.fields(kind) if each.metadata]
    assert len(table(kind).splitlines()) == len(settings) + 2
    assert all(each.metadata["help"] in table(kind).replace("\\|", "|") for each in settings)


def test_the_example_in_the_docs_is_a_fleet() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    assert tomllib.loads(example[1])
    fleet = read(example[1], "everwake.toml", {"ALERT_URL": "json://localhost"}, specs())
    assert [service.name for service in fleet.services] == ["chatbot", "backend"]


@pytest.mark.parametrize(("seconds", "said"), [(30, "30s"), (180, "3m"), (0.1, "0.1s"), (90, "90s"), (86_400, "1d")])
def test_times_are_said_as_the_file_says_them(seconds: float, said: str) -> None:
    assert spoken(seconds) == said
