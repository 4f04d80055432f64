"""Lists that come in pages, each item with the cursor behind it (api-docs.render.com/reference/pagination, read 2026-11)."""

from collections.abc import Mapping
from typing import Any

from everwake.platforms import _reading
from everwake.platforms._door import Door

__all__ = ["PAGE", "pages"]

PAGE = 100  # the most that the API gives at once
PAGES = 50  # and an end, for a server that always has more


async def pages(
    door: Door, operation: str, what: str, *ids: str, most: int = PAGE * PAGES, **filters: Any
) -> list[Mapping[str, object]]:
    """Items of as many pages as needed, at most `most`, each once (what is added meanwhile moves the pages).

    what: name of the object beside each cursor, e.g. "service".
    """
    items: dict[object, Mapping[str, object]] = {}
    cursor = ""
    for _ in range(PAGES):
        if cursor:
            filters["cursor"] = cursor
        limit = max(1, min(PAGE, most))
        answer = await door.ask(operation, *ids, limit=limit, **filters)
        found, following = door.read(_reading.page, answer.data, what)
        for item in found:
            items.setdefault(item.get("id") or item.get("key") or len(items), item)
        # The last page has cursors too; what tells it is that it is not full.
        if len(found) < limit or not following or following == cursor or len(items) >= most:
            break
        cursor = following
    return list(items.values())[:most]
