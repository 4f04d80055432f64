"""When things do not go well: the page says what is up, keeps what was written, and goes on by itself."""

import asyncio
import re
import time

import pytest
from playwright.async_api import Page, expect

from chatify.problems import Problem
from tests.chatify.backend.page.talk import answered, impatient, replies, say, sees, standing, status
from tests.support.browser import OpenPage
from tests.support.fake_backend import FakeBackend

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]


async def until(claim: object, what: str, within_s: float = 10.0) -> None:
    """Wait until `claim()` holds."""
    deadline = time.monotonic() + within_s
    while not claim():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def once(page: Page, backend: FakeBackend, text: str) -> None:
    """`text` was kept once by the server, however often it was sent."""
    assert [turn.message for turn in backend.session.turns.values()].count(text) == 1
    await expect(page.locator(".mine .text", has_text=text)).to_have_count(1)


async def test_a_sleeping_assistant_is_told_of_as_waking_with_the_time_and_never_as_an_error(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    await backend.sleep(for_s=42)
    page = await open_page(backend.url)
    await say(page, "Good morning")
    await expect(standing(page)).to_have_text("The assistant is waking up; your message is kept.")
    await expect(page.locator(".elapsed")).to_have_text(re.compile("^0:[45][0-9] so far, usually under a minute$"))
    await expect(page.locator(".refused")).to_have_count(0)
    await expect(status(page)).to_have_text("The assistant is waking up; your message is kept.")
    await backend.wake()
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await backend.answer("Good morning to you")
    await answered(page, "Good morning to you")


async def test_waking_that_takes_longer_than_usual_is_told_as_such(open_page: OpenPage, backend: FakeBackend) -> None:
    await backend.sleep(for_s=95)
    page = await open_page(backend.url)
    await say(page, "Hello?")
    await expect(page.locator(".elapsed")).to_have_text(
        re.compile("^1:[345][0-9] so far, longer than usual, still trying$")
    )


async def test_a_reload_while_waking_keeps_the_message_and_the_waking(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    await backend.sleep()
    page = await open_page(backend.url)
    await say(page, "first")
    await say(page, "second")
    await expect(standing(page)).to_have_text("The assistant is waking up; your 2 messages are kept.")
    await page.reload()
    await expect(standing(page)).to_have_text("The assistant is waking up; your 2 messages are kept.")
    await expect(page.locator(".elapsed")).to_have_count(1)
    await sees(page, "Waits its turn")
    await backend.wake()
    for turn in backend.session.turns.values():
        await backend.answer(turn.message.upper(), turn=turn)
    await answered(page, "FIRST", "SECOND")
    assert len(backend.posts) == 2


async def test_without_websockets_replies_arrive_all_the_same(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.has_lines, backend.replies = False, None
    page = await open_page(backend.url)
    await say(page, "Hello")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    backend.finish(backend.session, backend.turn, "Through the list")
    await answered(page, "Through the list")


async def test_a_dropped_line_is_dialled_again_and_what_was_missed_is_read(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    await say(page, "Hello")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    backend.has_lines = False
    await backend.drop_lines()
    backend.finish(backend.session, backend.turn, "While you were away")
    backend.has_lines = True
    await answered(page, "While you were away")
    await until(lambda: backend.session.lines, "the line was not dialled again")
    await say(page, "Next")
    await until(lambda: len(backend.session.turns) == 2, "the next message did not arrive")
    await backend.answer("And live again")
    await answered(page, "While you were away", "And live again")


async def test_a_lost_answer_never_doubles_the_message(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.has_lines = False
    backend.loses_answers = 1
    page = await open_page(backend.url)
    await say(page, "Only one of me")
    await answered(page, "You said: Only one of me")
    await once(page, backend, "Only one of me")
    assert len(backend.posts) == 2
    assert backend.posts[0] == backend.posts[1]


async def test_a_server_that_is_down_is_named_and_the_message_goes_out_when_it_is_back(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    page = await open_page(backend.url)
    await say(page, "Before")
    await answered(page, "You said: Before")
    await backend.stop()
    await say(page, "Meanwhile")
    await expect(standing(page)).to_have_text("The chat server cannot be reached; your message is kept.")
    await expect(page.locator(".mine .about").last).to_have_text("○ Not sent yet")
    await expect(page.get_by_role("button", name="Try now")).to_be_visible()
    await backend.start()
    await answered(page, "You said: Before", "You said: Meanwhile")
    await once(page, backend, "Meanwhile")
    await expect(standing(page)).to_have_text("Your turn.")


async def test_who_does_not_want_to_wait_has_it_tried_now(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.has_lines = False  # a line that opens has it tried at once, which is not what this is about
    page = await open_page(backend.url)
    backend.refusals.append(Problem(503, "store_unavailable", "The store is away.", retry_after_s=60))
    await say(page, "Hello")
    await expect(page.locator("#detail")).to_have_text(re.compile("^Trying again in (1:00|0:5[0-9])[.]$"))
    await page.get_by_role("button", name="Try now").click()
    await answered(page, "You said: Hello")
    await expect(page.get_by_role("button", name="Try now")).to_be_hidden()


async def test_what_was_never_sent_survives_a_reload(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.has_lines = False  # a line that opens has it tried at once, which is not what this is about
    page = await open_page(backend.url)
    backend.refusals.append(Problem(503, "store_unavailable", "The store is away.", retry_after_s=60))
    await say(page, "Keep me")
    await expect(standing(page)).to_contain_text("your message is kept")
    await page.reload()
    await answered(page, "You said: Keep me")
    await once(page, backend, "Keep me")
    assert backend.posts[0] == backend.posts[1]


async def test_offline_the_message_waits_and_online_it_goes(open_page: OpenPage, backend: FakeBackend) -> None:
    page = await open_page(backend.url)
    await say(page, "Before")
    await answered(page, "You said: Before")
    await page.context.set_offline(True)
    await expect(standing(page)).to_have_text("You are offline.")
    await say(page, "On the train")
    await expect(standing(page)).to_have_text("You are offline; your message is kept.")
    await page.context.set_offline(False)
    await answered(page, "You said: Before", "You said: On the train")
    await once(page, backend, "On the train")


async def test_a_rate_limit_is_a_short_pause_that_ends_by_itself(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.refusals.append(Problem(429, "rate_limited", "Slow down.", retry_after_s=1))
    page = await open_page(backend.url)
    await say(page, "Quick")
    await expect(standing(page)).to_have_text("A short pause: that was a lot at once; your message is kept.")
    await answered(page, "You said: Quick")
    assert len(backend.posts) == 2


async def test_an_error_inside_the_server_is_tried_again_and_then_left_to_the_person(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.refusals.extend(Problem(500, "internal_error", "Something broke.", retry_after_s=0) for _ in range(4))
    page = await open_page(backend.url)
    await say(page, "Hello")
    await impatient(page)
    await sees(page, "Not answered: Something broke.")
    await page.get_by_role("button", name="Try again").click()
    await answered(page, "You said: Hello")
    await once(page, backend, "Hello")
    assert len({message_id for message_id, _ in backend.posts}) == 1


async def test_a_message_that_is_too_long_can_be_edited_and_sent(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.refusals.append(Problem(422, "message_too_long", "At most 4000 characters."))
    page = await open_page(backend.url)
    await say(page, "Too much")
    await sees(page, "Not sent: the message is too long.")
    await page.reload()
    await sees(page, "Not sent: the message is too long.")
    await page.get_by_role("button", name="Edit and send anew").click()
    box = page.get_by_label("Message", exact=True)
    await expect(box).to_be_focused()
    await expect(box).to_have_value("Too much")
    await box.fill("Less")
    await box.press("Enter")
    await answered(page, "You said: Less")
    await expect(page.locator(".refused")).to_have_count(0)


async def test_a_final_refusal_is_told_and_stays_told_after_a_reload(open_page: OpenPage, backend: FakeBackend) -> None:
    backend.replies = None
    page = await open_page(backend.url)
    await say(page, "Hello")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await backend.fail(Problem(502, "provider_rejected_key", "The key was refused."))
    for _ in range(2):
        await sees(page, "the assistant's AI provider refuses its key")
        await expect(standing(page)).to_have_text("Your last message was not answered.")
        await page.reload()


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (
            Problem(409, "response_limit_reached", "All 20 replies are used."),
            "This conversation has used all its replies.",
        ),
        (Problem(410, "session_expired", "The session is over."), "This conversation has ended."),
        (Problem(404, "session_not_found", "There is no such session."), "This conversation has ended."),
    ],
)
async def test_an_ended_conversation_offers_a_new_one_and_carries_the_message_over(
    open_page: OpenPage, backend: FakeBackend, problem: Problem, words: str
) -> None:
    page = await open_page(backend.url)
    await say(page, "First")
    await answered(page, "You said: First")
    backend.refusals.append(problem)
    await say(page, "Unanswered")
    await expect(standing(page)).to_have_text(words)
    await answered(page, "You said: First")
    await page.get_by_role("button", name="Start a new conversation").click()
    await expect(page.get_by_label("Message", exact=True)).to_have_value("Unanswered")
    await page.get_by_role("button", name="Send", exact=True).click()
    await answered(page, "You said: Unanswered")
    assert len(backend.sessions) == 2


async def test_a_session_the_server_forgot_offers_a_new_one_after_a_reload(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    page = await open_page(backend.url)
    await say(page, "First")
    await answered(page, "You said: First")
    backend.sessions.clear()
    await page.reload()
    await expect(standing(page)).to_have_text("This conversation has ended.")
    await page.get_by_role("button", name="Start a new conversation").click()
    await say(page, "Fresh")
    await answered(page, "You said: Fresh")


async def test_a_server_that_asks_who_one_is_gets_the_token_on_both_ways(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.token = "a.eyJzdWIiOiAidXNlci03In0.c"  # {"sub": "user-7"}
    page = await open_page(backend.url)
    await say(page, "Hello")
    dialog = page.get_by_role("dialog", name="Sign in")
    await expect(dialog).to_be_visible()
    await expect(page.get_by_label("ID token")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(standing(page)).to_have_text("Please sign in to go on; your message is kept.")
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("ID token").fill(backend.token)
    await page.keyboard.press("Enter")
    await answered(page, "You said: Hello")
    await expect(dialog).to_be_hidden()
    assert backend.session.user_id == "user-7"
    await until(lambda: backend.sign_ins, "the line was not signed in")
    assert backend.sign_ins[0] == {"type": "sign_in", "token": backend.token}
    stored = await page.evaluate("JSON.stringify(localStorage)")
    assert backend.token not in stored
    await page.reload()
    await answered(page, "You said: Hello")


async def test_a_page_in_the_background_says_in_its_title_that_a_reply_came(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.replies = None
    page = await open_page("about:blank")
    await page.context.add_init_script(
        "window.away = false; Object.defineProperty(document, 'hidden', { get: () => window.away });"
    )
    await page.goto(backend.url)
    await say(page, "Hello")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await page.evaluate("window.away = true")
    await backend.answer("There you are")
    await expect(page).to_have_title("(1) New reply · Chatify")
    await page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page).to_have_title("Chatify")
    await answered(page, "There you are")


async def test_personalities_that_are_not_known_yet_do_not_keep_anybody_from_talking(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    known, backend.personalities, backend.is_stale = backend.personalities, backend.personalities[:1], True
    await backend.sleep()
    page = await open_page(backend.url)
    await expect(page.get_by_text("more personalities may appear once it is awake")).to_be_visible()
    await say(page, "Hello")
    await expect(standing(page)).to_contain_text("waking up")
    backend.personalities, backend.is_stale = known, False
    await backend.wake()
    await backend.answer("Hi")
    await answered(page, "Hi")
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.get_by_role("radio")).to_have_count(len(known))


async def test_a_person_who_reads_further_up_is_not_dragged_down_but_told_of_the_reply(
    open_page: OpenPage, backend: FakeBackend
) -> None:
    backend.response_limit = None
    page = await open_page(backend.url)
    await say(page, "\n".join(f"line {n}" for n in range(80)))
    await expect(replies(page)).to_have_count(1)
    backend.replies = None
    await say(page, "More")
    await expect(standing(page)).to_have_text("The assistant is thinking.")
    await page.evaluate("scroller.scrollTop = 0")
    newest = page.get_by_role("button", name="New reply below")
    await expect(newest).to_be_hidden()
    await until_scrolled(page)
    await backend.answer("Down here")
    await expect(newest).to_be_visible()
    assert await page.evaluate("scroller.scrollTop") == 0
    await newest.click()
    await expect(page.get_by_text("Down here", exact=True)).to_be_in_viewport()
    await expect(newest).to_be_hidden()


async def until_scrolled(page: Page) -> None:
    """Two frames: the page has heard of its scrolling."""
    await page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
