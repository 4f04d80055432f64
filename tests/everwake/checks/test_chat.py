"""A whole conversation, straight and through a backend that queues; and each way in which it can break off."""

import asyncio
import json
from typing import Any

import pytest

from everwake.checks import Checks, chat
from everwake.fleet.schema import Secret, Service
from everwake.model import FailureKind, Observation, Phase
from tests.support import faulty
from tests.support.faulty import serve

Answers = dict[str, list[tuple[int, Any]]]


def service(answers: Answers, said: list[tuple[str, Any]]) -> faulty.Handler:
    """Answers `METHOD path` with the next of its answers, the last one for ever."""

    async def handle(line: faulty.Connection) -> None:
        head = (await line.request()).decode()
        method, path = head.split()[:2]
        length = next(
            (int(text.split(":")[1]) for text in head.split("\r\n") if text.lower().startswith("content-length")), 0
        )
        body = await line.reader.readexactly(length)
        said.append((f"{method} {path}", json.loads(body) if body else None))
        line.server.requests.append(head.encode())
        left = answers.get(f"{method} {path}", [(404, {"code": "not_found"})])
        status, document = left.pop(0) if len(left) > 1 else left[0]
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        await line.send(b"HTTP/1.1 %d Status\r\ncontent-length: %d\r\n\r\n%b" % (status, len(data), data))
        await line.hold()

    return handle


SESSION = {"session_id": "s 1", "response_limit": 20, "opening": "Hello!"}
STRAIGHT: Answers = {
    "POST /api/v1/chatbot/session": [(200, SESSION)],
    "POST /api/v1/chatbot/session/s%201/message": [(200, {"response": "I am here.", "message_id": "m1"})],
}


async def talk(
    checks: Checks, answers: Answers, timeout_s: float = 5.0, **settings: Any
) -> tuple[Observation, list[Any]]:
    said: list[tuple[str, Any]] = []
    async with serve(service({key: list(value) for key, value in answers.items()}, said)) as server:
        spec = chat.settled(chat.Spec(**settings), Service(name="chatbot", url=server.url))
        seen = await checks.run(chat.KIND, spec, service="chatbot", timeout_s=timeout_s)
    return seen, said


def failed(seen: Observation) -> tuple[FailureKind, Phase] | None:
    return None if seen.failure is None else (seen.failure.kind, seen.failure.phase)


async def test_a_conversation_with_the_chatbot_is_good_when_it_is_answered(checks: Checks) -> None:
    seen, said = await talk(checks, STRAIGHT, message="Hi")
    assert failed(seen) is None
    assert said == [
        ("POST /api/v1/chatbot/session", {"user_id": "everwake", "personality_id": "general-assistant"}),
        ("POST /api/v1/chatbot/session/s%201/message", {"message": "Hi"}),
    ]
    assert list(seen.phases) == [Phase.SESSION, Phase.MESSAGE, Phase.REPLY]
    assert seen.excerpt == "I am here."


QUEUED: Answers = {
    "POST /api/v1/chat/sessions": [(201, {"session_id": "b"})],
    "POST /api/v1/chat/sessions/b/messages": [(202, {"status": "queued", "message_id": "m"})],
    "GET /api/v1/chat/sessions/b/messages": [
        (200, {"items": [{"role": "assistant", "text": "Hello, I open."}, {"role": "user", "text": "Are you there?"}]}),
        (200, {"items": [{"role": "assistant", "text": "Hello, I open."}, {"role": "user", "text": "Are you there?"}]}),
        (200, {"items": [{"role": "user", "text": "Are you there?"}, {"role": "assistant", "text": "Awake now."}]}),
    ],
}


async def test_a_queued_message_is_waited_for_and_an_opening_line_is_no_reply(checks: Checks) -> None:
    seen, said = await talk(checks, QUEUED, through="backend", poll_s=0.05)
    assert failed(seen) is None
    assert seen.excerpt == "Awake now."
    assert [what for what, _ in said].count("GET /api/v1/chat/sessions/b/messages") == 3
    assert seen.phases[Phase.REPLY] >= 0.15


