"""Which playbooks there are: every file of `playbooks/`, then what other distributions add."""

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from everwake.remedy import playbooks as folder
from everwake.remedy.plan import Playbook

__all__ = ["found", "playbooks"]

log = logging.getLogger(__name__)


@cache
def playbooks() -> Mapping[str, Playbook]:
    """Name -> playbook, of this folder and of everybody else."""
    return found(entry_points)


def found(points: Callable[..., Iterable[EntryPoint]]) -> Mapping[str, Playbook]:
    """Looked up anew. An entry point (group `everwake.playbooks`) names a `Playbook`; it cannot replace one of ours.

    One that cannot be loaded is logged and left out: a cause that names it is then a person's.
    """
    known: dict[str, Playbook] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.name.startswith("_"):
            playbook: Playbook = importlib.import_module(f"everwake.remedy.playbooks.{module.name}").PLAYBOOK
            known[playbook.name] = playbook
    for point in points(group="everwake.playbooks"):
        try:
            added = point.load()
        except Exception:
            log.exception("remedy.broken_entry_point", extra={"entry_point": point.name})
            continue
        if not isinstance(added, Playbook) or added.name in known:
            log.error("remedy.refused_entry_point", extra={"entry_point": point.name})
            continue
        known[added.name] = added
    return MappingProxyType(known)
