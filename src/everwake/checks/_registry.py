"""Which kinds of check there are: every file of this folder, then what other distributions add."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import everwake.checks
from everwake.checks._kind import CheckKind
from everwake.parts import Points, parts_of

__all__ = ["found", "kinds", "specs"]


@cache
def kinds() -> Mapping[str, CheckKind]:
    """Name -> kind, of this folder and of everybody else."""
    return found(entry_points)


def specs() -> Mapping[str, type[Any]]:
    """Kind -> its settings, of the kinds that may stand in `[[service.check]]`: those that look once."""
    return {name: kind.spec for name, kind in kinds().items() if kind.observe is not None}


def found(points: Points) -> Mapping[str, CheckKind]:
    """Looked up anew. An entry point (group `everwake.checks`) names a `CheckKind`.

    Of one that cannot be loaded the fleet file says that its kind is not known.
    """
    return parts_of(everwake.checks, "KIND", CheckKind, lambda kind: kind.name, points, "everwake.checks")
