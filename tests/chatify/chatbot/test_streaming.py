"""Replies in pieces: at once, to the end or to a problem, and for nobody who has gone."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import Message

from chatify.chatbot.streaming import Event, EventStream
from tests.chatify.chatbot.conftest import Chatbot
from tests.support.in_thread import InThread
from tests.support.openai_server import Behaviour, OpenAIServer

SSE = {"Accept": "text/event-stream"}


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def used(server: InThread, session_id: str) -> int:
    return int(server.client.get(f"/api/v1/chatbot/session/{session_id}").json()["responses_used"])


def test_a_streamed_reply_is_the_same_reply_in_pieces(
    chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str]
) -> None:
    server = chatbot(**asking)
    session_id = server.session()
    ai.script(Behaviour(text="One, two, three, four.", chunk_chars=5))
    answer = server.say(session_id, "count", key="k", **SSE)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    *pieces, (last, body) = events_of(answer.text)
    assert last == "done"
    assert len(pieces) > 2
    assert {name for name, _ in pieces} == {"delta"}
    assert "".join(piece["text"] for _, piece in pieces) == body["response"] == "One, two, three, four."
    assert server.say(session_id, "count", key="k").json() == body, "the stored reply is the streamed one"
    assert ai.total == 1


def test_a_reply_given_before_is_streamed_again_without_asking_anybody(
    chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str]
) -> None:
    server = chatbot(**asking)
    session_id = server.session()
    first = server.say(session_id, "hello", key="k").json()
    (delta, piece), (done, body) = events_of(server.say(session_id, "hello", key="k", **SSE).text)
    assert (delta, done) == ("delta", "done")
    assert body == first
    assert piece["text"] == first["response"]
    assert ai.total == 1


def test_pieces_are_sent_when_they_are_there(chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str]) -> None:
    server = chatbot(**asking, OPENAI_TIMEOUT="5")
    path = f"/api/v1/chatbot/session/{server.session()}/message"
    ai.always(Behaviour(kind="stall_midway", text="the beginning of a long story"))
    with server.client.stream("POST", path, json={"message": "tell"}, headers=SSE) as reply:
        lines = reply.iter_lines()
        assert next(lines) == "event: delta"
        assert json.loads(next(lines).removeprefix("data: "))["text"]
        assert ai.running == 1, "the provider is not done, and yet its first words are here"


@pytest.mark.parametrize("kind", ["half", "truncate", "error_event"])
def test_a_stream_that_breaks_ends_with_a_problem_and_gives_its_place_back(
    chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str], kind: str
) -> None:
    server = chatbot(**asking, SESSION_RESPONSE_LIMIT="1", OPENAI_TIMEOUT="3")
    session_id = server.session()
    answer = server.say(session_id, f'[[{{"kind":"{kind}"}}]] hello, this is a longer message', key="k", **SSE)
    assert answer.status_code == 200
    name, problem = events_of(answer.text)[-1]
    assert name == "error"
    assert (problem["status"], problem["code"]) == (503, "provider_unavailable")
    assert problem["retry_after_s"] >= 1
    assert used(server, session_id) == 0
    assert server.client.get(f"/api/v1/chatbot/session/{session_id}/messages").json()["items"] == []
    assert server.say(session_id, "now whole").json()["responses_left"] == 0


def test_what_stands_in_the_way_of_a_stream_has_a_status_of_its_own(chatbot: Chatbot) -> None:
    server = chatbot(SESSION_RESPONSE_LIMIT="1")
    session_id = server.session()
    assert server.say(session_id, "hello", **SSE).status_code == 200
    for status, answer in {
        409: server.say(session_id, "hello", **SSE),
        404: server.say("nobody", "hello", **SSE),
        422: server.say(session_id, " ", **SSE),
    }.items():
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_client_that_leaves_a_stream_stops_the_provider_and_leaves_a_consistent_session(
    chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str]
) -> None:
    server = chatbot(**asking, SESSION_RESPONSE_LIMIT="1", OPENAI_TIMEOUT="60")
    session_id = server.session()
    ai.script(Behaviour(kind="stall_midway", text="a story without an end"))
    path = f"/api/v1/chatbot/session/{session_id}/message"
    with server.client.stream("POST", path, json={"message": "tell"}, headers=SSE) as reply:
        next(reply.iter_lines())
    ai.wait_until(lambda ai: ai.running == 0 and ai.total == 1, within_s=5)
    assert ai.calls[0].client_left
    answer = server.say(session_id, "again")
    deadline = time.monotonic() + 5
    while answer.status_code == 409 and time.monotonic() < deadline:  # the place comes back a moment later
        answer = server.say(session_id, "again")
    assert answer.json()["responses_used"] == 1
    items = server.client.get(f"/api/v1/chatbot/session/{session_id}/messages").json()["items"]
    assert [one["text"] for one in items if one["role"] == "user"] == ["again"]


def test_a_client_that_leaves_without_a_stream_still_gets_its_reply_stored(
    chatbot: Chatbot, ai: OpenAIServer, asking: dict[str, str]
) -> None:
    server = chatbot(**asking)
    session_id = server.session()
    ai.script(Behaviour(delay_s=0.3, text="worth the wait"))
    body = json.dumps({"message": "hello"}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(
            f"POST /api/v1/chatbot/session/{session_id}/message HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Idempotency-Key: k\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        ai.wait_until(lambda ai: ai.total == 1)
    answer = server.say(session_id, "hello", key="k")
    assert answer.json()["response"] == "worth the wait"
    assert ai.total == 1


# --- the response itself -----------------------------------------------------------------------------------------------


class Line:
    """What a server would be to an `EventStream`."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            self.sent.append(message["body"])

    async def receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def test_a_silent_reply_is_kept_alive_with_comments() -> None:
    line, go_on = Line(), asyncio.Event()

    async def events() -> AsyncGenerator[Event, None]:
        await go_on.wait()
        yield ("done", {})

    async def send(message: Message) -> None:
        await line.send(message)
        if line.sent and line.sent[-1].startswith(b":"):
            go_on.set()

    await asyncio.wait_for(EventStream(events(), comment_every_s=0.02)({"type": "http"}, line.receive, send), 10)
    assert line.sent == [b": the reply is being made\n\n", b"event: done\ndata: {}\n\n", b""]


async def test_a_client_that_reads_nothing_is_as_good_as_gone() -> None:
    is_closed = False

    async def events() -> AsyncGenerator[Event, None]:
        nonlocal is_closed
        try:
            while True:
                yield ("delta", {"text": "more and more"})
        finally:
            is_closed = True

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await asyncio.wait_for(EventStream(events(), send_within_s=0.02)({"type": "http"}, Line().receive, send), 10)
    assert is_closed
