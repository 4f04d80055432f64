"""Which rules there are: every file of `rules/`, then what other distributions add."""

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from everwake.diagnose import rules as folder
from everwake.diagnose.rule import Rule

__all__ = ["found", "rules"]

log = logging.getLogger(__name__)


@cache
def rules() -> Mapping[str, Rule]:
    """Cause -> rule, of this folder and of everybody else."""
    return found(entry_points)


def found(points: Callable[..., Iterable[EntryPoint]]) -> Mapping[str, Rule]:
    """Looked up anew. An entry point (group `everwake.rules`) names a `Rule`; it cannot replace one of ours.

    One that cannot be loaded is logged and left out.
    """
    known: dict[str, Rule] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.name.startswith("_"):
            rule: Rule = importlib.import_module(f"everwake.diagnose.rules.{module.name}").RULE
            known[rule.cause] = rule
    for point in points(group="everwake.rules"):
        try:
            added = point.load()
        except Exception:
            log.exception("diagnose.broken_entry_point", extra={"entry_point": point.name})
            continue
        if not isinstance(added, Rule) or added.cause in known:
            log.error("diagnose.refused_entry_point", extra={"entry_point": point.name})
            continue
        known[added.cause] = added
    return MappingProxyType(known)
