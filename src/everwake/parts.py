"""What is there by lying in a folder: every file of it, then what other distributions add by an entry point."""

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from types import MappingProxyType, ModuleType
from typing import TypeVar

__all__ = ["Points", "parts_of"]

log = logging.getLogger(__name__)

Part = TypeVar("Part")
Points = Callable[..., Iterable[EntryPoint]]


def parts_of(
    folder: ModuleType, constant: str, kind: type[Part], named: Callable[[Part], str], points: Points, group: str
) -> Mapping[str, Part]:
    """Name -> part. Each file of `folder` holds one as `constant`, unless its name begins with `_`; an entry point of `group`
    names one too, and cannot replace one of ours.

    points: `importlib.metadata.entry_points`.   One that cannot be loaded, or is no `kind`, is logged and left out.
    """
    # Events are named after the capability whose folder it is: "checks.broken_entry_point".
    topic = folder.__name__.split(".")[1]
    known: dict[str, Part] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.name.startswith("_"):
            part: Part = getattr(importlib.import_module(f"{folder.__name__}.{module.name}"), constant)
            known[named(part)] = part
    for point in points(group=group):
        try:
            added = point.load()
        except Exception:
            log.exception(f"{topic}.broken_entry_point", extra={"entry_point": point.name})
            continue
        if not isinstance(added, kind) or named(added) in known:
            log.error(f"{topic}.refused_entry_point", extra={"entry_point": point.name})
            continue
        known[named(added)] = added
    return MappingProxyType(known)
