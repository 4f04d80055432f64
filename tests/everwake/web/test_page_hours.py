"""The free hours on the page: a bar with a date, and what is asleep on purpose says until when."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from everwake.budget.hours import Hours, put_together
from everwake.budget.ledger import Source, Usage
from everwake.model import State
from everwake.web.door import HoursKnown
from tests.support.browser import OpenPage
from tests.support.fake_keeper import FakeKeeper

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]

NAMES = ("chatbot", "backend", "redis")


def hours(*plans: str, used_h: float = 60.0, speed: float = 1.0) -> Hours:
    usages = [Usage(service=name, used_h=used_h, low_h=used_h, high_h=used_h, source=Source.PLATFORM) for name in NAMES]
    now = datetime(2026, 11, 10, 9, tzinfo=UTC)
    return put_together(usages, dict(zip(NAMES, plans, strict=True)), now, speed=speed)


def known(found: Hours) -> HoursKnown:
    return HoursKnown(counted_at=datetime.now(UTC), hours={"render": found})


async def test_three_round_the_clock_are_a_bar_with_the_day_it_ends_and_three_ways_out(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    keeper.known_hours = known(hours("always", "always", "always"))
    page = await open_page(keeper.url)
    panel = page.get_by_role("region", name="Free hours")
    await expect(panel).to_contain_text("They end on Wednesday 18 November")
    for text in ("November", "ends on the 18th", "1,665 of 750 h used or planned", "Three ways to make them last"):
        await expect(panel).to_contain_text(text)
    await expect(panel.get_by_role("listitem")).to_have_count(3)
    about = "Of 750 hours 180 are used, 1485 planned, 915 too many"
    await expect(panel.get_by_role("img", name=about)).to_be_visible()


async def test_hours_that_last_say_to_which_day_and_what_the_windows_save(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    keeper.known_hours = known(hours("08:00-16:00 UTC", "on-demand", "on-demand"))
    page = await open_page(keeper.url)
    panel = page.get_by_role("region", name="Free hours")
    await expect(panel).to_contain_text("They last to the 30th")
    await expect(panel).to_contain_text("Without the windows they would end on the 18th.")
    await panel.get_by_text("By service").click()
    await expect(panel).to_contain_text("08:00-16:00 UTC")


async def test_hours_that_are_used_up_say_since_when_until_when_and_the_ways_out(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    usages = [Usage(service=name, used_h=250, low_h=250, high_h=250, source=Source.PLATFORM) for name in NAMES]
    now, at = datetime(2026, 11, 28, 15, tzinfo=UTC), datetime(2026, 11, 28, 13, 12, tzinfo=UTC)
    plans = dict.fromkeys(NAMES, "always")
    keeper.known_hours = known(put_together(usages, plans, now, suspended=NAMES, ended_at=at))
    page = await open_page(keeper.url)
    panel = page.get_by_role("region", name="Free hours")
    await expect(panel).to_contain_text("The 750 h are used up since Saturday 28 November, 13:12 UTC.")
    for text in (
        "suspended until Tuesday 1 December",
        "used up until the 1st",
        "Three ways out",
        "wait until 1 December",
    ):
        await expect(panel).to_contain_text(text)
    await expect(panel).not_to_contain_text("to spare")
    await panel.get_by_text("By service").click()
    await expect(panel).to_contain_text("suspended")
    await expect(panel.get_by_role("img", name="Of 750 hours 750 are used, 0 planned, used up")).to_be_visible()


async def test_hours_that_only_our_count_has_used_up_are_said_to_be_that(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    keeper.known_hours = known(hours("always", "always", "always", used_h=260.0))
    page = await open_page(keeper.url)
    panel = page.get_by_role("region", name="Free hours")
    await expect(panel).to_contain_text("By this count the 750 h are used up, yet the platform has suspended nobody.")
    await expect(panel).to_contain_text("used up, by this count")


async def test_where_no_hours_are_counted_there_is_no_panel(open_page: OpenPage, keeper: FakeKeeper) -> None:
    page = await open_page(keeper.url)
    await expect(page.get_by_role("article")).to_have_count(3)
    await expect(page.get_by_role("heading", name="Free hours")).to_be_hidden()


async def test_a_service_that_is_asleep_on_purpose_says_until_when_and_worries_nobody(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    turns_at = datetime.now(UTC) + timedelta(hours=3)
    keeper.set(
        "chatbot",
        state=State.ASLEEP,
        cause="on purpose (assumed)",
        rests=True,
        awake="08:00-24:00 UTC",
        turns_at=turns_at,
    )
    keeper.set("backend", state=State.ASLEEP, cause="on purpose; an instance still runs", rests=True, awake="on-demand")
    page = await open_page(keeper.url)
    chatbot = page.get_by_role("article", name="Chatbot", exact=True)
    until = await page.evaluate(
        "at => new Intl.DateTimeFormat('en-GB', {hour: '2-digit', minute: '2-digit'}).format(at)",
        turns_at.timestamp() * 1000,
    )
    await expect(chatbot).to_contain_text(f"on purpose (assumed) until {until} · window 08:00-24:00 UTC")
    backend = page.get_by_role("article", name="Backend", exact=True)
    await expect(backend).to_contain_text("on purpose, until somebody uses it")
    await expect(backend).to_contain_text("an instance still runs")
    await expect(page.get_by_role("heading", level=1)).to_have_text("All three services are as they should be.")


async def test_a_simulated_platform_says_how_fast_its_calendar_runs(open_page: OpenPage, keeper: FakeKeeper) -> None:
    keeper.known_hours = known(hours("always", "always", "always", speed=30.0))
    page = await open_page(keeper.url)
    await expect(page.get_by_role("region", name="Free hours")).to_contain_text("it runs 30 times as fast")
