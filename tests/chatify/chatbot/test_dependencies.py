"""What the chatbot leans on may be late, away or broken: it says so, answers what it can, and recovers by itself."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chatify.chatbot.conftest import Chatbot
from tests.support.google_certs import GoogleCerts
from tests.support.in_thread import InThread
from tests.support.processes import running
from tests.support.redis_server import RedisServer

BASE = "/api/v1/chatbot"
PROJECT = "demo-project"
SERVICE_TOKEN = "service-token-9f8e7d6c5b4a"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", password="pw-0123456789") as server:
        yield server


def until(condition: "object", within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def test_redis_keeps_the_sessions_when_it_is_configured(
    chatbot: Chatbot, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = chatbot(REDIS_URL=redis.url)
    session_id = server.session()
    assert server.say(session_id, "hello").status_code == 200
    body = server.client.get("/health").json()
    assert body["store"] == {"name": "redis", "state": "ready"}
    assert body["redis"] == {"state": "ready"}
    lines = [record.getMessage() for record in caplog.records]
    assert "Redis service initialized" in lines
    assert not any("using SQLite" in line for line in lines)


def test_a_redis_that_is_down_at_the_start_is_waited_for(chatbot: Chatbot, redis: RedisServer) -> None:
    redis.stop()
    server = chatbot(REDIS_URL=redis.url)
    assert server.client.get("/health").status_code == 200
    answer = server.client.post(f"{BASE}/session", json={"user_id": "ada"})
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert "pw-0123456789" not in answer.text + server.client.get("/health").text
    assert server.client.get("/health/ready").status_code == 503
    redis.start()
    until(lambda: server.client.get("/health/ready").status_code == 200)
    assert server.say(server.session(), "hello").status_code == 200


def test_a_redis_that_goes_away_and_comes_back_needs_nobody(chatbot: Chatbot, redis: RedisServer) -> None:
    server = chatbot(REDIS_URL=redis.url)
    session_id = server.session()
    redis.stop()
    answer = server.say(session_id, "hello")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert server.client.get("/health").json()["redis"]["state"] == "failed"
    redis.start()
    until(lambda: server.say(session_id, "hello").status_code == 200)
    assert server.client.get("/health").json()["redis"]["state"] == "ready"


def test_where_redis_is_stands_in_the_log_and_in_no_answer(
    chatbot: Chatbot, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = chatbot(REDIS_URL=redis.url)
    session_id = server.session()
    redis.stop()
    answers = [
        server.client.post(f"{BASE}/session", json={"user_id": "ada"}), server.say(session_id, "hello"),
        server.client.get("/health/ready"), server.client.get("/health"),
    ]  # fmt: skip
    for answer in answers:
        assert "127.0.0.1" not in answer.text
        assert str(redis.port) not in answer.text
    assert answers[0].json()["detail"] in {f"The store is not available: {why}." for why in ("refused", "disconnected")}
    assert answers[2].json()["dependencies"]["store"]["note"] == "refused"
    assert any("store does not work" in line and "127.0.0.1" in line for line in caplog.messages)


def test_health_does_not_wait_for_a_redis_that_hangs(chatbot: Chatbot, redis: RedisServer) -> None:
    redis.freeze()
    try:
        server = chatbot(REDIS_URL=redis.url)
        began = time.monotonic()
        assert server.client.get("/health").status_code == 200
        assert time.monotonic() - began < 1
    finally:
        redis.thaw()


# --- sign-in -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleCerts]:
    with GoogleCerts(tmp_path) as certs:
        monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST", raising=False)
        for name, value in certs.environment.items():
            monkeypatch.setenv(name, value)
        yield certs


@pytest.fixture
def guarded(chatbot: Chatbot, google: GoogleCerts) -> InThread:
    return chatbot(REQUIRE_SIGN_IN="true", FIREBASE_PROJECT_ID=PROJECT, SERVICE_TOKEN=SERVICE_TOKEN)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_who_has_not_signed_in_gets_nothing_but_health_and_personalities(guarded: InThread) -> None:
    for method, path in (
        ("POST", "session"), ("GET", "session/x"), ("DELETE", "session/x"), ("GET", "session/x/messages"),
        ("POST", "session/x/message"),
    ):  # fmt: skip
        body = {"user_id": "ada", "message": "hello"} if method == "POST" else None
        for headers in ({}, bearer("nonsense"), {"Authorization": "Basic YWRhOnB3"}):
            answer = guarded.client.request(method, f"{BASE}/{path}", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert guarded.client.get("/health").status_code == 200
    assert guarded.client.get(f"{BASE}/personalities").status_code == 200


def test_nobody_reads_or_writes_another_users_session(guarded: InThread, google: GoogleCerts) -> None:
    ada, eve = (bearer(google.token(name, project_id=PROJECT)) for name in ("ada", "eve"))
    made = guarded.client.post(f"{BASE}/session", json={"user_id": "ada"}, headers=ada)
    assert made.status_code == 200
    path = f"{BASE}/session/{made.json()['session_id']}"
    said = guarded.client.post(
        f"{path}/message", json={"message": "my secret"}, headers={**ada, "Idempotency-Key": "k"}
    )
    assert said.status_code == 200
    for method, suffix in (("GET", ""), ("GET", "/messages"), ("DELETE", ""), ("POST", "/message")):
        body = {"message": "my secret"} if method == "POST" else None
        answer = guarded.client.request(method, path + suffix, json=body, headers={**eve, "Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
        assert "secret" not in answer.text
    assert guarded.client.get(path, headers=ada).json()["responses_used"] == 1
    answer = guarded.client.post(f"{BASE}/session", json={"user_id": "ada"}, headers=eve)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_the_backend_acts_for_any_user(guarded: InThread) -> None:
    headers = bearer(SERVICE_TOKEN)
    made = guarded.client.post(f"{BASE}/session", json={"user_id": "anybody"}, headers=headers)
    assert made.status_code == 200
    path = f"{BASE}/session/{made.json()['session_id']}/message"
    assert guarded.client.post(path, json={"message": "hello"}, headers=headers).status_code == 200


def test_a_broken_firebase_key_is_told_by_ready_and_stops_no_reply(chatbot: Chatbot) -> None:
    server = chatbot(FIREBASE_CREDENTIALS='{"type": "service_account", broken')
    assert server.say(server.session(), "hello").status_code == 200
    until(lambda: server.client.get("/health").json()["firebase"]["state"] == "failed")
    ready = server.client.get("/health/ready")
    assert ready.status_code == 200, "nobody has to sign in, so nobody waits for it"
    told = ready.json()["dependencies"]["firebase"]
    assert told["state"] == "failed"
    assert not told["required"]
    assert "FIREBASE_CREDENTIALS is not JSON" in told["note"]
    assert "broken" not in told["note"].removeprefix("broken")


def test_a_broken_firebase_key_where_sign_in_is_required_is_not_ready(chatbot: Chatbot, google: GoogleCerts) -> None:
    server = chatbot(REQUIRE_SIGN_IN="true", FIREBASE_CREDENTIALS="nonsense")
    ready = server.client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["status"] == "not_ready"
    assert server.client.get("/health").status_code == 200


def test_firebase_says_when_it_is_there(tmp_path: Path) -> None:
    with running("chatbot", {"DATA_DIR": str(tmp_path), "FIREBASE_PROJECT_ID": PROJECT}) as service:
        service.until_line("Firebase service initialized")
        assert "Firebase not configured" not in service.log
        order = [line.split(" ", 2)[2].split(" on ")[0] for line in service.lines]
        assert order.index("Server started successfully") < order.index("Firebase service initialized")
        assert json.loads(json.dumps(service.get("/health")[1]["firebase"])) == {"state": "ready"}


def test_the_missions_own_variables_start_the_chatbot(tmp_path: Path) -> None:
    """A placeholder key, DEBUG in production and a Redis that is not there: told, and no reason not to serve."""
    variables = {
        "BACKEND_CORS_ORIGINS": '["https://blabinn-frontend.onrender.com", "https://blabbin-backend-rsss.onrender.com"]',
        "REDIS_URL": "redis://default:pw@127.0.0.1:1", "DEBUG": "true", "ENVIRONMENT": "production", "HOST": "0.0.0.0",
        "LOG_LEVEL": "INFO", "OPENAI_API_KEY": "your_openai_api_key_here", "PYTHON_VERSION": "3.11.9",
    }  # fmt: skip
    with running("chatbot", variables) as service:
        service.until_line(f"Server started successfully on 0.0.0.0:{service.port}")
        body = service.get("/health")[1]
        assert body["provider"]["name"] == "offline"
        assert "placeholder" in body["provider"]["note"]
        assert sum("placeholder" in line for line in service.lines) == 1
