"""What a running keeper does about free hours: counts them, warns days ahead, and asks the platform how those stand that rest.

None of it is sent to a service: the platform's API is asked, and whoever rests goes on resting.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from everwake.app.budgeting import Counted, Moves, of_fleet
from everwake.app.diagnosing import Doors
from everwake.budget.hours import Hours
from everwake.budget.ledger import month_of
from everwake.budget.telling import headline, lines_of_ways, title_of_ways
from everwake.errors import EverwakeError
from everwake.fleet.schema import Fleet, Service
from everwake.model import Level
from everwake.ports import Clock, Notice

__all__ = ["Saving"]

log = logging.getLogger(__name__)

# Soon enough for the page, late enough for the first looks to be through.
FIRST_S = 3.0
COUNT_EVERY_S = 900.0
# A simulated month may pass in an afternoon.
COUNT_SIMULATED_EVERY_S = 30.0
ASK_EVERY_S = 60.0
# With so many at a time the platform's limits (400 a minute on Render) are far away.
ASKED_AT_ONCE = 4
ASKED_MOST = 100
DEADLINE_S = 120.0


class Saving:
    """Of one keeper. fleet: as it is now.   moves: what the history saw since then.   resting: who is sent nothing now.

    stands(name, runs, stopped_by): told how such a service stands by its platform.   say: a line of the activity log.
    notify: a message to people, once by its key.   link: of the page.
    """

    def __init__(
        self,
        clock: Clock,
        doors: Doors,
        environ: Mapping[str, str],
        *,
        fleet: Callable[[], Fleet],
        moves: Callable[[datetime], Awaitable[Moves]],
        resting: Callable[[], tuple[str, ...]],
        stands: Callable[[str, bool | None, tuple[str, ...]], None],
        say: Callable[[Level, str], None],
        notify: Callable[[Notice], None],
        link: str = "",
    ) -> None:
        self._clock, self._doors, self._environ = clock, doors, environ
        self._fleet, self._moves, self._resting, self._stands = fleet, moves, resting, stands
        self._say, self._notify, self._link = say, notify, link
        self.counted: Counted | None = None
        self.counted_at: datetime | None = None
        self._warned: dict[str, str] = {}

    async def run(self) -> None:
        """For ever. Cancelling it is fine."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._count_again_and_again())
            tasks.create_task(self._ask_again_and_again())

    # --- the hours ----------------------------------------------------------------------------------------------------

    async def _count_again_and_again(self) -> None:
        await self._clock.sleep(FIRST_S)
        while True:
            await self.count()
            hours = self.counted.hours.values() if self.counted else ()
            is_simulated = any(one.speed != 1 for one in hours)
            await self._clock.sleep(COUNT_SIMULATED_EVERY_S if is_simulated else COUNT_EVERY_S)

    async def count(self) -> None:
        """Count now, and warn where they do not last. What cannot be counted is counted later."""
        fleet = self._fleet()
        if not any(one.platform for one in fleet.services):
            self.counted = None
            return
        now = self._clock.now()
        try:
            async with asyncio.timeout(DEADLINE_S):
                moves = await self._moves(month_of(now)[0])
                self.counted = await of_fleet(fleet, self._doors, self._environ, moves, now)
        except (TimeoutError, EverwakeError) as wrong:
            log.warning("hours.uncounted", extra={"why": str(wrong)[:200]})
            return
        except Exception:
            # An answer nobody expected must not end the keeper; it is ours to mend, so it is told with its traceback.
            log.exception("hours.failed")
            return
        self.counted_at = now
        for name, hours in self.counted.hours.items():
            self._warn(fleet, name, hours)

    def _warn(self, fleet: Fleet, platform: str, hours: Hours) -> None:
        """A line when the day they end on is another one than was said, or they are used up; of each a message once a month."""
        fore = hours.forecast
        if fore.lasts:
            if self._warned.pop(platform, None) is not None:
                self._say(Level.SUCCESS, f"Free hours on {platform}: {headline(hours)}")
            return
        month = f"{hours.now:%Y-%m}"
        key, about, title = f"hours:{platform}:{month}", "", "do not last"
        if fore.ended is not None and fore.ended.suspended:
            key, about, title = f"{key}:ended", f"{month} ended", "are used up"
        elif fore.ended is not None:
            key, about, title = f"{key}:counted", f"{month} counted", "are used up by our count"
        elif fore.ends_at is not None:
            about, title = f"{fore.ends_at:%Y-%m-%d}", f"end on {fore.ends_at.day} {fore.ends_at:%B}"
        if self._warned.get(platform) == about:
            return
        self._warned[platform] = about
        best = next((way for way in hours.ways if way.lasts), None)
        change = f" The cheapest change that lasts the month: {best.says}." if best else ""
        self._say(Level.WARNING, f"Free hours on {platform}: {headline(hours)}{change}")
        ways = [f"{title_of_ways(hours).capitalize()}:", *lines_of_ways(hours)] if hours.ways else []
        self._notify(
            Notice(
                key=key,
                service=next((one.name for one in fleet.services if one.platform == platform), ""),
                incident=None,
                opened=True,
                title=f"{fleet.name}: the free hours {title}",
                body="\n".join([headline(hours), *ways, *filter(None, [self._link])]),
                at=self._clock.now(),
            )
        )

    # --- who rests ----------------------------------------------------------------------------------------------------

    async def _ask_again_and_again(self) -> None:
        while True:
            await self._clock.sleep(ASK_EVERY_S if self._resting() else FIRST_S)
            await self.ask()

    async def ask(self) -> None:
        """How those stand that rest, by their platforms."""
        services = {one.name: one for one in self._fleet().services}
        at_once = asyncio.Semaphore(ASKED_AT_ONCE)

        async def one(service: Service) -> None:
            async with at_once:
                await self._ask(service)

        resting = [services[name] for name in self._resting() if name in services]
        await asyncio.gather(*(one(service) for service in resting[:ASKED_MOST] if service.platform))

    async def _ask(self, service: Service) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                door = await self._doors.of(service)
                if door is None:
                    return
                host = urlsplit(service.url).hostname
                id = service.platform_id or (await door.find(id=None, name=service.name, host=host)).id
                found = await door.service(id)
        except (TimeoutError, EverwakeError):
            self._stands(service.name, None, ())
            return
        runs = None if found.instances is None else bool(found.instances)
        self._stands(service.name, runs, found.suspenders)
