"""What the contract promises of every path, over real HTTP."""

import json
import time
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.chatify.chatbot.conftest import Chatbot
from tests.support.in_thread import InThread
from tests.support.openai_server import OpenAIServer

BASE = "/api/v1/chatbot"


def told(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    """The problem document, which has to be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:everwake:problem:{code}"
    assert body["title"]
    assert body["detail"]
    return body


# --- health ------------------------------------------------------------------------------------------------------------


def test_health_says_what_the_service_leans_on(chatbot: Chatbot) -> None:
    body = chatbot(AI_PROVIDER="auto", OPENAI_API_KEY="your_openai_api_key_here").client.get("/health").json()
    assert (body["status"], body["service"]) == ("healthy", "chatify_chatbot")
    assert body["provider"]["name"] == "offline"
    assert "OPENAI_API_KEY" in body["provider"]["note"]
    assert body["store"]["name"] == "sqlite"
    assert body["redis"] == {"state": "off"}
    assert body["firebase"] == {"state": "off"}
    assert body["keepalive"]["lines"] == 0
    assert body["version"]


def test_head_on_health_is_200_without_a_body(chatbot: Chatbot) -> None:
    answer = chatbot().client.head("/health")
    assert (answer.status_code, answer.content) == (200, b"")


def test_ready_is_200_when_the_store_answers(chatbot: Chatbot) -> None:
    answer = chatbot().client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["dependencies"]["store"] == {"state": "ready", "required": True}


def test_a_store_that_cannot_be_opened_leaves_health_green_and_says_503_elsewhere(
    chatbot: Chatbot, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    server = chatbot(DATA_DIR=str(tmp_path / "file" / "in-a-file"))
    assert server.client.get("/health").status_code == 200
    answer = server.client.post(f"{BASE}/session", json={"user_id": "ada"})
    told(answer, 503, "store_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    ready = server.client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.headers["retry-after"]
    assert ready.json()["dependencies"]["store"]["state"] == "failed"
    assert server.client.get("/health").json()["store"]["state"] == "failed"


# --- sessions ----------------------------------------------------------------------------------------------------------


def test_a_session_is_made_shown_and_ended(chatbot: Chatbot) -> None:
    server = chatbot(SESSION_TTL="2h")
    made = server.client.post(f"{BASE}/session", json={"user_id": "ada", "personality_id": "general-assistant"})
    assert made.status_code == 200
    body = made.json()
    assert {"session_id", "personality_id", "response_limit", "responses_used", "created_at", "expires_at"} <= set(body)
    assert (body["response_limit"], body["responses_used"], body["personality_id"]) == (20, 0, "general-assistant")
    assert body["opening"]
    created, expires = (datetime.fromisoformat(body[name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(hours=2)
    path = f"{BASE}/session/{body['session_id']}"
    assert server.client.get(path).json() == body
    ended = server.client.delete(path)
    assert (ended.status_code, ended.content) == (204, b"")
    told(server.client.get(path), 404, "session_not_found")
    told(server.client.delete(path), 404, "session_not_found")
    told(server.say(body["session_id"], "hello"), 404, "session_not_found")
    told(server.client.get(f"{path}/messages"), 404, "session_not_found")


def test_an_unknown_personality_is_told(chatbot: Chatbot) -> None:
    answer = chatbot().client.post(f"{BASE}/session", json={"user_id": "ada", "personality_id": "nobody"})
    told(answer, 422, "personality_not_found")


def test_personalities_are_listed_and_can_be_talked_to(chatbot: Chatbot) -> None:
    server = chatbot()
    body = server.client.get(f"{BASE}/personalities").json()
    ids = [one["id"] for one in body["items"]]
    assert "general-assistant" in ids
    assert len(ids) >= 6
    assert body["next"] is None
    assert all(set(one) == {"id", "name", "description", "opening"} for one in body["items"])
    assert all(server.session(personality_id=one) for one in ids)


def test_an_expired_session_is_gone_for_good(chatbot: Chatbot) -> None:
    server = chatbot(SESSION_TTL="1")
    session_id = server.session()
    deadline = time.monotonic() + 5
    while server.client.get(f"{BASE}/session/{session_id}").status_code == 200 and time.monotonic() < deadline:
        pass
    told(server.client.get(f"{BASE}/session/{session_id}"), 410, "session_expired")
    told(server.say(session_id, "hello"), 410, "session_expired")
    told(server.client.get(f"{BASE}/session/{session_id}/messages"), 410, "session_expired")
    assert server.client.delete(f"{BASE}/session/{session_id}").status_code == 204


def test_a_conversation_that_was_lost_is_restored_and_counts(chatbot: Chatbot) -> None:
    server = chatbot(SESSION_RESPONSE_LIMIT="3")
    past = [{"role": role, "text": f"{role} {n}"} for n in range(2) for role in ("user", "assistant")]
    session_id = server.session(history=past)
    assert server.client.get(f"{BASE}/session/{session_id}").json()["responses_used"] == 2
    shown = server.client.get(f"{BASE}/session/{session_id}/messages").json()["items"]
    assert [(one["role"], one["text"]) for one in shown] == [(one["role"], one["text"]) for one in past]
    assert server.say(session_id, "the third").json()["responses_left"] == 0
    told(server.say(session_id, "the fourth"), 409, "response_limit_reached")


@pytest.mark.parametrize(
    "past",
    [
        [{"role": "user", "text": "alone"}],
        [{"role": "assistant", "text": "a"}, {"role": "user", "text": "u"}],
        [{"role": "system", "text": "s"}, {"role": "assistant", "text": "a"}],
        [{"role": "user", "text": "u"}, {"role": "assistant", "text": "a"}] * 4,
        [{"role": "user", "text": "\ud800"}, {"role": "assistant", "text": "a"}],
    ],
)
def test_a_history_that_cannot_be_one_is_refused(chatbot: Chatbot, past: list[dict[str, str]]) -> None:
    server = chatbot(SESSION_RESPONSE_LIMIT="3")
    sent = json.dumps({"user_id": "ada", "history": past})
    answer = server.client.post(f"{BASE}/session", content=sent, headers={"Content-Type": "application/json"})
    told(answer, 422, "invalid_request")


# --- messages ----------------------------------------------------------------------------------------------------------


def test_a_message_gets_a_reply_and_both_are_kept(chatbot: Chatbot) -> None:
    server = chatbot()
    session_id = server.session()
    answer = server.say(session_id, "  Hello there  ")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"session_id", "message_id", "response", "responses_used", "responses_left", "provider"}
    assert (body["session_id"], body["responses_used"], body["responses_left"]) == (session_id, 1, 19)
    assert body["provider"] == "offline"
    assert body["response"]
    items = server.client.get(f"{BASE}/session/{session_id}/messages").json()["items"]
    assert [(one["role"], one["text"], one["provider"]) for one in items] == [
        ("user", "Hello there", None),
        ("assistant", body["response"], "offline"),
    ]
    assert items[1]["message_id"] == body["message_id"]


def test_messages_come_in_pages(chatbot: Chatbot) -> None:
    server = chatbot()
    session_id = server.session()
    for n in range(3):
        server.say(session_id, f"message {n}")
    path, seen, after = f"{BASE}/session/{session_id}/messages", [], None
    while True:
        page = server.client.get(path, params={"limit": 4, **({"after": after} if after else {})}).json()
        seen += page["items"]
        after = page["next"]
        if after is None:
            break
    assert seen == server.client.get(path).json()["items"]
    assert len(seen) == 6
    assert server.client.get(path, params={"limit": 6}).json()["next"] is None


def test_the_same_key_gives_the_same_reply_and_another_message_under_it_is_refused(chatbot: Chatbot) -> None:
    server = chatbot()
    session_id = server.session()
    first = server.say(session_id, "hello", key="k1").json()
    assert server.say(session_id, "hello", key="k1").json() == first
    assert server.say(session_id, " hello ", key="k1").json() == first
    told(server.say(session_id, "something else", key="k1"), 422, "idempotency_key_reused")
    assert server.client.get(f"{BASE}/session/{session_id}").json()["responses_used"] == 1


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 201])
def test_a_key_that_is_no_key_is_refused(chatbot: Chatbot, key: str) -> None:
    server = chatbot()
    path = f"{BASE}/session/{server.session()}/message"
    answer = server.client.post(path, json={"message": "hello"}, headers=[(b"Idempotency-Key", key.encode())])
    told(answer, 422, "invalid_request")


def test_the_longest_key_is_taken(chatbot: Chatbot) -> None:
    server = chatbot()
    assert server.say(server.session(), "hello", key="~" * 200).status_code == 200


@pytest.mark.parametrize("text", ["", "   ", "\n\t\u2003"])
def test_a_blank_message_is_refused(chatbot: Chatbot, text: str) -> None:
    server = chatbot()
    told(server.say(server.session(), text), 422, "message_empty")


def test_a_message_may_have_4000_characters_and_no_more(chatbot: Chatbot) -> None:
    server = chatbot()
    session_id = server.session()
    assert server.say(session_id, " " + "ä" * 4000 + " ").status_code == 200
    told(server.say(session_id, "ä" * 4001), 422, "message_too_long")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"message": null}', b'{"message": 5}', b'{"message": ["x"]}', b"{}",
        b'{"message": "half \\ud800 a pair"}', b'{"message": "a \\u0000 in it"}', b"\xff\xfe", b"[" * 20_000, b'{"message": NaN}',
    ],
)  # fmt: skip
def test_a_body_that_is_not_a_message_gets_its_problem(chatbot: Chatbot, body: bytes) -> None:
    server = chatbot()
    path = f"{BASE}/session/{server.session()}/message"
    answer = server.client.post(path, content=body, headers={"Content-Type": "application/json"})
    told(answer, 422, "invalid_request")
    assert server.client.get("/health").status_code == 200


@pytest.mark.parametrize("user_id", ["", " ", "x" * 201, "a\x00b", "line\nbreak", None, 7])
def test_a_user_id_is_bounded(chatbot: Chatbot, user_id: object) -> None:
    told(chatbot().client.post(f"{BASE}/session", json={"user_id": user_id}), 422, "invalid_request")


def test_a_session_id_of_any_shape_is_only_not_found(chatbot: Chatbot) -> None:
    server = chatbot()
    for odd in ("x", "%00", "%ff%fe", "..%5c..", "a%20b", "%F0%9F%98%80", "*", "'--"):
        told(server.client.get(f"{BASE}/session/{odd}"), 404, "session_not_found")
    told(server.client.get(f"{BASE}/session/{'x' * 201}"), 422, "invalid_request")


# --- limits ------------------------------------------------------------------------------------------------------------


def test_the_rate_limit_says_when_to_come_again_and_takes_no_place(chatbot: Chatbot) -> None:
    server = chatbot(RATE_LIMIT="3")
    session_id = server.session()
    assert [server.say(session_id, f"m{n}").status_code for n in range(3)] == [200, 200, 200]
    for _ in range(30):
        answer = server.say(session_id, "one more")
        told(answer, 429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 21
    assert server.client.get(f"{BASE}/session/{session_id}").json()["responses_used"] == 3
    other = server.session(user_id="bob")
    assert server.say(other, "hello").status_code == 200, "another user's messages are another user's"
    path = f"{BASE}/session/{session_id}/message"
    again = server.client.post(path, json={"message": "m0"}, headers={"Idempotency-Key": "new"})
    told(again, 429, "rate_limited")


def test_the_response_limit_is_decided_before_the_rate_limit(chatbot: Chatbot) -> None:
    server = chatbot(RATE_LIMIT="2", SESSION_RESPONSE_LIMIT="2")
    session_id = server.session()
    for _ in range(2):
        assert server.say(session_id, "hello").status_code == 200
    told(server.say(session_id, "hello"), 409, "response_limit_reached")


def test_a_reply_given_before_is_given_again_whatever_the_limits_say(chatbot: Chatbot) -> None:
    server = chatbot(RATE_LIMIT="1", SESSION_RESPONSE_LIMIT="1")
    session_id = server.session()
    first = server.say(session_id, "hello", key="k").json()
    assert server.say(session_id, "hello", key="k").json() == first


def test_a_body_over_the_limit_is_refused_unread(chatbot: Chatbot) -> None:
    server = chatbot(BODY_LIMIT="2000")
    path = f"{BASE}/session"
    big = json.dumps({"user_id": "ada", "padding": "x" * 3000}).encode()
    json_type = {"Content-Type": "application/json"}
    told(server.client.post(path, content=big, headers=json_type), 413, "body_too_large")
    told(server.client.post(path, content=iter([big[:1500], big[1500:]]), headers=json_type), 413, "body_too_large")
    assert server.session()


def test_more_replies_in_the_making_than_allowed_are_shed_and_leave_no_trace(
    chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str]
) -> None:
    server = chatbot(**asking, MAX_REPLIES="1", OPENAI_TIMEOUT="30")
    held, other = server.session(), server.session()
    path = f"{BASE}/session/{held}/message"
    with server.client.stream(
        "POST", path, json={"message": '[[{"kind":"stall_midway"}]] wait'}, headers={"Accept": "text/event-stream"}
    ) as reply:
        lines = reply.iter_lines()  # to be kept: letting go of it closes the stream
        next(lines)
        answer = server.say(other, "hello")
        told(answer, 503, "provider_unavailable")
        assert answer.headers["retry-after"] == "1"
    deadline = time.monotonic() + 10
    while (last := server.say(other, "hello")).status_code == 503 and time.monotonic() < deadline:
        pass
    assert last.json()["responses_used"] == 1
    assert server.client.get(f"{BASE}/session/{held}").json()["responses_used"] == 0


# --- provider failures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ('{"kind":"status","status":500}', 503, "provider_unavailable"),
        ('{"kind":"status","status":401}', 502, "provider_rejected_key"),
        ('{"kind":"garbage"}', 503, "provider_unavailable"),
        ('{"kind":"truncate"}', 503, "provider_unavailable"),
    ],
)
def test_a_provider_that_fails_gives_the_place_back(
    chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str], behaviour: str, status: int, code: str
) -> None:
    server = chatbot(**asking, SESSION_RESPONSE_LIMIT="1", OPENAI_TIMEOUT="2")
    session_id = server.session()
    answer = server.say(session_id, f"[[{behaviour}]] hello", key="k")
    told(answer, status, code)
    if status == 503:
        assert int(answer.headers["retry-after"]) >= 1
    assert server.client.get(f"{BASE}/session/{session_id}/messages").json()["items"] == []
    assert server.client.get("/health").json()["provider"]["last_failure"] == code
    assert server.say(session_id, "and now properly").status_code == 200
    assert "last_failure" not in server.client.get("/health").json()["provider"]


def test_after_a_failure_the_same_key_may_try_again(chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str]) -> None:
    from tests.support.openai_server import Behaviour

    server = chatbot(**asking, OPENAI_TIMEOUT="3")
    session_id = server.session()
    ai.script(Behaviour(kind="status", status=401))
    told(server.say(session_id, "hello", key="k"), 502, "provider_rejected_key")
    first = server.say(session_id, "hello", key="k")
    assert first.status_code == 200
    assert server.say(session_id, "hello", key="k").json() == first.json()
    assert ai.total == 2


# --- the web around it -------------------------------------------------------------------------------------------------


def test_paths_and_methods_that_are_not_there_are_problems_too(chatbot: Chatbot) -> None:
    server = chatbot()
    told(server.client.get("/nothing"), 404, "not_found")
    told(server.client.get("/health/"), 404, "not_found")
    answer = server.client.put("/health")
    told(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


def test_a_page_of_an_allowed_origin_may_call_and_another_may_not(chatbot: Chatbot) -> None:
    server = chatbot(BACKEND_CORS_ORIGINS='["https://a.example"]')
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
    for origin, allowed in (("https://a.example", True), ("https://b.example", False)):
        preflight = server.client.options(f"{BASE}/session", headers={"Origin": origin, **asked})
        assert (preflight.status_code == 200) is allowed
        answer = server.client.get("/nothing", headers={"Origin": origin})
        assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


def test_a_reply_cannot_be_read_by_who_does_not_know_the_session(chatbot: Chatbot) -> None:
    server = chatbot()
    ids = {server.session() for _ in range(20)}
    assert len(ids) == 20
    assert all(len(one) >= 32 for one in ids)


def test_the_log_holds_the_lines_that_people_look_for(chatbot: Chatbot, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    server: InThread = chatbot(SESSION_RESPONSE_LIMIT="7")
    session_id = server.session()
    lines = [record.getMessage() for record in caplog.records]
    assert "Redis not configured, using SQLite" in lines
    assert "Firebase not configured" in lines
    assert f"[SESSION] Created session {session_id} with response limit: 7" in lines
