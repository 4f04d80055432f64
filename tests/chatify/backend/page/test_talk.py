"""Talking: picking a personality, writing, reading the reply, coming back."""

import pytest
from playwright.async_api import expect

from chatify.problems import Problem
from tests.chatify.backend.page.talk import answered, replies, say, sees, standing
from tests.support.browser import OpenPage
from tests.support.fake_backend import FakeBackend

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]


async def test_a_person_picks_a_personality_says_hello_and_is_answered(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    page = await open_page(backend.url)
    await page.get_by_role("radio", name="Story teller").check()
    await sees(page, "Give me a place, a person and a worry.")
    await say(page, "A lighthouse")
    await answered(page, "You said: A lighthouse")
    assert backend.session.personality_id == "story-teller"
    await expect(standing(page)).to_have_text("Your turn.")
    await expect(page.locator("#detail")).to_have_text("Story teller · 19 of 20 replies left")
    await expect(page.get_by_role("radio")).to_have_count(0)


async def test_the_default_personality_is_chosen_from_the_start(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page(backend.url)
    await expect(page.get_by_role("radio", name="General assistant")).to_be_checked()
    await say(page, "Hello")
    await answered(page, "You said: Hello")
    assert backend.session.personality_id == "general-assistant"


async def test_a_message_is_shown_at_once_while_it_is_sent_and_answered(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    await say(page, "Hello")
    await expect(page.locator(".mine")).to_contain_text("Hello")
    await expect(page.locator(".mine .about")).to_contain_text("Kept")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await backend.answer("Good morning")
    await answered(page, "Good morning")


async def test_a_reply_streams_in_and_the_whole_of_it_takes_the_place_of_its_pieces(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    await say(page, "Count")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await backend.delta("One, ")
    await expect(page.locator(".theirs .text").last).to_have_text("One, ")
    await expect(standing(page)).to_have_text("The assistant is answering.")
    await backend.delta("two")
    await expect(page.locator(".theirs .text").last).to_have_text("One, two")
    await backend.answer("One, two, three.")
    await answered(page, "One, two, three.")


async def test_pieces_of_an_attempt_that_was_given_up_are_forgotten(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    await say(page, "Count")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await backend.delta("Half a rep")
    await sees(page, "Half a rep")
    await backend.tell(backend.session, type="queued", message_id=backend.turn.message_id)
    await expect(page.locator("#talk")).not_to_contain_text("Half a rep")
    await backend.delta("All of it")
    await expect(page.locator(".theirs .text").last).to_have_text("All of it")


async def test_a_reply_that_arrives_three_ways_and_twice_each_is_shown_once(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    await say(page, "Hello")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await backend.answer("Only once", times=2)
    await backend.drop_lines()  # dialling again reads the list once more
    await answered(page, "Only once")
    reads = backend.list_calls
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await say(page, "And then?")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await backend.answer("Done", times=3)
    await answered(page, "Only once", "Done")
    assert backend.list_calls > reads


async def test_several_messages_are_sent_in_order_without_waiting_for_replies(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    for text in ("one", "two", "three"):
        await say(page, text)
    await expect(page.locator(".mine .about", has_text="Kept")).to_have_count(3)
    assert [text for _, text in backend.posts] == ["one", "two", "three"]
    for turn in backend.session.turns.values():
        await backend.answer(turn.message.upper(), turn=turn)
    await answered(page, "ONE", "TWO", "THREE")


async def test_a_reload_keeps_the_conversation_the_draft_and_who_one_talks_to(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    page = await open_page(backend.url)
    await page.get_by_role("radio", name="Patient tutor").check()
    await say(page, "What is a lease?")
    await answered(page, "You said: What is a lease?")
    await page.get_by_label("Message", exact=True).fill("half a tho")
    await page.reload()
    await answered(page, "You said: What is a lease?")
    await expect(page.get_by_label("Message", exact=True)).to_have_value("half a tho")
    await expect(page.locator("#detail")).to_contain_text("Patient tutor · 19 of 20 replies left")
    assert len(backend.sessions) == 1


async def test_a_reload_while_the_reply_is_due_shows_it_when_it_comes(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    await say(page, "Slow one")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await page.reload()
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await backend.answer("Here it is")
    await answered(page, "Here it is")
    assert len(backend.posts) == 1


async def test_a_long_history_is_read_whole_and_begins_at_its_end(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.response_limit, backend.page_limit = None, 50
    page = await open_page(backend.url)
    await say(page, "first")
    await answered(page, "You said: first")
    session = backend.session
    for number in range(400):
        turn = type(backend.turn)(f"m{number}", f"question {number}")
        session.turns[turn.message_id] = turn
        backend.finish(session, turn, f"reply {number}")
    await page.reload()
    await expect(replies(page)).to_have_count(401)
    await expect(page.get_by_text("reply 399", exact=True)).to_be_in_viewport()
    took_ms = await page.evaluate(
        """async () => {
            const box = document.getElementById("message"), began = performance.now();
            for (let i = 0; i < 20; i++) { box.value += "x"; box.dispatchEvent(new Event("input")); box.offsetHeight; }
            return performance.now() - began;
        }"""
    )
    assert took_ms < 1000  # twenty keys; far above what it takes (some 20 ms), far below what is felt


async def test_text_is_never_markup_and_keeps_its_lines_and_blanks(open_page: OpenPage, backend: FakeBackend) -> None:
    nasty = (
        "<img src=x onerror=alert(1)> <b>bold</b> &amp;\n    indented\n\n```py\nif a < b:\n    print('<i>')\n```\nafter"
    )
    backend.replies = lambda text: nasty
    page = await open_page(backend.url)
    await page.get_by_label("Message", exact=True).fill("<script>alert(2)</script>")
    await page.keyboard.press("Enter")
    await expect(page.locator(".mine .text")).to_have_text("<script>alert(2)</script>")
    reply = replies(page).first
    await expect(reply.locator("pre")).to_have_text("if a < b:\n    print('<i>')")
    shown = await reply.locator("p").first.inner_text()
    assert shown.startswith("<img src=x onerror=alert(1)> <b>bold</b> &amp;\n    indented")
    assert await page.locator("#talk img, #talk b, #talk i, #talk script").count() == 0


@pytest.mark.parametrize("text", ["w" * 3000, "https://example.org/" + "a/" * 500, "```\n" + "c" * 2000 + "\n```"])
async def test_nothing_widens_a_narrow_page(open_page: OpenPage, backend: FakeBackend, text: str) -> None:
    page = await open_page(backend.url, viewport={"width": 320, "height": 568})
    await say(page, text)
    await expect(replies(page)).to_have_count(1)
    assert await page.evaluate(
        "[document.documentElement, scroller].every(node => node.scrollWidth <= node.clientWidth)"
    )


async def test_a_tall_reply_is_shown_to_its_very_end(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.replies = lambda text: "Some words.\n\n```\n" + "code\n" * 12 + "```"
    page = await open_page(backend.url)
    for number in range(1, 4):
        await say(page, "More")
        await expect(replies(page)).to_have_count(number)
        await expect(page.locator(".theirs .about").last).to_be_in_viewport(ratio=1)


async def test_the_offline_talker_is_named_as_such(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.provider = "offline"
    page = await open_page(backend.url)
    await say(page, "Hello")
    await sees(page, "General assistant · offline talker, no AI")


async def test_a_new_conversation_begins_with_the_choice_and_the_last_one_can_be_taken_up_again(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    page = await open_page(backend.url)
    await say(page, "Old")
    await answered(page, "You said: Old")
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.get_by_role("radio", name="General assistant")).to_be_focused()
    await page.get_by_role("radio", name="Code reviewer").check()
    await say(page, "New")
    await answered(page, "You said: New")
    await page.get_by_role("button", name="New conversation").click()
    await page.get_by_role("button", name="Back to the previous conversation").click()
    await answered(page, "You said: New")
    assert [session.personality_id for session in backend.sessions.values()] == ["general-assistant", "code-reviewer"]


async def test_the_last_reply_ends_the_conversation_in_words_and_what_is_unsaid_goes_along_into_a_new_one(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.response_limit = 2
    page = await open_page(backend.url)
    await say(page, "one")
    await expect(page.locator("#detail")).to_contain_text("1 of 2 replies left")
    await say(page, "two")
    await expect(standing(page)).to_have_text("This conversation has used all its replies.")
    await sees(page, "used all its 2 replies")
    await say(page, "three")
    await expect(page.get_by_label("Message", exact=True)).to_have_value("three")
    assert len(backend.posts) == 2
    await page.get_by_role("button", name="Start a new conversation").click()
    await expect(page.get_by_label("Message", exact=True)).to_have_value("three")
    await page.get_by_label("Message", exact=True).press("Enter")
    await answered(page, "You said: three")


async def test_two_tabs_of_one_conversation_agree(open_page: OpenPage, backend: FakeBackend) -> None:
    one = await open_page(backend.url)
    await say(one, "From the first")
    await answered(one, "You said: From the first")
    other = await open_page(backend.url, context=one.context)
    await answered(other, "You said: From the first")
    await say(other, "From the second")
    for page in (one, other):
        await answered(page, "You said: From the first", "You said: From the second")
        await expect(page.locator(".mine")).to_have_count(2)
    assert len(backend.session.turns) == 2
    await other.get_by_role("button", name="New conversation").click()
    await expect(one.get_by_role("radio", name="General assistant")).to_be_visible()
    # The second tab may have sent it once more, under the same id, before it heard that the first was done.
    assert len({message_id for message_id, _ in backend.posts}) == 2


async def test_a_tab_closed_before_its_message_left_is_helped_out_by_the_other(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    one = await open_page(backend.url)
    await say(one, "Hello")
    await answered(one, "You said: Hello")
    other = await open_page(backend.url, context=one.context)
    await answered(other, "You said: Hello")
    backend.refusals.extend(Problem(429, "rate_limited", "Slow down.", retry_after_s=60) for _ in range(2))
    await say(one, "Do not lose me")
    for page in (one, other):
        await expect(standing(page)).to_contain_text("A short pause")
    await one.close()
    await other.reload()
    await answered(other, "You said: Hello", "You said: Do not lose me")


async def test_without_https_the_page_still_makes_ids_that_are_uuids(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page("about:blank")
    await page.context.add_init_script("delete Crypto.prototype.randomUUID")
    await page.goto(backend.url)
    assert await page.evaluate("crypto.randomUUID === undefined")
    await say(page, "Hello")
    await answered(page, "You said: Hello")
    assert len(backend.posts[0][0]) == 36
    assert backend.posts[0][0][14] == "4"


async def test_where_storage_is_forbidden_the_page_works_on(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page("about:blank")
    await page.context.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    await page.goto(backend.url)
    await say(page, "Hello")
    await say(page, "Again")
    await answered(page, "You said: Hello", "You said: Again")
    assert len(backend.sessions) == 1
