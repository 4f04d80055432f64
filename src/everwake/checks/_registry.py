"""Which kinds of check there are: every file of this folder, then what other distributions add."""

import importlib
import logging
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType

import everwake.checks
from everwake.checks._kind import CheckKind

__all__ = ["kinds"]

log = logging.getLogger(__name__)


@cache
def kinds() -> Mapping[str, CheckKind]:
    """Name -> kind. An entry point (group `everwake.checks`) names a `CheckKind`; it cannot replace one of ours.

    One that cannot be loaded is logged and left out: the fleet file then says that its kind is not known.
    """
    found: dict[str, CheckKind] = {}
    for module in pkgutil.iter_modules(everwake.checks.__path__):
        if not module.name.startswith("_"):
            kind: CheckKind = importlib.import_module(f"everwake.checks.{module.name}").KIND
            found[kind.name] = kind
    for point in entry_points(group="everwake.checks"):
        try:
            added = point.load()
        except Exception:
            log.exception("checks.broken_entry_point", extra={"entry_point": point.name})
            continue
        if not isinstance(added, CheckKind) or added.name in found:
            log.error("checks.refused_entry_point", extra={"entry_point": point.name})
            continue
        found[added.name] = added
    return MappingProxyType(found)
