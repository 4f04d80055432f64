"""A declared schema wins over guesses; what is wrong in one is told; chatify's own is the one that its settings export."""

from pathlib import Path
from typing import Any

import pytest

from chatify.settings_docs import schemas
from everwake.doctor import tables
from everwake.doctor.context import Context
from everwake.doctor.declared import NotASchema, read
from everwake.doctor.examination import examine

ROOT = Path(__file__).parents[3]


def said(variables: dict[str, str], declared: dict[str, Any], **context: Any) -> list[tuple[str, str]]:
    found = examine(variables, Context(declared=read(declared), **context))
    return [(one.key, one.problem) for one in found]


def test_a_declared_type_wins_over_what_the_name_says() -> None:
    assert said({"HOST": "redis://a-b.upstash.io"}, {"HOST": "redis-url"}) == [("HOST", "tls_required")]
    assert said({"PORT": "COM3"}, {"PORT": "text"}) == []


def test_what_is_required_and_absent_is_told() -> None:
    assert said({}, {"PORT": {"type": "port", "required": True}, "MODE": "text"}) == [("PORT", "missing_key")]


def test_a_required_placeholder_is_an_error() -> None:
    (found,) = examine(
        {"MAIL_API_KEY": "your_key_here"},
        Context(declared=read({"MAIL_API_KEY": {"type": "api-key", "required": True}})),
    )
    assert found.is_error


def test_choices_and_bounds_are_held() -> None:
    assert said({"MODE": "FAST"}, {"MODE": {"choices": ["fast", "slow"]}}) == [("MODE", "bad_type")]
    assert said({"SIZE": "7"}, {"SIZE": {"type": "integer", "least": 1, "most": 5}}) == [("SIZE", "bad_type")]
    assert (
        said(
            {"MODE": "fast", "SIZE": "5"},
            {"MODE": {"choices": ["fast"]}, "SIZE": {"type": "integer", "least": 1, "most": 5}},
        )
        == []
    )


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ({"PORT": "prot"}, "no such type: prot", "did you mean port?"),
        ({"PORT": 8000}, "is neither a type nor a table", 'write "port" or { type = "port", required = true }'),
        ({"PORT": {"typ": "port"}}, "no such setting: typ", "did you mean type?"),
        ({"PORT": {"choices": "a"}}, "choices is not a list of texts", 'write choices = ["INFO", "DEBUG"]'),
    ],
)
def test_a_mistake_in_a_schema_says_where_and_what_instead(table: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(NotASchema) as caught:
        read(table)
    assert (str(caught.value), caught.value.hint) == (f"PORT: {message}", hint)


def test_the_table_of_chatify_is_what_its_settings_export() -> None:
    shipped = ROOT / "src" / "everwake" / "doctor" / "schemas" / "chatify.json"
    assert shipped.read_text(encoding="utf-8") == schemas(), "make docs writes it anew"


def test_the_page_of_problems_is_what_the_rules_say() -> None:
    assert (ROOT / "docs" / "rules" / "variables.md").read_text(encoding="utf-8") == tables.page(), (
        "make docs writes it anew"
    )
