"""A thousand services: there in a second, and no update makes the page stutter."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Page, expect

from everwake.model import State
from tests.support.browser import OpenPage
from tests.support.fake_keeper import FakeKeeper, fake_keeper

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]

COUNT = 1_000

# Tasks of more than 50 ms, as the browser itself counts them.
WATCH = """() => { window.long = []; new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) long.push(Math.round(entry.duration)); }).observe({ entryTypes: ["longtask"] }); }"""

SHOWN = """() => performance.getEntriesByName("everwake shown")[0]?.startTime ?? null"""


def a_thousand() -> FakeKeeper:
    keeper = FakeKeeper()
    for n in range(COUNT):
        keeper.add(f"service-{n:04}", group=("shop", "billing", "search", "mail")[n // 250])
    return keeper


async def long_tasks(page: Page) -> list[Any]:
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
    return list(await page.evaluate("long"))


async def test_a_thousand_cards_are_there_and_an_update_storm_is_no_stutter(open_page: OpenPage) -> None:
    async with fake_keeper(a_thousand()) as keeper:
        page = await open_page(keeper.url, viewport={"width": 1360, "height": 900})
        await expect(page.locator("#cards article")).to_have_count(COUNT)
        first_ms = await page.evaluate(SHOWN)
        assert first_ms < 5_000  # 1 s on a machine that has nothing else to do; docs/dashboard.md has the figure
        await page.evaluate(WATCH)
        for turn in range(4):
            for n in range(COUNT):
                keeper.set(f"service-{n:04}", latency_ms=float(turn * 1000 + n))
                if n % 100 == 99:
                    await asyncio.sleep(0.01)
            keeper.say(f"turn {turn}")
        for n in range(0, 20):
            keeper.set(f"service-{n * 50:04}", state=State.DOWN)
        await expect(page.get_by_role("log")).to_contain_text("turn 3")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("20 services are down")
        await expect(page.locator("#cards article").first).to_contain_text("✕ Down")
        tasks = await long_tasks(page)
        # 100 ms is the aim; the tests share two cores with others, which may hold up one or two, but not turn after turn.
        assert sum(ms > 250 for ms in tasks) <= 2, tasks


async def test_a_thousand_are_searched_filtered_and_grouped(open_page: OpenPage) -> None:
    made = a_thousand()
    made.add("odd-one", title="The odd one", state=State.ASLEEP)
    async with fake_keeper(made) as keeper:
        page = await open_page(keeper.url)
        await expect(page.get_by_role("heading", level=2, name="billing")).to_be_attached()
        await page.get_by_role("searchbox", name="Find a service").fill("odd")
        await expect(page.locator("#cards article h3")).to_have_text(["The odd one"])
        await page.get_by_role("searchbox").fill("")
        await page.get_by_role("button", name="☾ Asleep 1").click()
        await expect(page.locator("#cards article h3")).to_have_text(["The odd one"])
        await expect(page.get_by_role("button", name="☾ Asleep 1")).to_have_attribute("aria-pressed", "true")
        await page.get_by_role("button", name="All 1,001").click()
        await page.get_by_role("searchbox").fill("mail 0999")
        await expect(page.locator("#cards article h3")).to_have_text(["Service 0999"])
        await expect(page.locator("#found")).to_have_text("1 of 1001")
        await page.get_by_role("searchbox").fill("nothing like it")
        await expect(page.locator("#cards")).to_have_text("No service is like that.")


async def test_cards_far_down_are_drawn_when_they_come_near_the_screen(open_page: OpenPage) -> None:
    async with fake_keeper(a_thousand()) as keeper:
        page = await open_page(keeper.url)
        last = page.get_by_role("article", name="Service 0999", exact=True)
        await expect(last).to_have_count(1)
        assert await last.locator("svg").count() == 0
        await last.scroll_into_view_if_needed()
        await expect(last.locator("svg.strip")).to_be_visible()
        await last.scroll_into_view_if_needed()
        await expect(last).to_be_in_viewport()
        keeper.set("service-0999", latency_ms=77.0)
        await expect(last).to_contain_text("77 ms")
