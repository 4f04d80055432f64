"""The addresses within a value: one URL, or each of a list, with its place."""

import re
from collections.abc import Iterator

from everwake.doctor.case import Variable
from everwake.doctor.kinds import URLS, Kind

__all__ = ["LISTS", "addresses"]

LISTS = frozenset({Kind.ORIGINS, Kind.JSON_ORIGINS})
_MOST = 500


def addresses(variable: Variable) -> Iterator[tuple[str, int]]:
    """(address, offset in the value), at most 500: the value itself, or the entries of a list, quotes and blanks left out."""
    if variable.kind in LISTS:
        found = re.finditer(r"[^\s,;\"'\[\]]+", variable.value)
        for n, each in enumerate(found):
            if n >= _MOST:
                return
            yield each[0], each.start()
    elif variable.kind in URLS or "://" in variable.value[:40]:
        yield variable.value, 0
