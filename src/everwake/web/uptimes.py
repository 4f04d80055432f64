"""How much of the time each service was up: asked of the history once a minute, answered from memory at once."""

import asyncio
import logging
from collections.abc import Mapping

from everwake.web.door import HistoryUnavailable, KeeperDoor, Uptime

__all__ = ["Uptimes"]

log = logging.getLogger(__name__)

EVERY_S = 60.0
WITHIN_S = 5.0


class Uptimes:
    """`run` has to be running. What was known last stands while the history cannot be read."""

    def __init__(self, door: KeeperDoor) -> None:
        self._door = door
        self._known: Mapping[str, Uptime] = {}

    def __call__(self) -> Mapping[str, Uptime]:
        """By service; one that the history does not know is missing."""
        return self._known

    async def ask(self) -> None:
        """Ask now."""
        try:
            async with asyncio.timeout(WITHIN_S):
                self._known = await self._door.uptimes()
        except (HistoryUnavailable, TimeoutError) as trouble:
            log.warning("uptimes.unknown", extra={"why": str(trouble) or "no answer in time"})

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(EVERY_S)
