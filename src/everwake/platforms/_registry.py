"""Which platforms there are: every file of this folder, then what other distributions add."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

import everwake.platforms
from everwake.parts import Points, parts_of
from everwake.platforms._kind import PlatformKind

__all__ = ["found", "platforms"]


@cache
def platforms() -> Mapping[str, PlatformKind]:
    """Name -> platform, of this folder and of everybody else."""
    return found(entry_points)


def found(points: Points) -> Mapping[str, PlatformKind]:
    """Looked up anew. An entry point (group `everwake.platforms`) names a `PlatformKind`.

    Whoever asks for one that cannot be loaded is told that it is not known.
    """
    return parts_of(everwake.platforms, "PLATFORM", PlatformKind, lambda kind: kind.name, points, "everwake.platforms")
