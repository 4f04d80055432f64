"""How the keeper's page fares with many services in Chromium: first drawing, and the longest task while they change.

`python bench/page.py [--quick]`. One row for each size, median and range of the rounds; 3 services are the floor beside it.
Needs Chromium (see tests/support/browser.py).
"""

import argparse
import asyncio
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from playwright.async_api import Browser, async_playwright
from tests.support.browser import _FLAGS, chromium_path
from tests.support.fake_keeper import FakeKeeper, fake_keeper

WATCH = """() => { window.frames = []; let last = performance.now(); const frame = (now) => {
    frames.push(now - last); last = now; requestAnimationFrame(frame); }; requestAnimationFrame(frame);
    window.long = []; new PerformanceObserver((list) => { for (const one of list.getEntries()) long.push(one.duration); })
    .observe({ entryTypes: ["longtask"] }); }"""
SHOWN = "() => performance.getEntriesByName('everwake shown')[0].startTime"


async def one(browser: Browser, count: int) -> tuple[float, float, float]:
    """Shown after ms; longest task and longest frame while a sixtieth of all services changes each second, in bursts, for 4 s."""
    keeper = FakeKeeper()
    for n in range(count):
        keeper.add(f"service-{n:05}", group=f"group {n % 4}")
    async with fake_keeper(keeper):
        page = await browser.new_page(viewport={"width": 1360, "height": 900})
        await page.goto(keeper.url)
        await page.locator("#cards article").nth(count - 1).wait_for(state="attached")
        await page.wait_for_timeout(500)
        shown_ms = float(await page.evaluate(SHOWN))
        await page.evaluate(WATCH)
        for turn in range(16):
            for n in range(turn, count, 15):
                keeper.set(f"service-{n:05}", latency_ms=float(turn * 10 + n % 7))
                keeper.say(f"service-{n:05} Service is alive! (200 - {turn}ms)")
            await asyncio.sleep(0.25)
        longest, frame = await page.evaluate("[Math.max(0, ...long), Math.max(...frames)]")
        await page.close()
        return shown_ms, float(longest), float(frame)


async def main(rounds: int) -> None:
    sizes = (3, 100, 1_000)
    seen: dict[int, list[tuple[float, float, float]]] = {size: [] for size in sizes}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=_FLAGS)
        for _ in range(rounds):
            for size in sizes:
                seen[size].append(await one(browser, size))
        await browser.close()
    print(f"{'services':>8}  {'shown ms':>20}  {'longest task ms':>20}  {'longest frame ms':>20}")
    for size, rows in seen.items():
        cells = [
            f"{statistics.median(column):.0f} ({min(column):.0f}-{max(column):.0f})"
            for column in zip(*rows, strict=True)
        ]
        print(f"{size:>8,}  {cells[0]:>20}  {cells[1]:>20}  {cells[2]:>20}")
    print(
        "longest task 0: none of more than 50 ms. Each service changes about every 4 s, 15 times as often as every minute."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    asyncio.run(main(1 if parser.parse_args().quick else 5))
