"""The backend's HTTP API: bodies, problems, bounds."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.backend_app import BRISK, Backend, serving
from tests.support.redis_server import RedisServer
from tests.support.scripted_chatbot import ScriptedChatbot


async def problem(backend: Backend, session_id: str, **body: object) -> tuple[int, str]:
    answer = await backend.client.post(
        f"/api/v1/chat/sessions/{session_id}/messages",
        content=json.dumps(body), headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == answer.status_code
    return answer.status_code, found["code"]


async def test_health_answers_whatever_the_chatbot_does(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        bot.mode = "hang"
        async with asyncio.timeout(1):
            answer = await backend.client.get("/health")
        assert answer.json()["status"] == "healthy"
        assert answer.json()["service"] == "chatify_backend"
        assert answer.json()["chatbot"]["state"] == "unknown"
        assert (await backend.client.head("/health")).status_code == 200
        ready = await backend.client.get("/health/ready")
        assert ready.json() == {"status": "ready", "service": "chatify_backend", "outbox": "sqlite"}


async def test_what_nobody_has_asked_about_yet_is_unknown_since_the_backend_started(tmp_path: Path):
    started = datetime.now(UTC)
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        chatbot = (await backend.client.get("/health")).json()["chatbot"]
        assert chatbot["state"] == "unknown"
        since = datetime.fromisoformat(chatbot["since"])
        assert started - timedelta(seconds=1) <= since <= datetime.now(UTC) + timedelta(seconds=1)


async def test_a_session_is_ready_at_once_when_the_chatbot_is_awake(tmp_path: Path):
    async with ScriptedChatbot(limit=20) as bot, serving(tmp_path, bot.url) as backend:
        made = await backend.client.post("/api/v1/chat/sessions", json={"user_id": "u", "personality_id": "poet"})
        body = made.json()
        assert (body["status"], body["response_limit"], body["opening"]) == ("ready", 20, "Hello!")
        assert body["personality_id"] == "poet"
        assert re.fullmatch(r"[A-Za-z0-9_-]{20,}", body["session_id"])
        assert body["created_at"].endswith("Z")
        await backend.say(body["session_id"], "hi")
        shown = (await backend.client.get(f"/api/v1/chat/sessions/{body['session_id']}")).json()
        assert shown == {**body, "responses_used": 1}


async def test_a_session_is_had_at_once_while_the_chatbot_sleeps(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        bot.sleep()
        async with asyncio.timeout(2):
            body = (await backend.client.post("/api/v1/chat/sessions", json={"user_id": "u"})).json()
        assert (body["status"], body["response_limit"], body["opening"]) == ("waking", None, None)
        assert bot.seen["GET /health"] == 1  # the wake-up began with the session, not only with the first message
        assert bot.seen["session"] == 0


async def test_personalities_are_known_also_while_the_chatbot_sleeps_and_after_a_restart(tmp_path: Path):
    async with ScriptedChatbot() as bot:
        bot.sleep()
        async with serving(tmp_path, bot.url) as backend:
            never = (await backend.client.get("/api/v1/chat/personalities")).json()
            assert [one["id"] for one in never["items"]] == ["general-assistant"]
            assert never["stale"] is True
        bot.wake()
        async with serving(tmp_path, bot.url) as backend:
            fresh = (await backend.client.get("/api/v1/chat/personalities")).json()
            assert [one["id"] for one in fresh["items"]] == ["general-assistant", "poet"]
            assert fresh["stale"] is False
            await backend.client.get("/api/v1/chat/personalities")
            assert bot.seen["GET /api/v1/chatbot/personalities"] == 1
        bot.sleep()
        async with serving(tmp_path, bot.url) as backend:
            kept = (await backend.client.get("/api/v1/chat/personalities")).json()
            assert kept == {**fresh, "stale": True}


async def test_bad_input_gets_its_problem_and_nothing_is_accepted(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        assert await problem(backend, session_id, message="") == (422, "message_empty")
        assert await problem(backend, session_id, message=" \n\t ") == (422, "message_empty")
        assert await problem(backend, session_id, message="x" * 4001) == (422, "message_too_long")
        assert await problem(backend, session_id, message="x" * 70_000) == (413, "body_too_large")
        assert await problem(backend, session_id) == (422, "invalid_request")
        assert await problem(backend, session_id, message=5) == (422, "invalid_request")
        assert await problem(backend, session_id, message="\ud800") == (422, "invalid_request")
        assert await problem(backend, session_id, message="nul \0") == (422, "invalid_request")
        for bad in ("", "a b", "x" * 101, "a/b", 5, "ü"):
            assert await problem(backend, session_id, message="hi", message_id=bad) == (422, "invalid_request")
        assert await problem(backend, "nothing", message="hi") == (404, "session_not_found")
        assert await backend.messages(session_id) == []
        assert bot.seen["message"] == 0
        for user_id in ("", " ", "x" * 201, "a\nb", 5, None):
            answer = await backend.client.post("/api/v1/chat/sessions", json={"user_id": user_id})
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_the_same_message_id_is_the_same_message(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        answers = await asyncio.gather(*(backend.say(session_id, "hi", "m1") for _ in range(20)))
        assert {a.status_code for a in answers} == {200}
        assert len({a.text for a in answers}) == 1
        assert bot.texts() == [["hi"]]
        assert (await backend.say(session_id, " hi ", "m1")).json() == answers[0].json()
        assert await problem(backend, session_id, message="other", message_id="m1") == (422, "message_id_reused")
        assert bot.seen["message"] == 1


async def test_messages_without_an_id_are_messages_of_their_own(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        ids = {(await backend.say(session_id, "hi")).json()["message_id"] for _ in range(3)}
        assert len(ids) == 3
        assert bot.texts() == [["hi"] * 3]


async def test_a_list_comes_in_pages(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        for n in range(5):
            await backend.say(session_id, f"t{n}")
        path = f"/api/v1/chat/sessions/{session_id}/messages"
        first = (await backend.client.get(f"{path}?limit=2")).json()
        rest = (await backend.client.get(f"{path}?limit=3&after={first['next']}")).json()
        assert [m["message"] for m in first["items"] + rest["items"]] == [f"t{n}" for n in range(5)]
        assert rest["next"] is None
        for bad in ("limit=0", "limit=201", "after=x", "after=-1"):
            assert (await backend.client.get(f"{path}?{bad}")).status_code == 422


async def test_too_many_messages_are_told_when_to_come_again(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, rate_limit=3) as backend:
        session_id = await backend.begin()
        answers = [await backend.say(session_id, "hi") for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 429, 429]
        assert answers[-1].json()["code"] == "rate_limited"
        assert int(answers[-1].headers["retry-after"]) >= 1


async def test_a_session_may_have_only_so_many_waiting(tmp_path: Path):
    pace = replace(BRISK, waiting_limit=10)
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, reply_wait=0, pace=pace) as backend:
        bot.sleep()
        session_id = await backend.begin()
        answers = [await backend.say(session_id, f"t{n}") for n in range(11)]
        assert [a.status_code for a in answers] == [202] * 10 + [429]
        assert answers[-1].json()["code"] == "too_many_waiting"
        assert "retry-after" in answers[-1].headers
        bot.wake()
        found = await backend.settled(session_id, 10)
        assert [m["response"] for m in found] == [f"reply to t{n}" for n in range(10)]


async def test_what_is_not_there_and_what_may_not_be_done_are_problems(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        for method, path, status in (
            ("GET", "/nothing", 404), ("DELETE", "/health", 405), ("GET", "/api/v1/chat/sessions/none", 404),
            ("GET", "/api/v1/chat/sessions/none/messages", 404), ("PUT", "/api/v1/chat/sessions", 405),
        ):  # fmt: skip
            answer = await backend.client.request(method, path)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"


async def test_the_page_is_there(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        answer = await backend.client.get("/")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")


async def test_the_log_tells_the_story_without_letting_anybody_forge_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        await backend.say(await backend.begin("ann" * 50), "hi")
        said = [record.getMessage() for record in caplog.records]
    created = next(line for line in said if line.startswith("[AI_ORCHESTRATOR] AI session created for user ann"))
    assert len(created) < 150
    assert "[AI_ORCHESTRATOR] Message sent to AI successfully" in said
    assert "[AI_ORCHESTRATOR] AI response received" in said


async def test_a_dead_redis_neither_keeps_the_backend_from_starting_nor_hangs_it(
    tmp_path: Path, redis_server: RedisServer
):
    url = redis_server.url_with(host="127.0.0.1").replace(str(redis_server.port), "1")
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, redis_url=url) as backend:
        assert (await backend.client.get("/health")).status_code == 200
        answer = await backend.client.get("/health/ready", timeout=12)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
