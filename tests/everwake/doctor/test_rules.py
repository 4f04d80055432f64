"""Every rule carries its own cases; they are run here, and its names are held against the table of problems."""

import pytest

from everwake.doctor.case import Example, Rule
from everwake.doctor.examination import examine
from everwake.doctor.problems import PROBLEMS
from everwake.doctor.rules import rules

CASES = [(rule, example) for rule in rules() for example in rule.examples]


def found(example: Example) -> list[str]:
    seen = examine(example.variables if example.text is None else example.text, example.context)
    return sorted(f"{each.key} {each.problem}" for each in seen)


@pytest.mark.parametrize(
    ("rule", "example"),
    CASES,
    ids=lambda one: getattr(one, "name", "") or " ".join(getattr(one, "finds", ())) or "fine",
)
def test_an_example_finds_what_it_says_and_a_counter_example_nothing(rule: Rule, example: Example) -> None:
    assert found(example) == sorted(example.finds)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_every_problem_of_a_rule_has_a_name_a_meaning_and_an_example(rule: Rule) -> None:
    shown = {finds.split()[1] for example in rule.examples for finds in example.finds}
    assert set(rule.problems) <= set(PROBLEMS)
    assert set(rule.problems) <= shown, set(rule.problems) - shown
    assert [example for example in rule.examples if not example.finds], "no counter-example"


def test_every_problem_is_some_rules() -> None:
    assert {name for rule in rules() for name in rule.problems} == set(PROBLEMS)
