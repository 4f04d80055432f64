"""Messages are answered exactly once and in order, whatever the chatbot and the edge in front of it do."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from chatify.backend.orchestrator import Pace
from tests.support.backend_app import BRISK, serving, until
from tests.support.redis_server import RedisServer
from tests.support.scripted_chatbot import ScriptedChatbot


async def test_a_message_is_answered_in_the_same_breath(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        answer = await backend.say(session_id, "hi", "m1")
        assert answer.status_code == 200
        assert answer.json() == {
            "session_id": session_id, "message_id": "m1", "status": "answered", "response": "reply to hi",
            "responses_used": 1, "responses_left": 999_999, "provider": "scripted",
        }  # fmt: skip
        assert bot.texts() == [["hi"]]


@pytest.mark.parametrize(
    "trouble",
    [
        ["edge-502"], ["edge-503"], ["edge-404"], ["edge-429"], ["edge-200"], ["hang"], ["reset"], ["half"], ["late"],
        ["late", "half", "edge-503", "reset"], ["problem:503:provider_unavailable:1"],
        ["problem:500:internal_error"],
    ],
)  # fmt: skip
async def test_trouble_delays_a_reply_and_neither_loses_nor_doubles_it(tmp_path: Path, trouble: list[str]):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        bot.script.extend(trouble)
        answers = await asyncio.gather(*(backend.say(session_id, f"t{n}", f"m{n}") for n in range(3)))
        assert {a.status_code for a in answers} <= {200, 202}
        found = await backend.settled(session_id, 3)
        assert [m["status"] for m in found] == ["answered"] * 3
        assert [m["response"] for m in found] == [f"reply to {m['message']}" for m in found]
        assert bot.texts() == [[m["message"] for m in found]]
        assert [m["responses_used"] for m in found] == [1, 2, 3]


async def test_a_chatbot_that_is_not_there_is_waited_for(tmp_path: Path):
    async with ScriptedChatbot() as bot:
        await bot.stop()
        async with serving(tmp_path, bot.url, reply_wait=0.1) as backend:
            session_id = await backend.begin()
            answer = await backend.say(session_id, "hi")
            assert answer.status_code == 202
            assert answer.json()["status"] == "queued"
            health = (await backend.client.get("/health")).json()
            assert health["status"] == "healthy"
            await bot.start()
            found = await backend.settled(session_id, 1)
            assert found[0]["response"] == "reply to hi"
            assert bot.texts() == [["hi"]]


async def test_one_wake_up_serves_fifty_waiting_sessions(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, reply_wait=0.1) as backend:
        bot.sleep()
        sessions = await asyncio.gather(*(backend.begin(f"u{n}") for n in range(50)))
        for round_ in range(2):
            answers = await asyncio.gather(*(backend.say(s, f"hi {round_}") for s in sessions))
            assert {a.status_code for a in answers} == {202}
        assert {a.json()["chatbot"] for a in answers} == {"waking"}
        health = (await backend.client.get("/health")).json()
        assert health["chatbot"]["state"] == "waking"
        assert bot.seen["GET /health"] == 1
        assert bot.seen["message"] == bot.seen["session"] == 0
        bot.wake()
        for session_id in sessions:
            await backend.settled(session_id, 2)
        assert bot.seen["GET /health"] == 1
        assert bot.seen["message"] == 100
        assert sorted(map(tuple, bot.texts())) == [("hi 0", "hi 1")] * 50
        assert bot.most_at_once < 50


async def test_one_miss_among_many_is_one_wake_up(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, reply_wait=0.1) as backend:
        sessions = await asyncio.gather(*(backend.begin(f"u{n}") for n in range(20)))
        for session_id in sessions:
            assert (await backend.say(session_id, "warm")).status_code == 200
        looks = bot.seen["GET /health"]
        bot.sleep()
        await asyncio.gather(*(backend.say(s, "hi") for s in sessions))
        await until(lambda: bot.seen["GET /health"] == looks + 1)
        assert bot.seen["message"] <= 40
        bot.wake()
        for session_id in sessions:
            await backend.settled(session_id, 2)
        assert bot.seen["GET /health"] == looks + 1
        assert sorted(map(tuple, bot.texts())) == [("warm", "hi")] * 20


async def test_an_edge_that_throttles_is_asked_again_only_after_its_time(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, reply_wait=0.1) as backend:
        bot.mode = "edge-429"
        session_id = await backend.begin()
        await backend.say(session_id, "hi")
        began_at, looks = asyncio.get_running_loop().time(), bot.seen["GET /health"]
        await until(lambda: bot.seen["GET /health"] >= looks + 2)
        assert asyncio.get_running_loop().time() - began_at >= 1
        bot.mode = "answer"
        await backend.settled(session_id, 1)


async def test_a_chatbot_that_lost_its_disk_gets_the_conversation_back(tmp_path: Path):
    async with ScriptedChatbot(limit=3) as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        await backend.say(session_id, "one")
        await backend.say(session_id, "two")
        bot.forget()
        third = await backend.say(session_id, "three")
        assert third.status_code == 200
        assert third.json()["responses_used"] == 3
        [conversation] = bot.conversations.values()
        assert [item["text"] for item in conversation.restored] == ["one", "reply to one", "two", "reply to two"]
        assert bot.texts() == [["three"]]
        assert (await backend.say(session_id, "four")).status_code == 409


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ("problem:409:response_limit_reached", 409, "response_limit_reached"),
        ("problem:410:session_expired", 410, "session_expired"),
        ("problem:422:message_too_long", 422, "message_too_long"),
    ],
)
async def test_a_final_refusal_is_the_messages_outcome_and_the_next_one_goes_on(
    tmp_path: Path, refusal: str, status: int, code: str
):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url) as backend:
        session_id = await backend.begin()
        bot.script.append(refusal)
        for _ in range(2):  # the same again gives the same, and asks nobody
            answer = await backend.say(session_id, "hi", "m1")
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert (answer.json()["code"], answer.json()["message_id"]) == (code, "m1")
        assert bot.seen["message"] == 1
        assert (await backend.say(session_id, "next")).status_code == 200
        found = await backend.messages(session_id)
        assert [m["status"] for m in found] == ["failed", "answered"]
        assert found[0]["problem"]["code"] == code


async def test_a_personality_nobody_has_is_refused_at_once_or_when_the_chatbot_wakes(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, reply_wait=0.1) as backend:
        answer = await backend.client.post("/api/v1/chat/sessions", json={"user_id": "u", "personality_id": "nobody"})
        assert (answer.status_code, answer.json()["code"]) == (422, "personality_not_found")
        bot.sleep()
        await backend.say(await backend.begin(), "noticed")
        session_id = await backend.begin(personality_id="nobody")
        await backend.say(session_id, "hi")
        bot.wake()
        found = await backend.settled(session_id, 1)
        assert found[0]["problem"]["code"] == "personality_not_found"


async def test_a_message_that_waited_a_day_fails_for_good(tmp_path: Path):
    from chatify.backend.outbox import ChatSession
    from chatify.backend.stores.sqlite import SqliteOutbox

    box = SqliteOutbox(tmp_path / "backend.db")
    await box.open()
    yesterday = time.time() - 86_500
    await box.add(ChatSession(id="old", user_id="u", personality_id="p", created_at=yesterday))
    for n in range(2):
        await box.accept("old", f"m{n}", "hi", now=yesterday + n, lease_s=None, waiting_limit=9)
    await box.close()
    async with ScriptedChatbot() as bot:
        bot.sleep()
        async with serving(tmp_path, bot.url) as backend:
            found = await backend.settled("old", 2)
            assert [m["problem"]["code"] for m in found] == ["gave_up"] * 2
            answer = await backend.say("old", "hi", "m0")
            assert (answer.status_code, answer.json()["code"]) == (504, "gave_up")
            assert bot.seen["message"] == 0


async def test_what_waits_survives_a_restart_of_the_backend(tmp_path: Path):
    async with ScriptedChatbot() as bot:
        bot.sleep()
        async with serving(tmp_path, bot.url, reply_wait=0) as backend:
            session_id = await backend.begin()
            for n in range(3):
                assert (await backend.say(session_id, f"t{n}")).status_code == 202
        bot.wake()
        async with serving(tmp_path, bot.url, reply_wait=0) as backend:
            found = await backend.settled(session_id, 3)
            assert [m["response"] for m in found] == ["reply to t0", "reply to t1", "reply to t2"]
        assert bot.texts() == [["t0", "t1", "t2"]]


async def test_a_reply_in_the_making_is_finished_before_the_backend_stops(tmp_path: Path):
    async with ScriptedChatbot() as bot:
        async with serving(tmp_path, bot.url, reply_wait=0) as backend:
            session_id = await backend.begin()
            assert (await backend.say(session_id, "warm")).status_code in (200, 202)
            await backend.settled(session_id, 1)
            await backend.say(session_id, "last")
        assert bot.seen["message"] == 2
        calls = bot.seen["message"]
        async with serving(tmp_path, bot.url) as backend:
            found = await backend.messages(session_id)
            assert [m["status"] for m in found] == ["answered"] * 2
            assert bot.seen["message"] == calls


async def test_parallel_work_has_a_bound_and_sessions_do_not_wait_for_each_other(tmp_path: Path):
    pace = Pace(most=5, lease_s=1.5, waking_after_s=0.2, poll_s=0.2)
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, pace=pace) as backend:
        sessions = await asyncio.gather(*(backend.begin(f"u{n}") for n in range(30)))
        bot.script.append("hang")
        answers = await asyncio.gather(*(backend.say(s, "hi") for s in sessions))
        assert {a.status_code for a in answers} == {200}
        assert bot.most_at_once <= 5 + 1


@pytest.mark.parametrize("kind", ["half", "late", "edge-503"])
async def test_two_backends_on_one_redis_answer_each_message_once(tmp_path: Path, redis_server: RedisServer, kind: str):
    async with ScriptedChatbot() as bot:
        url = redis_server.url
        async with (
            serving(tmp_path / "a", bot.url, redis_url=url) as one,
            serving(tmp_path / "b", bot.url, redis_url=url) as two,
        ):
            sessions = [await one.begin(f"u{n}") for n in range(6)]
            bot.script.extend(["answer", kind] * 10)
            sent = [(s, f"t{n}") for n in range(5) for s in sessions]
            for n, (session_id, text) in enumerate(sent):
                # Each message goes to both: the client did not know whether the first one heard it.
                both = [(one, two)[n % 2], (two, one)[n % 2]]
                answers = await asyncio.gather(*(b.say(session_id, text, text) for b in both))
                assert {a.status_code for a in answers} <= {200, 202}
            for session_id in sessions:
                found = await two.settled(session_id, 5)
                assert [m["response"] for m in found] == [f"reply to t{n}" for n in range(5)]
            assert sorted(map(tuple, bot.texts())) == [("t0", "t1", "t2", "t3", "t4")] * 6


async def test_two_backends_on_one_redis_make_one_wake_up(tmp_path: Path, redis_server: RedisServer):
    async with ScriptedChatbot() as bot:
        bot.sleep()
        url = redis_server.url
        async with (
            serving(tmp_path / "a", bot.url, redis_url=url, reply_wait=0) as one,
            serving(tmp_path / "b", bot.url, redis_url=url, reply_wait=0) as two,
        ):
            sessions = [await (one, two)[n % 2].begin(f"u{n}") for n in range(10)]
            for n, session_id in enumerate(sessions):
                await (one, two)[n % 2].say(session_id, "hi")
            await asyncio.sleep(4 * BRISK.waking_after_s)
            assert bot.seen["GET /health"] == 1
            for backend in (one, two):
                assert (await backend.client.get("/health")).json()["chatbot"]["state"] in ("waking", "unknown")
            bot.wake()
            for session_id in sessions:
                await one.settled(session_id, 1)
            assert bot.seen["GET /health"] <= 2


async def test_the_service_token_goes_to_the_chatbot(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, service_token="a-secret-token") as backend:
        await backend.say(await backend.begin(), "hi")
        assert bot.authorizations == {"Bearer a-secret-token"}


async def test_a_lost_redis_is_told_and_found_again(tmp_path: Path):
    with RedisServer(tmp_path / "redis") as redis:
        async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, redis_url=redis.url) as backend:
            session_id = await backend.begin()
            assert (await backend.say(session_id, "one")).status_code == 200
            redis.stop()
            answer = await backend.say(session_id, "two", "m2")
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert "Retry-After" in answer.headers
            assert (await backend.client.get("/health")).status_code == 200
            assert (await backend.client.get("/health/ready")).status_code == 503
            redis.start()
            assert (await backend.say(session_id, "two", "m2")).status_code == 200
            assert bot.texts() == [["one", "two"]]


async def test_an_old_instance_with_a_wrong_address_does_not_hold_up_the_new_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """As during a rollover: both share the outbox, and the old one goes on looking for nobody."""
    loop = asyncio.get_running_loop()
    found = loop.getaddrinfo

    async def nobody(host: Any, port: Any, **hints: Any) -> Any:
        if host == "chatbot-ww0z.example":
            raise socket.gaierror(socket.EAI_NONAME, "nobody")
        return await found(host, port, **hints)

    monkeypatch.setattr(loop, "getaddrinfo", nobody)
    async with ScriptedChatbot() as bot, serving(tmp_path, "http://chatbot-ww0z.example", reply_wait=0.1) as old:
        session_id = await old.begin()
        assert (await old.say(session_id, "hi")).json()["status"] == "queued"
        health = (await old.client.get("/health")).json()
        assert health["chatbot"]["detail"] == "no_such_host"
        said = [line for line in caplog.messages if "no-server" in line]
        assert said == [
            "[AI_ORCHESTRATOR] call to http://chatbot-ww0z.example answered: no-server. CHATBOT_URL leads to nobody"
        ]
        async with serving(tmp_path, bot.url) as new:
            assert (await new.say(await new.begin(), "hello")).status_code == 200
            settled = await new.settled(session_id, 1)
            assert settled[0]["response"] == "reply to hi", "what it had accepted is answered too"
