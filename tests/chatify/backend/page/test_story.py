"""The whole of it with nothing made up: Chromium, the backend's process, the chatbot's process, and a SIGKILL."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.chatify.backend.page.talk import replies, say, standing
from tests.support.browser import OpenPage
from tests.support.processes import free_port, running_async

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]


async def test_a_chat_goes_on_through_the_death_of_the_chatbot_and_a_reload(
    open_page: OpenPage, tmp_path: Path
) -> None:
    port = free_port()
    chatbot_environ = {"DATA_DIR": str(tmp_path / "chatbot"), "AI_PROVIDER": "offline"}
    backend_environ = {
        "DATA_DIR": str(tmp_path / "backend"),
        "CHATBOT_URL": f"http://127.0.0.1:{port}",
        "REPLY_WAIT": "3",
    }
    async with running_async("backend", backend_environ) as backend:
        async with running_async("chatbot", chatbot_environ, port=port) as chatbot:
            page = await open_page(f"{backend.url}/")
            page.set_default_timeout(20_000)
            await page.get_by_role("radio", name="Minerva").check()
            await say(page, "My name is Ada.")
            await expect(replies(page)).to_have_count(1)
            await expect(page.locator(".theirs .about")).to_contain_text("Minerva · offline talker, no AI")
            await expect(page.locator("#detail")).to_have_text("Minerva · 19 of 20 replies left")
            await asyncio.to_thread(chatbot.kill)

        await say(page, "What is my name?")
        await expect(standing(page)).to_have_text("The assistant is waking up; your message is kept.", timeout=15_000)
        await expect(page.locator(".elapsed")).to_have_text(re.compile("^0:[0-9]{2} so far, usually under a minute$"))
        await page.reload()
        await expect(standing(page)).to_have_text("The assistant is waking up; your message is kept.", timeout=15_000)
        await expect(page.locator(".refused")).to_have_count(0)

        async with running_async("chatbot", chatbot_environ, port=port):
            await expect(replies(page)).to_have_count(2, timeout=40_000)
            await expect(standing(page)).to_have_text("Your turn.")
            shown = await replies(page).all_inner_texts()
            await say(page, "Thank you.")
            await expect(replies(page)).to_have_count(3)
            await page.reload()
            await expect(replies(page)).to_have_count(3)
            assert (await replies(page).all_inner_texts())[:2] == shown
            assert [text.strip() for text in await page.locator(".mine .text").all_inner_texts()] == [
                "My name is Ada.", "What is my name?", "Thank you.",
            ]  # fmt: skip
            await expect(page.locator("#detail")).to_have_text("Minerva · 17 of 20 replies left")
