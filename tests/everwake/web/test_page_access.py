"""By keyboard, by screen reader, on a phone, in the dark, without motion; and nothing foreign, nothing inline."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

import everwake.web
from everwake.model import State
from tests.support.browser import OpenPage
from tests.support.fake_keeper import FakeKeeper

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]

# Every text that is shown: its contrast with what lies behind it (WCAG 2.2, 1.4.3), washes laid over one another.
CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const over = (colours) => {
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const poor = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
        if (node.closest(".unseen, .skip, :disabled, noscript, svg")) continue;
        const behind = [];
        for (let up = node; up; up = up.parentElement) behind.unshift(getComputedStyle(up).backgroundColor);
        const one = light(over([...behind, getComputedStyle(node).color])), two = light(over(behind));
        const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${walker.currentNode.data.trim()}`);
    }
    return poor;
}"""

TARGETS = """() => [...document.querySelectorAll("button, input:not([type=hidden])")]
    .filter((node) => node.checkVisibility({ contentVisibilityAuto: true }))
    .map((node) => [node.textContent.trim() || node.id, node.getBoundingClientRect()])
    .filter(([, box]) => box.height < 44).map(([name, box]) => `${name} ${box.width}x${box.height}`)"""


def every_state(keeper: FakeKeeper) -> None:
    """A fleet in which each state stands once, with an incident, trouble and lines of each level."""
    for n, state in enumerate(State):
        keeper.add(f"service-{n}", title=f"A service that is {state.value}", state=state)
    keeper.fall("chatbot", cause="bad_env_var")
    keeper.trouble = ("The history is written late.",)


async def shown(page: Page) -> None:
    await expect(page.locator("#cards article")).to_have_count(10)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_stands_out_enough_from_what_is_behind_it(
    open_page: OpenPage, keeper: FakeKeeper, scheme: str
) -> None:
    every_state(keeper)
    page = await open_page(keeper.url, color_scheme=scheme)
    await shown(page)
    assert await page.evaluate(CONTRASTS) == []
    await page.get_by_role("link", name="Why?: Chatbot").click()
    await expect(page.get_by_role("dialog").locator("canvas")).to_be_visible()
    assert await page.evaluate(CONTRASTS) == []
    await page.goto(keeper.url + "status")
    assert await page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize("size", [(390, 844), (320, 568)])
async def test_on_a_phone_nothing_lies_outside_and_a_finger_finds_every_button(
    open_page: OpenPage, keeper: FakeKeeper, size: tuple[int, int]
) -> None:
    every_state(keeper)
    page = await open_page(keeper.url, viewport={"width": size[0], "height": size[1]}, has_touch=True, is_mobile=True)
    await shown(page)
    assert await page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert await page.evaluate(TARGETS) == []
    await expect(page.get_by_role("heading", level=1)).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_in_viewport(ratio=1)
    for path in ("status", "#/service/chatbot"):
        await page.goto(keeper.url + path)
        await expect(page.get_by_text("Chatbot").first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") == size[0]


async def test_by_keyboard_alone_over_the_skip_link_to_a_ping_and_through_the_details(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url)
    await expect(page.get_by_role("article")).to_have_count(3)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the services")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Ping now: Chatbot")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("log")).to_contain_text("200 - 187ms")
    await expect(page.get_by_role("button", name="Ping now: Chatbot")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Chatbot")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Details: Chatbot")).to_be_focused()


async def test_a_card_that_moves_to_the_top_keeps_the_focus(open_page: OpenPage, keeper: FakeKeeper) -> None:
    page = await open_page(keeper.url)
    ping = page.get_by_role("button", name="Ping now: Redis")
    await ping.focus()
    keeper.fall("redis-service")
    await expect(page.locator("#cards article h3").first).to_have_text("Redis")
    await expect(ping).to_be_focused()


async def test_a_screen_reader_hears_the_sentence_when_it_changes_and_not_the_log(
    open_page: OpenPage, keeper: FakeKeeper
) -> None:
    page = await open_page(keeper.url)
    await expect(page.get_by_role("article")).to_have_count(3)
    await page.evaluate(
        """() => { window.heard = [];
        new MutationObserver(() => heard.push(document.getElementById("sentence").textContent))
            .observe(document.getElementById("sentence"), {childList: true, characterData: true, subtree: true}); }"""
    )
    for _ in range(3):
        keeper.check_now("chatbot")
    keeper.fall("chatbot")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Chatbot is down")
    assert await page.evaluate("heard") == ["Chatbot is down; the other two are as they should be."]
    assert await page.locator("[aria-live=polite], [aria-live=assertive]").evaluate_all(
        "all => all.map((one) => one.id)"
    ) == ["sentence"]
    await expect(page.get_by_role("log")).to_have_attribute("aria-live", "off")


async def test_headings_tell_the_page_and_every_button_whom_it_is_for(open_page: OpenPage, keeper: FakeKeeper) -> None:
    page = await open_page(keeper.url)
    await expect(page.get_by_role("article")).to_have_count(3)
    await expect(page.get_by_role("heading", level=2)).to_have_text(["Incidents", "Activity"])
    names = [
        await one.get_attribute("aria-label") for one in await page.get_by_role("article").get_by_role("button").all()
    ]
    assert names == ["Ping now: Chatbot", "Ping now: Backend", "Ping now: Redis"]


async def test_without_motion_nothing_moves(open_page: OpenPage, keeper: FakeKeeper) -> None:
    page = await open_page(keeper.url, reduced_motion="reduce")
    keeper.fall("chatbot")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("is down")
    assert await page.evaluate("document.getAnimations().length") == 0


async def test_only_the_keeper_itself_is_asked_for_anything(open_page: OpenPage, keeper: FakeKeeper) -> None:
    page = await open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(keeper.url + "#/service/chatbot")
    await expect(page.get_by_role("dialog").locator("canvas")).to_be_visible()
    assert asked
    assert [url for url in asked if not url.startswith(keeper.url)] == []


async def test_without_javascript_the_page_says_how_things_stand(open_page: OpenPage, keeper: FakeKeeper) -> None:
    page = await open_page(keeper.url, java_script_enabled=False)
    await expect(page.get_by_role("heading", level=1)).to_have_text("All three services are up.")


async def test_scripts_put_text_in_as_text_only() -> None:
    static = Path(everwake.web.__file__).parent / "static"
    files = list(static.glob("*.js"))
    assert len(files) >= 10
    for path in files:
        found = re.findall(
            # A share of a bar, a number and nothing else, is all that a script may set of a style.
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
            r"|\.style\b(?!\.(?:width|left) = `\$\{\w+\.toFixed\(2\)\}%`)",
            path.read_text("utf-8"),
        )
        assert found == [], path.name


async def test_every_module_is_named_in_the_page_so_that_none_is_waited_for_in_turn() -> None:
    folder = Path(everwake.web.__file__).parent
    page = (folder / "templates" / "dashboard.html").read_text("utf-8")
    for path in (folder / "static").glob("*.js"):
        assert f'"{path.stem}"' in page or f"{path.name}" in page, path.name
