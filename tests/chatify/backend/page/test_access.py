"""By keyboard, by screen reader, on a phone, in the dark, without motion."""

import pytest
from playwright.async_api import Page, expect

from chatify.problems import Problem
from tests.chatify.backend.page.talk import answered, impatient, say, sees, standing, status
from tests.support.browser import OpenPage
from tests.support.fake_backend import FakeBackend

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]

# Every text that is shown: its contrast with what lies behind it (WCAG 2.2, 1.4.3), computed from what the browser computed.
CONTRASTS = """() => {
    const parse = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
    const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const behind = (node) => {
        for (; node; node = node.parentElement) {
            const colour = parse(getComputedStyle(node).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
    };
    const poor = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
        if (node.closest(".unseen, .skip, script, noscript")) continue;
        const style = getComputedStyle(node);
        const one = light(parse(style.color)), two = light(behind(node));
        const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${walker.currentNode.data.trim()}`);
    }
    return poor;
}"""

TARGETS = """() => [...document.querySelectorAll("button, input, textarea, label.choice")]
    .filter((node) => node.checkVisibility() && !(node.type === "radio"))
    .map((node) => [node.textContent.trim() || node.id, node.getBoundingClientRect()])
    .filter(([, box]) => box.width < 44 || box.height < 44).map(([name, box]) => `${name} ${box.width}x${box.height}`)"""


async def every_state(page: Page, backend: FakeBackend) -> None:
    """A page that shows replies, code, a failure, waking, waiting and a pause."""
    backend.replies = lambda text: "Text\n```\ncode\n```"
    await say(page, "Hello")
    await sees(page, "code")
    backend.refusals.append(Problem(422, "message_too_long", "At most 4000 characters."))
    await say(page, "Long")
    await sees(page, "too long")
    await backend.sleep()
    await say(page, "one")
    await say(page, "two")
    await expect(page.locator(".waking")).to_be_visible()
    backend.refusals.append(Problem(429, "rate_limited", "Slow down.", retry_after_s=60))
    await say(page, "three")
    await expect(standing(page)).to_contain_text("A short pause")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_stands_out_enough_from_what_is_behind_it(
    open_page: OpenPage, backend: FakeBackend, scheme: str
) -> None:
    page = await open_page(backend.url, color_scheme=scheme)
    await expect(page.get_by_role("radio")).to_have_count(6)
    assert await page.evaluate(CONTRASTS) == []
    await every_state(page, backend)
    assert await page.evaluate(CONTRASTS) == []


async def test_dark_is_dark_and_light_is_light(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page(backend.url, color_scheme="light")
    shade = "() => getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(shade) == "rgb(246, 245, 241)"
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate(shade) == "rgb(18, 21, 29)"


@pytest.mark.parametrize("size", [(390, 844), (320, 568)])
async def test_what_a_finger_touches_is_44_px_and_nothing_lies_outside_a_phone(
    open_page: OpenPage, backend: FakeBackend, size: tuple[int, int]
) -> None:
    page = await open_page(backend.url, viewport={"width": size[0], "height": size[1]}, has_touch=True, is_mobile=True)
    await expect(page.get_by_role("radio")).to_have_count(6)
    assert await page.evaluate(TARGETS) == []
    await every_state(page, backend)
    assert await page.evaluate(TARGETS) == []
    assert await page.evaluate("document.documentElement.scrollWidth") == size[0]
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)
    await expect(standing(page)).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("size", [(500, 380), (320, 256)])
async def test_zoomed_to_200_and_400_percent_the_box_and_the_conversation_are_still_there(
    open_page: OpenPage, backend: FakeBackend, size: tuple[int, int]
) -> None:
    page = await open_page(backend.url, viewport={"width": size[0], "height": size[1]})
    await say(page, "Hello")
    await answered(page, "You said: Hello")
    await expect(page.get_by_text("You said: Hello", exact=True)).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)
    await expect(page.get_by_label("Message", exact=True)).to_be_in_viewport(ratio=1)