async def test_a_queued_message_that_is_never_answered_runs_out_of_the_deadline(checks: Checks) -> None:
    silent = {**QUEUED, "GET /api/v1/chat/sessions/b/messages": [(200, {"items": []})]}
    seen, _ = await talk(checks, silent, timeout_s=0.4, through="backend", poll_s=0.05)
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.REPLY)
    assert 0.39 <= seen.took_s < 1


@pytest.mark.parametrize(
    ("path", "answer", "kind", "phase"),
    [
        ("session", (503, {"code": "provider_unavailable"}), FailureKind.STATUS, Phase.SESSION),
        ("session", (401, {"code": "unauthorized"}), FailureKind.AUTH, Phase.SESSION),
        ("session", (200, b"<html>"), FailureKind.JSON, Phase.SESSION),
        ("session", (200, {"id": ""}), FailureKind.JSON, Phase.SESSION),
        ("session", (200, []), FailureKind.JSON, Phase.SESSION),
        ("message", (404, {"code": "session_not_found"}), FailureKind.STATUS, Phase.MESSAGE),
        ("message", (502, {"code": "provider_rejected_key"}), FailureKind.STATUS, Phase.MESSAGE),
        ("message", (200, {"response": "  "}), FailureKind.ANSWER, Phase.REPLY),
        ("message", (200, {"response": None}), FailureKind.ANSWER, Phase.REPLY),
        ("message", (200, b"x" * 1_000_000), FailureKind.TOO_LARGE, Phase.MESSAGE),
    ],
)
async def test_each_step_that_breaks_off_says_which_one_it_was(
    checks: Checks, path: str, answer: tuple[int, Any], kind: FailureKind, phase: Phase
) -> None:
    where = next(key for key in STRAIGHT if key.endswith(path))
    seen, _ = await talk(checks, {**STRAIGHT, where: [answer]})
    assert failed(seen) == (kind, phase)


async def test_a_service_of_another_make_is_spoken_to_by_its_own_paths(checks: Checks) -> None:
    answers: Answers = {"POST /talk": [(200, {"id": "7"})], "POST /talk/7/say": [(200, {"reply": "Yes."})]}
    seen, said = await talk(
        checks, answers, session_path="/talk", message_path="/talk/{session_id}/say",
        headers={"Authorization": Secret("Bearer t", "env T")},
    )  # fmt: skip
    assert failed(seen) is None
    assert [what for what, _ in said] == ["POST /talk", "POST /talk/7/say"]


async def test_a_server_that_stalls_in_a_step_is_a_timeout_of_that_step(checks: Checks) -> None:
    async with serve(faulty.stalls_in_the_body) as server:
        spec = chat.Spec(url=server.url)
        seen = await checks.run(chat.KIND, spec, service="chatbot", timeout_s=0.3)
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.SESSION)


async def test_it_gives_up_at_once_when_it_is_cancelled(checks: Checks) -> None:
    talking = asyncio.create_task(talk(checks, QUEUED, timeout_s=60.0, through="backend", poll_s=30.0))
    await asyncio.sleep(0)
    talking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talking


@pytest.mark.parametrize(
    ("detail", "wanted"),
    [("no_such_host 404", (FailureKind.ANSWER, Phase.SESSION)), ("edge 502", None), (None, None)],
)
async def test_a_backend_whose_chatbot_is_nobody_is_not_waited_for_and_one_that_wakes_it_is(
    checks: Checks, detail: str | None, wanted: tuple[FailureKind, Phase] | None
) -> None:
    answers: Answers = {
        **QUEUED, "POST /api/v1/chat/sessions": [(201, {"session_id": "b", "status": "waking"})],
        "GET /health": [(200, {"status": "healthy", "chatbot": {"state": "waking", "detail": detail}})],
    }  # fmt: skip
    seen, said = await talk(checks, answers, through="backend", poll_s=0.05)
    assert failed(seen) == wanted
    assert ("GET /health", None) in said
    assert (len(said) == 2) is (wanted is not None), "nothing is said to nobody"
    if wanted is not None:
        assert "no_such_host" in seen.excerpt, "the backend's own word is the evidence"
