"""The backend tells the keeper that somebody is there, and no user ever waits for that."""

import asyncio
import time
from pathlib import Path

import websockets
from pydantic import SecretStr

from chatify.backend.keeper import Keeper
from everwake.checks._transfer import USER_AGENT
from tests.support import faulty
from tests.support.backend_app import serving, until

NOBODY = "http://127.0.0.1:9"
CREATED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


class Keeping:
    """A keeper that notes what it is asked. answer: None holds the line for ever."""

    def __init__(self, answer: bytes | None = CREATED) -> None:
        self.answer = answer
        self.heads: list[str] = []

    async def __call__(self, line: faulty.Connection) -> None:
        self.heads.append((await line.request()).decode())
        await (line.hold() if self.answer is None else line.send(self.answer))


async def test_a_session_wakes_the_chatbot_ahead_by_its_address(tmp_path: Path) -> None:
    keeping = Keeping()
    async with faulty.serve(keeping) as keeper:
        url = f"http://127.0.0.1:{keeper.port}"
        async with serving(tmp_path, NOBODY, keeper_url=url, keeper_token=SecretStr("sesame")) as backend:
            await backend.begin()
            await until(lambda: keeping.heads)
    head = keeping.heads[0]
    assert head.startswith("POST /api/v1/wake?url=http://127.0.0.1:9&hold=600 ")
    assert "Authorization: Bearer sesame" in head


async def test_the_keepers_own_talk_is_no_use_that_would_hold_anybody_awake(tmp_path: Path) -> None:
    keeping = Keeping()
    async with faulty.serve(keeping) as keeper:
        url = f"http://127.0.0.1:{keeper.port}"
        async with serving(tmp_path, NOBODY, keeper_url=url, reply_wait=0.1) as backend:
            backend.client.headers["user-agent"] = USER_AGENT
            assert (await backend.say(await backend.begin(), "hello")).status_code == 202
            await asyncio.sleep(0.1)
            assert keeping.heads == []
            backend.client.headers["user-agent"] = "Mozilla/5.0"
            await backend.begin()
            await until(lambda: keeping.heads)


async def test_a_keeper_that_never_answers_holds_no_user_up(tmp_path: Path) -> None:
    keeping = Keeping(None)
    async with faulty.serve(keeping) as keeper:
        url = f"http://127.0.0.1:{keeper.port}"
        async with serving(tmp_path, NOBODY, keeper_url=url, reply_wait=0.1) as backend:
            session = await backend.begin()
            await until(lambda: keeping.heads)
            began_s = time.monotonic()
            assert (await backend.say(session, "hello")).status_code == 202
            assert time.monotonic() - began_s < 3


async def test_a_page_that_opens_its_line_says_that_somebody_is_there(tmp_path: Path) -> None:
    async with serving(tmp_path, NOBODY) as before:
        session = await before.begin()
    keeping = Keeping()
    async with faulty.serve(keeping) as keeper:
        url = f"http://127.0.0.1:{keeper.port}"
        async with serving(tmp_path, NOBODY, keeper_url=url) as backend:
            assert keeping.heads == []
            async with websockets.connect(f"ws://127.0.0.1:{backend.port}/ws/chat/{session}"):
                await until(lambda: keeping.heads)


async def test_a_hundred_who_come_at_once_are_one_word_and_one_more_later() -> None:
    keeping = Keeping()
    async with faulty.serve(keeping) as server:
        keeper = Keeper(f"http://127.0.0.1:{server.port}", NOBODY, token=None, least_apart_s=0.3)
        running = asyncio.create_task(keeper.run())
        for _ in range(100):
            keeper.used()
            await asyncio.sleep(0.001)
        await until(lambda: len(keeping.heads) == 2)
        await asyncio.sleep(0.4)
        running.cancel()
        await asyncio.wait({running})
    assert len(keeping.heads) == 2


async def test_a_keeper_that_is_not_there_is_told_of_in_the_log_once(caplog) -> None:  # type: ignore[no-untyped-def]
    keeper = Keeper(NOBODY, NOBODY, token="sesame", least_apart_s=0.01)
    running = asyncio.create_task(keeper.run())
    for _ in range(20):
        keeper.used()
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait({running})
    told = [record for record in caplog.records if "[KEEPER]" in record.getMessage()]
    assert len(told) == 1
    assert "sesame" not in caplog.text
