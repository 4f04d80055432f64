"""`everwake page`: the fleet as one file that needs no keeper."""

from everwake.fleet.schema import Fleet
from everwake.web.fallback import render

__all__ = ["page_of"]


def page_of(fleet: Fleet) -> str:
    """A whole HTML document."""
    return render(fleet.services)