async def test_the_whole_story_is_told_by_keyboard_alone(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page(backend.url)
    box = page.get_by_label("Message", exact=True)
    await expect(page.get_by_role("radio")).to_have_count(6)
    await expect(box).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(page.get_by_role("radio", name="General assistant")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("radio", name="Patient tutor")).to_be_checked()
    await page.keyboard.press("Tab")
    await expect(box).to_be_focused()
    await page.keyboard.type("First line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("second line")
    await page.keyboard.press("Enter")
    await answered(page, "You said: First line\nsecond line")
    await expect(box).to_be_focused()
    await expect(box).to_have_value("")
    assert backend.session.personality_id == "patient-tutor"
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_focused()


async def test_the_first_tab_leads_over_the_conversation_to_the_message_box(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    page = await open_page(backend.url, has_touch=True, is_mobile=True)  # there the box is not focused by itself
    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the message box")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()


async def test_enter_picks_a_word_while_an_input_method_composes(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page(backend.url)
    box = page.get_by_label("Message", exact=True)
    await box.focus()
    session = await page.context.new_cdp_session(page)
    await session.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    await page.keyboard.press("Enter")
    await box.evaluate(
        "box => box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, bubbles: true, cancelable: true}))"
    )
    assert backend.posts == []
    await session.send("Input.insertText", {"text": "日本"})
    await box.press("Enter")
    await expect(page.locator(".theirs .about")).to_have_count(1)
    assert len(backend.posts) == 1
    assert "日本" in backend.posts[0][1]


async def test_blank_messages_are_not_sent(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page(backend.url)
    await say(page, "  \n  ")
    await page.get_by_role("button", name="Send", exact=True).click()
    await say(page, "Real")
    await answered(page, "You said: Real")
    assert len(backend.posts) == 1


async def test_the_box_grows_with_what_is_written_and_no_further_than_a_third_of_the_page(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    page = await open_page(backend.url)
    box = page.get_by_label("Message", exact=True)
    heights = []
    for lines in (1, 4, 60):
        await box.fill("\n".join("x" for _ in range(lines)))
        heights.append((await box.bounding_box() or {})["height"])
    assert heights[0] < heights[1] < heights[2] <= 0.36 * 760
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)


async def test_a_screen_reader_hears_the_finished_reply_once_and_no_pieces(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    await page.evaluate(
        """() => { window.heard = []; const node = document.querySelector('[role=status]');
        new MutationObserver(() => heard.push(node.textContent))
            .observe(node, {childList: true, characterData: true, subtree: true}); }"""
    )
    await say(page, "Hello")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    for piece in ("One ", "two ", "three"):
        await backend.delta(piece)
    await sees(page, "One two three")
    await backend.answer("One two three.", times=2)
    await expect(status(page)).to_have_text("General assistant said: One two three.")
    assert await page.evaluate("heard") == ["General assistant said: One two three."]
    assert await page.locator("#talk[aria-live], #talk [aria-live], [role=log]").count() == 0


async def test_everything_has_a_name_and_the_page_its_landmarks(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page(backend.url)
    await say(page, "Hello")
    await answered(page, "You said: Hello")
    for role in ("banner", "main", "contentinfo"):
        await expect(page.get_by_role(role)).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    talk = page.get_by_role("list", name="Conversation")
    assert await talk.get_by_role("listitem").all_inner_texts()
    items = await talk.get_by_role("listitem").all_text_contents()
    assert items[1].startswith("You said: Hello")
    assert items[2].startswith("General assistant said: You said: Hello")
    assert await page.evaluate("document.documentElement.lang") == "en"
    names = await page.locator("button:visible, textarea, input:visible").evaluate_all(
        "nodes => nodes.map(node => (node.labels?.[0]?.textContent || node.textContent).trim())"
    )
    assert all(names)


async def test_a_choice_of_personalities_is_a_named_group_of_radio_buttons(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    page = await open_page(backend.url)
    group = page.get_by_role("group", name="Who would you like to talk to?")
    await expect(group.get_by_role("radio")).to_have_count(6)


async def test_what_had_the_focus_and_went_away_leaves_it_to_the_message_box(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.refusals.extend(Problem(500, "internal_error", "Something broke.") for _ in range(4))
    page = await open_page(backend.url)
    await say(page, "Hello")
    await impatient(page)
    retry = page.get_by_role("button", name="Try again")
    await retry.focus()
    await page.keyboard.press("Enter")
    await answered(page, "You said: Hello")
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()


async def test_without_motion_nothing_moves(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.replies = None
    page = await open_page(backend.url, reduced_motion="reduce")
    await say(page, "Hello")
    await expect(page.locator(".dots")).to_be_visible()
    assert await page.evaluate("document.getAnimations().length") == 0
    await page.emulate_media(reduced_motion="no-preference")
    assert await page.evaluate("document.getAnimations().length") > 0


async def test_state_is_told_by_a_word_beside_every_glyph(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page(backend.url)
    await every_state(page, backend)
    for words in ("◐ Waking", "✓ Kept", "○ Not sent yet", "▲ Failed", "✕ Not sent"):
        await sees(page, words)


async def test_nothing_but_this_host_is_asked_for_anything(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(backend.url)
    await say(page, "Hello")
    await answered(page, "You said: Hello")
    assert len(asked) > 10
    assert all(url.startswith(backend.url) for url in asked)
