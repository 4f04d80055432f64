"""Rules are files of the folder, and entry points of anybody."""

from importlib.metadata import EntryPoint

import pytest

from everwake.diagnose import _registry
from everwake.diagnose.rule import Rule

THEIRS = Rule(cause="gremlins", explain=lambda facts: None, needs=frozenset({"log"}))
REPLACES = Rule(cause="asleep", explain=lambda facts: None, needs=frozenset({"log"}))


def points(*values: str):  # type: ignore[no-untyped-def]
    def found(*, group: str) -> list[EntryPoint]:
        assert group == "everwake.rules"
        return [EntryPoint(name=value.rpartition(":")[2], value=value, group=group) for value in values]

    return found


def test_a_rule_of_another_distribution_is_found() -> None:
    assert _registry.found(points(f"{__name__}:THEIRS"))["gremlins"] is THEIRS


@pytest.mark.parametrize(
    "value", [f"{__name__}:REPLACES", f"{__name__}:NOT_THERE", "no.such.module:RULE", f"{__name__}:points"]
)
def test_one_that_would_replace_ours_or_cannot_be_loaded_is_left_out(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = _registry.found(points(value))
    assert found["asleep"] is not REPLACES
    assert set(found) == set(_registry.rules())
    assert caplog.records
