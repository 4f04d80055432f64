"""docs/causes.md says what the rules are."""

from pathlib import Path

from everwake.diagnose.causes import CAUSES
from everwake.diagnose.tables import page

PAGE = Path(__file__).parents[3] / "docs" / "causes.md"


def test_the_page_of_causes_is_the_rules_as_they_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m everwake.diagnose.tables > docs/causes.md"


def test_every_cause_has_its_row() -> None:
    assert [line.split("`")[1] for line in page().splitlines() if line.startswith("| `")] == list(CAUSES)
