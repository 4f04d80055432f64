"""Following deploys and logs while the platform is in trouble."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from everwake.errors import OutOfReach
from everwake.model import PlatformLine
from everwake.platforms.render import CALLS_PER_DEPLOY, STEP_FIRST_S, STEP_GROWTH, STEP_MOST_S
from everwake.sim.records import DeployStatus
from tests.conformance.conftest import Scene, intend, trouble, until
from tests.support.hasty_clock import HastyClock

CREATE = r"^POST .*/deploys$"


# --- following a deploy -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes_s", [0.0, 1.0, 30.0, 200.0, 900.0, 1_500.0])
async def test_a_deploy_is_followed_in_thirty_calls_and_its_end_seen_within_a_step(fake: Scene, takes_s: float) -> None:
    clock = HastyClock(haste=10_000)
    fake.workspace.clock, fake.workspace.step_s = clock, takes_s / 3
    platform = await fake.adapter(clock=clock)
    made = await platform.deploy(fake.id, intention=intend())
    really_s, calls, began_s = time.monotonic(), platform.calls, clock.monotonic()
    clock.waited.clear()
    told = [each async for each in platform.follow(fake.id, made.id)]
    took_s, really_s = clock.monotonic() - began_s, time.monotonic() - really_s
    assert told[-1].status == "live"
    assert platform.calls - calls <= CALLS_PER_DEPLOY
    last_step_s = clock.waited[-1] if clock.waited else 0.0
    assert took_s - takes_s <= last_step_s + really_s
    assert last_step_s <= min(STEP_FIRST_S + STEP_GROWTH * took_s, STEP_MOST_S)


async def test_a_failed_deploy_is_followed_to_its_failure(fake: Scene) -> None:
    fake.workspace.fails = DeployStatus.PRE_DEPLOY_FAILED
    platform = await fake.adapter()
    made = await platform.deploy(fake.id, intention=intend())
    told = [each async for each in platform.follow(fake.id, made.id)]
    assert (told[-1].status, told[-1].has_failed) == ("pre_deploy_failed", True)


async def test_a_deploy_that_never_ends_is_given_up_after_thirty_calls(fake: Scene) -> None:
    fake.workspace.step_s = 1e9
    platform = await fake.adapter(clock=HastyClock(haste=100_000))
    made = await platform.deploy(fake.id, intention=intend())
    calls = platform.calls
    with pytest.raises(OutOfReach, match="still runs"):
        async for _ in platform.follow(fake.id, made.id):
            pass
    assert platform.calls - calls == CALLS_PER_DEPLOY


async def test_trouble_while_following_is_sat_out_within_the_same_calls(fake: Scene) -> None:
    platform = await fake.adapter(clock=HastyClock())
    made = await platform.deploy(fake.id, intention=intend())
    calls = platform.calls
    trouble(fake, "GET .*/deploys/", times=4, status=503)
    told = [each async for each in platform.follow(fake.id, made.id)]
    assert (told[-1].status, platform.calls - calls) == ("live", 5)
    trouble(fake, "GET .*/deploys/", times=-1, cut=True)
    with pytest.raises(OutOfReach):
        async for _ in platform.follow(fake.id, made.id):
            pass


async def test_a_line_of_the_platforms_own_brings_the_next_look_forward(fake: Scene) -> None:
    class Still(HastyClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.Event().wait()

    platform = await fake.adapter(clock=Still())
    fake.workspace.step_s = 1e9
    made = await platform.deploy(fake.id, intention=intend())
    seen: list[str] = []

    async def follow_logs() -> None:
        async for each in platform.follow_logs(fake.id):
            seen.append(each.text)

    reading = asyncio.create_task(follow_logs())
    try:
        await until(lambda: fake.workspace.waiting)
        following = aiter(platform.follow(fake.id, made.id))
        assert (await anext(following)).status == "created"
        ending = asyncio.ensure_future(anext(following))
        await fake.say("a line of the service's own")
        await until(lambda: seen)
        assert fake.api.troubled.asked("GET .*/deploys/dep") == 1, "that is no hint"
        fake.workspace.step_s = 0.0
        await fake.say("==> Your service is live")
        assert (await asyncio.wait_for(ending, 10)).status == "live"
        assert fake.api.troubled.asked("GET .*/deploys/dep") == 2
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_limits_while_following_are_waited_out(fake: Scene) -> None:
    clock = HastyClock()
    platform = await fake.adapter(clock=clock)
    made = await platform.deploy(fake.id, intention=intend())
    trouble(fake, "GET .*/deploys/", times=1, status=429, headers={"retry-after": "40"})
    calls = platform.calls
    told = [each async for each in platform.follow(fake.id, made.id)]
    assert (told[-1].status, platform.calls - calls) == ("live", 2)
    assert 39 <= sum(clock.waited) <= 41


# --- following logs -----------------------------------------------------------------------------------------------------


async def test_lines_said_while_the_line_was_down_are_not_missed(fake: Scene) -> None:
    platform = await fake.adapter(clock=HastyClock(haste=10))
    seen: list[PlatformLine] = []

    async def follow() -> None:
        async for each in platform.follow_logs(fake.id):
            seen.append(each)

    reading = asyncio.create_task(follow())
    try:
        await until(lambda: fake.workspace.waiting)
        await fake.say("before")
        await until(lambda: len(seen) == 1)
        # Refused for a while; what is said meanwhile is fetched.
        trouble(fake, "^WS", times=2, status=503)
        _, queue = fake.workspace.waiting[0]
        queue.put_nowait(None)  # not a line: the subscription breaks
        await until(lambda: not fake.workspace.waiting)
        await fake.say("meanwhile")
        await until(lambda: fake.workspace.waiting)
        await fake.say("after")
        await until(lambda: len(seen) == 3)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert [each.text for each in seen] == ["before", "meanwhile", "after"]


@pytest.mark.parametrize("status", [400, 404, 426])
async def test_without_a_websocket_lines_come_by_asking(fake: Scene, status: int) -> None:
    trouble(fake, "^WS", times=-1, status=status)
    platform = await fake.adapter(clock=HastyClock(haste=50))
    lines = aiter(platform.follow_logs(fake.id))
    first = asyncio.ensure_future(anext(lines))
    await until(lambda: fake.api.troubled.asked("^WS"))
    for n in range(3):
        await fake.say(f"line {n}")
    async with asyncio.timeout(10):
        seen = [await first, await anext(lines), await anext(lines)]
    await lines.aclose()  # type: ignore[attr-defined]
    assert [each.text for each in seen] == ["line 0", "line 1", "line 2"]


async def test_a_key_that_is_taken_back_ends_the_line(fake: Scene) -> None:
    platform = await fake.adapter(clock=HastyClock(haste=100))
    lines = aiter(platform.follow_logs(fake.id))
    first = asyncio.ensure_future(anext(lines))
    await until(lambda: fake.workspace.waiting)
    await fake.say("a line")
    await first
    fake.workspace.owners[0] = replace(fake.workspace.owners[0], key="a-new-key")
    second = asyncio.ensure_future(anext(lines))
    _, queue = fake.workspace.waiting[0]
    queue.put_nowait(None)  # not a line: the subscription breaks
    with pytest.raises(OutOfReach, match="refused the key"):
        await asyncio.wait_for(second, 10)


async def test_a_frame_that_is_no_line_is_passed_over(fake: Scene) -> None:
    platform = await fake.adapter()
    reading = asyncio.ensure_future(anext(platform.follow_logs(fake.id)))
    await until(lambda: fake.workspace.waiting)
    _, queue = fake.workspace.waiting[0]
    queue.put_nowait(_NoLine())
    await fake.say("a line")
    assert (await asyncio.wait_for(reading, 10)).text == "a line"


class _NoLine:
    """What the API would write as an entry without an id."""

    service_id = type = level = instance = text = ""
    id = ""
    at = datetime.now(UTC)
