"""Which kinds of check there are: every file of this folder, then what other distributions add."""

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

import everwake.checks
from everwake.checks._kind import CheckKind

__all__ = ["found", "kinds", "specs"]

log = logging.getLogger(__name__)


@cache
def kinds() -> Mapping[str, CheckKind]:
    """Name -> kind, of this folder and of everybody else."""
    return found(entry_points)


def specs() -> Mapping[str, type[Any]]:
    """Kind -> its settings, of the kinds that may stand in `[[service.check]]`: those that look once."""
    return {name: kind.spec for name, kind in kinds().items() if kind.observe is not None}


def found(points: Callable[..., Iterable[EntryPoint]]) -> Mapping[str, CheckKind]:
    """Looked up anew. An entry point (group `everwake.checks`) names a `CheckKind`; it cannot replace one of ours.

    One that cannot be loaded is logged and left out: the fleet file then says that its kind is not known.
    """
    known: dict[str, CheckKind] = {}
    for module in pkgutil.iter_modules(everwake.checks.__path__):
        if not module.name.startswith("_"):
            kind: CheckKind = importlib.import_module(f"everwake.checks.{module.name}").KIND
            known[kind.name] = kind
    for point in points(group="everwake.checks"):
        try:
            added = point.load()
        except Exception:
            log.exception("checks.broken_entry_point", extra={"entry_point": point.name})
            continue
        if not isinstance(added, CheckKind) or added.name in known:
            log.error("checks.refused_entry_point", extra={"entry_point": point.name})
            continue
        known[added.name] = added
    return MappingProxyType(known)
