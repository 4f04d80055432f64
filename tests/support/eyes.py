"""Eyes of a test that see in a coroutine, for a keeper that wants to be called back."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from everwake.fleet.schema import Service
from everwake.model import Observation


class Looking:
    """Gives a class with `async def look(service, check, patience_s)` the `begin` of `watch.eyes.Eyes`."""

    look: Callable[[Service, str, float | None], Awaitable[Observation]]

    def begin(
        self, service: Service, check: str, patience_s: float | None, late_s: float, done: Callable[[Observation], None]
    ) -> Callable[[], None]:
        async def work() -> None:
            done(replace(await self.look(service, check, patience_s), late_s=late_s))

        task = asyncio.get_running_loop().create_task(work())
        self.under_way = {*getattr(self, "under_way", ()), task}

        def end() -> None:
            task.cancel()

        return end
