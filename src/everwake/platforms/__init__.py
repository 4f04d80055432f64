"""Who runs services, through their APIs: one file per platform."""

from everwake.platforms._intentions import intend
from everwake.platforms._kind import Access, Connection, PlatformKind
from everwake.platforms._registry import platforms

__all__ = ["Access", "Connection", "PlatformKind", "intend", "platforms"]
