"""Processes die at random moments: no accepted message is lost, answered twice or out of order."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.support.backend_app import serving
from tests.support.processes import Service, free_port, running_async, start

KILLS = int(os.environ.get("SOAK", "10"))
SESSIONS = 6


@dataclass
class Fleet:
    """Chatbot and backend as real processes on ports and folders that outlive them."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {"chatbot": free_port(), "backend": free_port()})
    services: dict[str, Service] = field(default_factory=dict)

    def url(self, word: str) -> str:
        return f"http://127.0.0.1:{self.ports[word]}"

    async def start(self, word: str) -> None:
        environ = {
            "DATA_DIR": str(self.folder / word), "CHATBOT_URL": self.url("chatbot"), "REPLY_WAIT": "0.3",
            "SESSION_RESPONSE_LIMIT": "10000", "RATE_LIMIT": "100000", "LOG_LEVEL": "WARNING", "AI_PROVIDER": "offline",
        }  # fmt: skip
        self.services[word] = await asyncio.to_thread(start, word, environ, port=self.ports[word])

    async def kill(self, word: str) -> None:
        await asyncio.to_thread(self.services[word].kill)
        await asyncio.to_thread(self.services[word].close)


@asynccontextmanager
async def fleet_in(folder: Path) -> AsyncIterator[Fleet]:
    fleet = Fleet(folder)
    try:
        for word in ("chatbot", "backend"):
            await fleet.start(word)
        for service in fleet.services.values():
            await asyncio.to_thread(service.until_up)
        yield fleet
    finally:
        for service in fleet.services.values():
            await asyncio.to_thread(service.close)


async def insist(client: httpx.AsyncClient, method: str, path: str, **more: object) -> httpx.Response:
    """As a page does: again until somebody says yes."""
    async with asyncio.timeout(120):
        while True:
            try:
                answer = await client.request(method, path, **more)
                if answer.status_code < 300:
                    return answer
                assert answer.status_code in (429, 503), answer.text
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def chatter(
    client: httpx.AsyncClient, name: str, is_over: asyncio.Event
) -> tuple[str, list[str], dict[str, str]]:
    """One user who keeps talking: session, texts in the order they were accepted, replies heard so far."""
    session_id = (await insist(client, "POST", "/api/v1/chat/sessions", json={"user_id": name})).json()["session_id"]
    path = f"/api/v1/chat/sessions/{session_id}/messages"
    texts: list[str] = []
    heard: dict[str, str] = {}
    while not is_over.is_set() or len(texts) < 3:
        text = f"{name} says {len(texts)}"
        body = {"message": text, "message_id": f"m{len(texts)}"}
        answer = await insist(client, "POST", path, json=body)
        if answer.status_code == 200:
            heard[body["message_id"]] = answer.json()["response"]
        texts.append(text)
        await asyncio.sleep(random.random() * 0.2)
    return session_id, texts, heard


async def all_answered(client: httpx.AsyncClient, session_id: str, count: int) -> list[dict[str, str]]:
    """Wait for every reply; the messages in order."""
    async with asyncio.timeout(120):
        while True:
            found: list[dict[str, str]] = []
            after = "?limit=200"
            while after:
                page = (await insist(client, "GET", f"/api/v1/chat/sessions/{session_id}/messages{after}")).json()
                found += page["items"]
                after = f"?limit=200&after={page['next']}" if page["next"] else ""
            assert len(found) == count
            if all(one["status"] != "queued" for one in found):
                return found
            await asyncio.sleep(0.1)


async def held_by_chatbot(fleet: Fleet, session_id: str) -> list[dict[str, str]]:
    """The conversation as the chatbot holds it."""
    with closing(sqlite3.connect(fleet.folder / "backend" / "backend.db")) as db:
        [made] = db.execute("SELECT made FROM session WHERE id = ?", (session_id,)).fetchone()
    path = f"{fleet.url('chatbot')}/api/v1/chatbot/session/{json.loads(made)['session_id']}/messages"
    found: list[dict[str, str]] = []
    async with httpx.AsyncClient(timeout=30) as client:
        after = None
        while True:
            page = (await client.get(path, params={} if after is None else {"after": after})).json()
            found += page["items"]
            after = page["next"]
            if after is None:
                return found


