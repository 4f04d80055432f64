"""A name that nobody has, told with those that are known. Pure."""

import difflib
from collections.abc import Iterable

from everwake.errors import Misused

__all__ = ["near", "no_service"]

MOST = 20


def near(name: str, known: Iterable[str]) -> str:
    """What to do about a name that is none of the known ones: the one that was probably meant, else those there are."""
    words = list(known)
    by_lower = {word.lower(): word for word in words}
    found = difflib.get_close_matches(name[:80].lower(), by_lower, 1, 0.5)
    if found:
        return f"did you mean {by_lower[found[0]]}?"
    listed = ", ".join(sorted(words)[:MOST])
    return (
        f"known are {listed}{' and others' if len(words) > MOST else ''}" if words else "there is none to choose from"
    )


def no_service(name: str, known: Iterable[str]) -> Misused:
    """Somebody named a service that is not there."""
    return Misused(f"no service is called {name[:60]}", hint=near(name, known))
