"""Which rules there are: every file of `rules/`, then what other distributions add."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from everwake.diagnose import rules as folder
from everwake.diagnose.rule import Rule
from everwake.parts import Points, parts_of

__all__ = ["found", "rules"]


@cache
def rules() -> Mapping[str, Rule]:
    """Cause -> rule, of this folder and of everybody else."""
    return found(entry_points)


def found(points: Points) -> Mapping[str, Rule]:
    """Looked up anew. An entry point (group `everwake.rules`) names a `Rule`."""
    return parts_of(folder, "RULE", Rule, lambda rule: rule.cause, points, "everwake.rules")
