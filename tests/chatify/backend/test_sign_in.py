"""With sign-in required nobody begins, reads or writes another user's session."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.backend_app import frames, serving
from tests.support.google_certs import GoogleCerts
from tests.support.scripted_chatbot import ScriptedChatbot

PROJECT = "demo-project"


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleCerts]:
    with GoogleCerts(tmp_path_factory.mktemp("google")) as running, pytest.MonkeyPatch.context() as environment:
        environment.delenv("FIREBASE_AUTH_EMULATOR_HOST", raising=False)
        for name, value in running.environment.items():
            environment.setenv(name, value)
        yield running


async def test_each_user_has_only_their_own_sessions(tmp_path: Path, google: GoogleCerts):
    ada, eve = (google.token(name, project_id=PROJECT) for name in ("ada", "eve"))
    as_ada, as_eve = {"Authorization": f"Bearer {ada}"}, {"Authorization": f"Bearer {eve}"}
    async with (
        ScriptedChatbot() as bot,
        serving(
            tmp_path, bot.url, require_sign_in=True, firebase_project_id=PROJECT, service_token="between-the-two-of-us"
        ) as backend,
    ):
        http, base = backend.client, "/api/v1/chat/sessions"
        assert (await http.post(base, json={"user_id": "ada"})).status_code == 401
        refused = await http.post(base, json={"user_id": "ada"}, headers=as_eve)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        session_id = (await http.post(base, json={}, headers=as_ada)).json()["session_id"]
        one = f"{base}/{session_id}"
        sent = {"message": "a secret", "message_id": "m1"}
        assert (await http.post(f"{one}/messages", json=sent, headers=as_ada)).status_code == 200
        for path in (one, f"{one}/messages"):
            assert (await http.get(path, headers=as_ada)).status_code == 200
            assert (await http.get(path)).status_code == 401
            theirs = await http.get(path, headers=as_eve)
            missing = await http.get(path.replace(session_id, "nothing"), headers=as_eve)
            assert theirs.status_code == missing.status_code == 404
            assert theirs.content == missing.content
        assert (await http.post(f"{one}/messages", json=sent, headers=as_eve)).status_code == 404
        assert (await http.post(f"{one}/messages", json=sent)).status_code == 401
        assert bot.texts() == [["a secret"]]
        # The chatbot trusts the backend's own token; a user's never goes further than here.
        assert bot.authorizations == {"Bearer between-the-two-of-us"}

        line_url = f"ws://127.0.0.1:{backend.port}/ws/chat/{session_id}"
        async with connect(line_url) as line:
            await line.send(json.dumps({"type": "sign_in", "token": ada}))
            assert frames(await line.recv())["type"] == "hello"
        for first in ({"type": "sign_in", "token": eve}, {"type": "sign_in", "token": "x.y.z"}, {"type": "ping"}):
            async with connect(line_url) as line:
                await line.send(json.dumps(first))
                with pytest.raises(ConnectionClosed) as closed:
                    await line.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1008
        ready = (await http.get("/health/ready")).json()
        assert ready["sign_in"] == "ok"


async def test_a_sign_in_that_is_not_set_up_is_told_and_lets_nobody_in(tmp_path: Path):
    async with ScriptedChatbot() as bot, serving(tmp_path, bot.url, require_sign_in=True) as backend:
        headers = {"Authorization": "Bearer " + ".".join(["eyJhbGciOiJSUzI1NiJ9"] * 3)}
        answer = await backend.client.post("/api/v1/chat/sessions", json={"user_id": "u"}, headers=headers)
        assert answer.status_code in (401, 503)
        ready = await backend.client.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "sign_in_unavailable")
        assert (await backend.client.get("/health")).status_code == 200
