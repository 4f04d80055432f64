"""Chromium through Playwright: the one installed on this machine, none is downloaded.

The browser runs once for each test module (`browser`), every test has a context of its own (`open_page`), so nothing is
remembered from one test to the next. Use with `pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]`.
"""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

__all__ = ["OpenPage", "browser", "chromium_path", "open_page"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
_INSTALL = {
    "linux": "apt-get install chromium",
    "darwin": "brew install --cask google-chrome",
    "win32": "winget install Google.Chrome",
}
_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

# What is waited for comes in a moment, but for a machine that others use too.
expect.set_options(timeout=15_000)

OpenPage = Callable[..., Awaitable[Page]]


def chromium_path() -> str:
    """Where Chromium is; without one the test fails in CI and is skipped elsewhere."""
    found = next(filter(None, map(shutil.which, _NAMES)), None) or next((p for p in _PLACES if Path(p).exists()), None)
    if found is None:
        how = f"needs Chromium: {_INSTALL.get(sys.platform, 'install Chromium or Chrome')}"
        if os.environ.get("CI"):
            pytest.fail(how)
        pytest.skip(how)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=path, args=_FLAGS, timeout=60_000)
        try:
            yield chromium
        finally:
            await chromium.close()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser) -> AsyncIterator[OpenPage]:
    """`await open_page(url, **context_options)` -> a page of a new context; `context=` opens another tab of one."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    async def open_(url: str, *, context: BrowserContext | None = None, **options: Any) -> Page:
        if context is None:
            context = await browser.new_context(
                **{"locale": "en-GB", "viewport": {"width": 1000, "height": 760}, **options}
            )
            context.set_default_timeout(10_000)
            contexts.append(context)
        page = await context.new_page()

        def heard(message: ConsoleMessage) -> None:
            # What the network does is the test's own doing; what the page does is not.
            if message.type == "error" and not any(
                word in message.text for word in ("net::ERR", "status of", "WebSocket", "CORS policy")
            ):
                errors.append(message.text)

        page.on("console", heard)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(url)
        return page

    yield open_
    for context in contexts:
        await context.close()
    assert errors == [], f"the page complained: {errors}"
