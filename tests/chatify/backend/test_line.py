"""What a page hears on its WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chatify.backend.hub import LISTENER_LIMIT, Hub
from tests.support.backend_app import BRISK, Backend, frames, serving
from tests.support.redis_server import RedisServer
from tests.support.scripted_chatbot import ScriptedChatbot


@asynccontextmanager
async def page(backend: Backend, session_id: str) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://127.0.0.1:{backend.port}/ws/chat/{session_id}") as line:
        yield line


async def hear(line: ClientConnection, last: str, within_s: float = 10.0) -> list[dict[str, Any]]:
    """Events up to the first of type `last`."""
    heard: list[dict[str, Any]] = []
    async with asyncio.timeout(within_s):
        while not heard or heard[-1]["type"] != last:
            heard.append(frames(await line.recv()))
    return heard


async def test_a_page_hears_hello_then_pieces_then_the_reply(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        async with page(backend, session_id) as line:
            assert await hear(line, "hello") == [{"type": "hello", "session_id": session_id, "chatbot": "awake"}]
            await backend.say(session_id, "hi", "m1")
            heard = await hear(line, "reply")
            assert [e["type"] for e in heard] == ["queued", "delta", "delta", "reply"]
            assert {e["message_id"] for e in heard} == {"m1"}
            assert "".join(e["text"] for e in heard if e["type"] == "delta") == "reply to hi"
            reply = heard[-1]
            assert reply["response"] == "reply to hi"
            assert (reply["responses_used"], reply["responses_left"], reply["provider"]) == (1, 999_999, "scripted")


async def test_a_page_is_told_that_the_assistant_is_waking_and_then_awake(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, reply_wait=0) as backend:
        bot.sleep()
        session_id = await backend.begin()
        async with page(backend, session_id) as line:
            assert (await hear(line, "hello"))[0]["chatbot"] == "waking"
            await backend.say(session_id, "hi", "m1")
            heard = await hear(line, "waking")
            assert heard[-1]["message_id"] == "m1"
            assert heard[-1]["since"].endswith("Z")
            bot.wake()
            heard = await hear(line, "reply")
            assert heard[0] == {"type": "awake"}
            assert heard[-1]["response"] == "reply to hi"


async def test_a_broken_stream_is_announced_before_its_deltas_come_again(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        async with page(backend, session_id) as line:
            bot.script.append("half")
            await backend.say(session_id, "hi", "m1")
            heard = await hear(line, "reply")
            shown = ""
            for event in heard:
                if event["type"] == "queued":
                    shown = ""
                elif event["type"] == "delta":
                    shown += event["text"]
            assert "half a " in [e.get("text") for e in heard]
            assert shown == heard[-1]["response"] == "reply to hi"


async def test_a_final_refusal_is_told_with_its_problem(tmp_path: Path):
    async with ScriptedChatbot(limit=0) as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        async with page(backend, session_id) as line:
            await backend.say(session_id, "hi", "m1")
            failed = (await hear(line, "failed"))[-1]
            assert failed["problem"]["code"] == "response_limit_reached"
            assert failed["message_id"] == "m1"


async def test_a_ping_is_answered_and_nonsense_is_ignored(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        async with page(backend, await backend.begin()) as line:
            await hear(line, "hello")
            for nonsense in ("", "{", "[]", "null", '{"type":"message"}', "9" * 3000, b"\xff\xfe"):
                await line.send(nonsense)
            await line.send(json.dumps({"type": "ping", "seq": 7}))
            [pong] = await hear(line, "pong")
            assert pong["seq"] == 7
            assert pong["timestamp"].endswith("Z")


async def test_a_line_to_a_session_that_is_not_there_is_closed(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        async with page(backend, "nothing") as line:
            with pytest.raises(ConnectionClosed) as closed:
                await line.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008


async def test_a_page_on_another_backend_hears_everything_too(tmp_path: Path, redis_server: RedisServer):
    async with ScriptedChatbot() as bot:
        async with (
            serving(tmp_path / "a", bot.url, redis_url=redis_server.url) as one,
            serving(tmp_path / "b", bot.url, redis_url=redis_server.url) as two,
        ):
            session_id = await one.begin()
            async with page(two, session_id) as line:
                await hear(line, "hello")
                await one.say(session_id, "hi", "m1")
                heard = await hear(line, "reply")
                assert [e["type"] for e in heard] == ["queued", "delta", "delta", "reply"]


async def test_what_was_not_told_is_read_from_the_store(tmp_path: Path):
    # Two processes on one file have no wire between them, and the second one leaves the work to the first.
    idle = replace(BRISK, poll_s=60)
    async with ScriptedChatbot() as bot:
        async with serving(tmp_path, bot.url, reply_wait=0) as one, serving(tmp_path, bot.url, pace=idle) as two:
            session_id = await one.begin()
            bot.script.append("hang")
            await one.say(session_id, "hi", "m1")
            async with page(two, session_id) as line:
                heard = await hear(line, "reply")
                assert [e["type"] for e in heard] == ["hello", "reply"]
                assert heard[-1]["response"] == "reply to hi"


async def test_lines_are_closed_when_the_backend_stops(tmp_path: Path):
    async with ScriptedChatbot() as bot:
        async with serving(tmp_path, bot.url) as backend:
            line = await connect(f"ws://127.0.0.1:{backend.port}/ws/chat/{await backend.begin()}")
            await hear(line, "hello")
        with pytest.raises(ConnectionClosed) as closed:
            await line.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


async def test_the_keep_alive_line_is_there(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        async with connect(f"ws://127.0.0.1:{backend.port}/ws/keepalive") as line:
            ping = frames(await line.recv())
            assert (ping["type"], ping["service"]) == ("ping", "chatify_backend")


async def test_a_listener_that_does_not_read_is_dropped_and_holds_nobody_up():
    hub = Hub()
    async with hub.listening("s") as slow, hub.listening("s") as quick:
        for n in range(3 * LISTENER_LIMIT):
            hub.tell("s", {"type": "delta", "message_id": "m", "text": str(n)})
            heard = await quick.next()
            assert heard is not None
            assert heard["text"] == str(n)
        assert slow.is_dropped
        assert not quick.is_dropped
        count = 0
        while await slow.next() is not None:
            count += 1
        assert count == LISTENER_LIMIT
    assert not await hub.is_heard("s")