@pytest.mark.soak
@pytest.mark.timeout(60 + 20 * KILLS)
async def test_every_accepted_message_is_answered_once_and_in_order_whatever_is_killed(tmp_path: Path):
    async with fleet_in(tmp_path) as fleet, httpx.AsyncClient(base_url=fleet.url("backend"), timeout=10) as client:
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            users = [group.create_task(chatter(client, f"user {n}", is_over)) for n in range(SESSIONS)]
            for n in range(KILLS):
                await asyncio.sleep(random.random() * 1.5)
                victims = (["chatbot"], ["backend"], ["chatbot", "backend"])[n % 3]
                for word in victims:
                    await fleet.kill(word)
                for word in victims:
                    await fleet.start(word)
                # Some die while they are still starting; most get to work before the next one dies.
                if random.random() < 0.7:
                    await asyncio.to_thread(fleet.services[victims[-1]].until_up)
            is_over.set()
        for user in users:
            session_id, texts, heard = user.result()
            found = await all_answered(client, session_id, len(texts))
            assert [one["message"] for one in found] == texts
            assert {one["status"] for one in found} == {"answered"}
            replies = {one["message_id"]: one["response"] for one in found}
            assert {key: replies[key] for key in heard} == heard
            held = await held_by_chatbot(fleet, session_id)
            assert [one["text"] for one in held if one["role"] == "user"] == texts
            assert [one["text"] for one in held if one["role"] == "assistant"] == [one["response"] for one in found]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot freeze a process")
async def test_a_frozen_chatbot_delays_replies_and_nothing_is_said_twice(tmp_path: Path):
    environ = {"DATA_DIR": str(tmp_path / "chatbot"), "AI_PROVIDER": "offline"}
    async with (
        running_async("chatbot", environ) as chatbot,
        serving(tmp_path / "backend", chatbot.url, reply_wait=0.5) as backend,
    ):
        session_id = await backend.begin()
        assert (await backend.say(session_id, "before")).status_code == 200
        chatbot.process.send_signal(signal.SIGSTOP)
        began_at = time.monotonic()
        assert (await backend.say(session_id, "while frozen", "m1")).status_code == 202
        assert time.monotonic() - began_at < 5
        assert (await backend.client.get("/health")).status_code == 200
        async with asyncio.timeout(10):
            while (await backend.client.get("/health")).json()["chatbot"]["state"] != "waking":
                await asyncio.sleep(0.05)
        chatbot.process.send_signal(signal.SIGCONT)
        found = await backend.settled(session_id, 2)
        assert [one["message"] for one in found] == ["before", "while frozen"]
        assert found[1]["responses_used"] == 2


async def test_a_chatbot_whose_disk_was_lost_goes_on_with_the_conversation(tmp_path: Path):
    port = free_port()
    async with serving(tmp_path / "backend", f"http://127.0.0.1:{port}", reply_wait=0.2) as backend:
        environ = {"AI_PROVIDER": "offline", "SESSION_RESPONSE_LIMIT": "3"}
        async with running_async("chatbot", {**environ, "DATA_DIR": str(tmp_path / "first")}, port=port) as chatbot:
            session_id = await backend.begin()
            await backend.say(session_id, "My name is Ada.")
            await backend.settled(session_id, 1)
            await asyncio.to_thread(chatbot.kill)
            await backend.say(session_id, "Still there?")
        async with running_async("chatbot", {**environ, "DATA_DIR": str(tmp_path / "second")}, port=port):
            found = await backend.settled(session_id, 2)
            assert [one["status"] for one in found] == ["answered", "answered"]
            assert found[1]["responses_used"] == 2
            await backend.say(session_id, "three")
            await backend.say(session_id, "four")
            found = await backend.settled(session_id, 4)
            assert [one["status"] for one in found] == ["answered", "answered", "answered", "failed"]
            assert found[3]["problem"]["code"] == "response_limit_reached"
