"""Which platforms there are: every file of this folder, then what other distributions add."""

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

import everwake.platforms
from everwake.platforms._kind import PlatformKind

__all__ = ["found", "platforms"]

log = logging.getLogger(__name__)


@cache
def platforms() -> Mapping[str, PlatformKind]:
    """Name -> platform, of this folder and of everybody else."""
    return found(entry_points)


def found(points: Callable[..., Iterable[EntryPoint]]) -> Mapping[str, PlatformKind]:
    """Looked up anew. An entry point (group `everwake.platforms`) names a `PlatformKind`; it cannot replace one of ours.

    One that cannot be loaded is logged and left out: whoever asks for it is then told that it is not known.
    """
    known: dict[str, PlatformKind] = {}
    for module in pkgutil.iter_modules(everwake.platforms.__path__):
        if not module.name.startswith("_"):
            kind: PlatformKind = importlib.import_module(f"everwake.platforms.{module.name}").PLATFORM
            known[kind.name] = kind
    for point in points(group="everwake.platforms"):
        try:
            added = point.load()
        except Exception:
            log.exception("platforms.broken_entry_point", extra={"entry_point": point.name})
            continue
        if not isinstance(added, PlatformKind) or added.name in known:
            log.error("platforms.refused_entry_point", extra={"entry_point": point.name})
            continue
        known[added.name] = added
    return MappingProxyType(known)
