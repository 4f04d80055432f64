"""The page that needs no keeper: opened from a disk, against real services."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis.strategies import text
from playwright.async_api import Page, Route, expect

from everwake.fleet.schema import Service
from everwake.web.fallback import render
from tests.support.browser import OpenPage
from tests.support.processes import Service as Process
from tests.support.processes import free_port, running_async

_DATA = re.compile(r'<script type="application/json" id="services">(.*?)</script>', re.DOTALL)
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
_IN_CHROMIUM = (pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser"))


def in_chromium(test: Any) -> Any:
    for mark in _IN_CHROMIUM:
        test = mark(test)
    return test


def written(page: str) -> list[dict[str, Any]]:
    found = _DATA.findall(page)
    assert len(found) == 1
    return list(json.loads(found[0]))


def test_addresses_of_health_and_heartbeat_are_written_for_a_browser() -> None:
    page = render([Service(name="chatbot", url="https://chatbot.example", heartbeat="/ws/keepalive")])
    assert written(page) == [
        {"title": "Chatbot", "health": "https://chatbot.example/health", "heartbeat": "wss://chatbot.example/ws/keepalive",
         "every_s": 180.0, "beat_s": 30.0},
    ]  # fmt: skip


def test_a_password_in_an_address_stays_out_of_the_file() -> None:
    page = render([Service(name="a", url="http://ada:secret@a.example:8000", heartbeat="/ws")])
    assert "secret" not in page
    assert written(page)[0]["heartbeat"] == "ws://a.example:8000/ws"


def test_what_is_no_web_address_is_shown_but_not_asked() -> None:
    assert written(render([Service(name="cache", url="redis://cache.example")]))[0]["health"] is None


def test_the_file_is_whole_in_itself() -> None:
    page = render([])
    assert "@@" not in page
    assert not re.search(r"""(?:src|href)\s*=|@import|url\(""", page)


@given(name=text(max_size=80), url=text(max_size=80), path=text(max_size=40))
def test_no_name_or_address_breaks_out_of_its_data(name: str, url: str, path: str) -> None:
    hostile = f"</script><script>alert(1)</script><!--{name}"
    page = render([Service(name=hostile, url=f"https://a.example/{url}", health=f"/{path}]]>--><svg onload=alert(1)>")])
    assert page.count("<script") == render([]).count("<script")
    assert written(page)[0]["title"] == Service(name=hostile, url="https://a.example").title


# --- in the browser ---------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chatbot() -> AsyncIterator[Process]:
    """The real one. A page opened from a disk (origin `null`) may hold its heartbeat, but not read its answers."""
    async with running_async("chatbot", {"AI_PROVIDER": "offline"}) as service:
        yield service


async def opened(open_page: OpenPage, folder: Path, *services: Service) -> Page:
    file = folder / "keep-alive.html"
    file.write_text(render(services), encoding="utf-8")
    return await open_page(file.as_uri())


def spy_on_lines(page: Page) -> list[str]:
    """What the page sends over its WebSockets from now on."""
    sent: list[str] = []
    page.on("websocket", lambda line: line.on("framesent", lambda frame: sent.append(str(frame))))
    return sent


@in_chromium
async def test_it_pings_and_holds_the_heartbeat_of_the_real_chatbot_from_a_file(
    open_page: OpenPage, tmp_path: Path, chatbot: Process
) -> None:
    page = await opened(open_page, tmp_path, Service(name="chatbot", url=chatbot.url, heartbeat="/ws/keepalive"))
    sent = spy_on_lines(page)
    start, stop = (page.get_by_role("button", name=name, exact=True) for name in ("Start", "Stop"))
    await expect(stop).to_be_disabled()
    await expect(page.get_by_role("timer")).to_have_text("--")
    await start.click()
    await expect(start).to_be_disabled()
    log = page.get_by_role("log")
    for line in (
        "Architecture monitoring started",
        "Chatbot WebSocket connected (keeps service alive)",
        "Chatbot heartbeat (service alive)",
        "Chatbot Service answered, but this page may not read what (CORS)",
    ):
        await expect(log).to_contain_text(line)
    await expect(page.get_by_role("article")).to_contain_text("● Up")  # for its heartbeat is alive
    await expect(page.get_by_role("heading", level=1)).to_have_text("The service is up.")
    await expect(page.get_by_role("timer")).to_have_text(re.compile(r"in [23]:\d\d"))
    assert [(one["type"], one["seq"]) for one in map(json.loads, sent)] == [("pong", 0)]
    await stop.click()
    await expect(page.get_by_role("timer")).to_have_text("--")
    await expect(log).to_contain_text("Architecture monitoring stopped")
    await expect(page.get_by_role("article")).to_contain_text("❚❚ Not looked at")
    await expect(page.get_by_role("article")).to_contain_text("heartbeat: no line")


@in_chromium
async def test_an_answer_that_may_be_read_is_told_with_its_status_and_its_time(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = await opened(open_page, tmp_path, Service(name="backend", url="http://backend.test"))
    status = 200

    async def answer(route: Route) -> None:
        await route.fulfill(status=status, json={}, headers={"Access-Control-Allow-Origin": "*"})

    await page.route("http://backend.test/health", answer)
    card, log = page.get_by_role("article"), page.get_by_role("log")
    await page.get_by_role("button", name="Ping now: Backend").click()
    await expect(log).to_contain_text(
        re.compile(r"\[\d\d:\d\d:\d\d\] success: Backend Service is alive! \(200 - \d+ms\)")
    )
    await expect(card).to_contain_text("● Up")
    status = 503
    await page.get_by_role("button", name="Ping now: Backend").click()
    await expect(log).to_contain_text("Backend Service responded with error: 503")
    await expect(card).to_contain_text("✕ Down")


@in_chromium
async def test_it_says_so_when_it_may_not_read_an_answer_and_when_there_is_none(
    open_page: OpenPage, tmp_path: Path
) -> None:
    async with running_async(
        "chatbot", {"BACKEND_CORS_ORIGINS": '["https://a.example"]', "AI_PROVIDER": "offline"}
    ) as other:
        page = await opened(
            open_page,
            tmp_path,
            Service(name="closed", url=other.url),
            Service(name="gone", url=f"http://127.0.0.1:{free_port()}", heartbeat="/ws"),
        )
        await page.get_by_role("button", name="Ping all now").click()
        await expect(page.get_by_role("article").first).to_contain_text("? Unreadable")
        await expect(page.get_by_role("article").last).to_contain_text("✕ Unreachable")
        await expect(page.get_by_text("What a browser cannot see")).to_be_visible()


@in_chromium
async def test_a_lost_line_is_called_again_after_10_s_growing_to_60_and_only_a_line_that_lasted_begins_anew(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = await opened(open_page, tmp_path)
    file = tmp_path / "keep-alive.html"
    file.write_text(render([Service(name="chatbot", url="http://127.0.0.1:9", heartbeat="/ws")]), encoding="utf-8")
    await page.clock.install(time=NOON)
    lines: list[Any] = []
    await page.route("http://127.0.0.1:9/**", lambda route: route.fulfill(status=200, json={}))
    await page.route_web_socket(re.compile("/ws$"), lambda line: lines.append(line))
    await page.goto(file.as_uri())
    await page.clock.pause_at(
        NOON + timedelta(minutes=5)
    )  # an installed clock goes on by itself until it is told to stop
    await page.get_by_role("button", name="Start", exact=True).click()
    log = page.get_by_role("log").get_by_role("listitem")

    async def dropped(wait_s: int) -> None:
        connected = log.filter(has_text="WebSocket connected")
        await expect(connected).to_have_count(len(lines))
        before = len(lines)
        said = log.filter(has_text="closed (reconnecting in")
        await lines[-1].close()
        await expect(said).to_have_count(before)
        await expect(said.first).to_contain_text(f"Chatbot WebSocket closed (reconnecting in {wait_s}s)")
        await page.clock.run_for(wait_s * 1000 - 100)
        assert len(lines) == before
        await page.clock.run_for(wait_s * 100 + 200)
        await expect(connected).to_have_count(before + 1)

    await expect(log.filter(has_text="WebSocket connected")).to_have_count(1)
    for wait_s in (10, 20, 40, 60, 60):
        await dropped(wait_s)
    for _ in range(7):  # a line with beats, for more than a minute
        lines[-1].send(json.dumps({"type": "ping", "seq": 1}))
        await page.clock.run_for(10_000)
    await dropped(10)


@in_chromium
async def test_hostile_names_stay_text_in_the_file(open_page: OpenPage, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=\"document.title='stolen'\">"
    page = await opened(open_page, tmp_path, Service(name=evil, url="https://a.example"))
    await expect(page.get_by_role("article")).to_contain_text("onerror")
    assert await page.locator("img").count() == 0
    assert await page.title() == "❚❚ Keep alive"
