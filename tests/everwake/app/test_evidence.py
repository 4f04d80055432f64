"""What the seven criteria are judged from, gathered over a log that goes on and on."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from everwake.app.evidence import gathered
from everwake.fleet.schema import Fleet, Service
from everwake.model import DeployRecord, Observation, PlatformLine, PlatformService
from tests.support.fake_clock import FakeClock

HOST = PlatformService(
    id="srv-1", name="a", url="https://a.example", type="web_service", plan="free", instances=("i-1",)
)


class Chatty:
    """A platform whose service says ten lines a second; asked from a moment on, it tells that moment's lines again."""

    verbs = frozenset({"logs", "deploys"})

    def __init__(self, clock: FakeClock, ends_s: float) -> None:
        self.clock, self.ends_at = clock, clock.now() + timedelta(seconds=ends_s)
        self.told = dict[str, PlatformLine]()

    async def find(self, **by: Any) -> PlatformService:
        return HOST

    async def service(self, id: str) -> PlatformService:
        return HOST

    async def deploys(self, id: str, most: int) -> Sequence[DeployRecord]:
        return ()

    async def logs(self, id: str, since: datetime, until: datetime | None, most: int) -> Sequence[PlatformLine]:
        found, at = [], since
        while at <= self.clock.now():
            text = "INFO:     Shutting down" if at == self.ends_at else "INFO: one more line"
            found += [PlatformLine(id=f"{at.timestamp()}-{n}", at=at, text=text, instance="i-1") for n in range(10)]
            at += timedelta(seconds=1)
        self.told |= {one.id: one for one in found}
        return found


class Looks:
    """Looks that are always good."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    async def look(self, service: Service, check: str = "http") -> Observation:
        return Observation(service="a", check=check, at=self.clock.now(), took_s=0.01, status=200)


class Doors:
    def __init__(self, platform: Chatty) -> None:
        self.platform = platform

    async def of(self, service: Service) -> Any:
        return self.platform


async def said_of_the_log(ends_s: float) -> tuple[bool | None, str, int]:
    clock = FakeClock()
    platform, service = Chatty(clock, ends_s), Service(name="a", url="https://a.example", platform="sim")
    looks: Any = Looks(clock)
    doors: Any = Doors(platform)
    gathering = asyncio.create_task(
        gathered(service, Fleet(name="f", services=(service,)), 120.0, looks, doors, None, clock, lambda news: None)
    )
    while not gathering.done():
        await clock.advance(1.0)
    (log,) = [one for one in gathering.result().criteria if one.name == "log"]
    return log.met, log.said, len(platform.told)


async def test_each_line_of_a_long_log_counts_once() -> None:
    met, said, lines = await said_of_the_log(ends_s=10_000)
    assert lines > 1_000
    assert met is True
    assert f"none in {lines} lines" in said


async def test_the_line_that_matters_is_found_among_all_the_others() -> None:
    met, said, _ = await said_of_the_log(ends_s=30)
    assert met is False
    assert "Shutting down (and 9 more)" in said
