"""SIGTERM: replies finish, lines close, nobody new is let in, and the process is gone in time."""

import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.chatify.chatbot.conftest import asking_of
from tests.support.openai_server import Behaviour, OpenAIServer
from tests.support.processes import Service, running


@pytest.fixture
def ai() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def chatbot(tmp_path: Path, ai: OpenAIServer) -> Iterator[Service]:
    with running("chatbot", {**asking_of(ai), "DATA_DIR": str(tmp_path)}) as service:
        yield service


def session(service: Service) -> str:
    status, body = service.request("POST", "/api/v1/chatbot/session", {"user_id": "ada"})
    assert status == 200
    return str(body["session_id"])


def test_an_idle_service_is_gone_within_5_s_with_exit_code_0(chatbot: Service) -> None:
    with socket.create_connection(("127.0.0.1", chatbot.port)) as idle:  # a connection that never says anything
        began = time.monotonic()
        chatbot.terminate()
        assert chatbot.wait(10) == 0
        assert time.monotonic() - began < 5
        assert idle.recv(1) == b""
    assert "Shutting down" in chatbot.log


def test_the_log_tells_the_start_and_the_end(chatbot: Service) -> None:
    chatbot.terminate()
    chatbot.wait(10)
    where = f"127.0.0.1:{chatbot.port}"
    lines = [line.split(" ", 2)[2] for line in chatbot.lines]
    order = [
        f"Starting Chatify Chatbot on {where}", "Redis not configured, using SQLite", f"Server started successfully on {where}",
        "Shutting down",
    ]  # fmt: skip
    assert [line for line in lines if line in order] == order


def test_a_reply_in_the_making_is_finished_and_stored(chatbot: Service, ai: OpenAIServer, tmp_path: Path) -> None:
    session_id = session(chatbot)
    ai.script(Behaviour(delay_s=1.0, text="just in time"))
    path = f"/api/v1/chatbot/session/{session_id}/message"
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(chatbot.request, "POST", path, {"message": "hello"}, {"Idempotency-Key": "k"})
        ai.wait_until(lambda ai: ai.total == 1)
        chatbot.terminate()
        chatbot.until_line("Shutting down")
        chatbot.terminate()  # a second one changes nothing
        status, body = reply.result(20)
    assert (status, body["response"]) == (200, "just in time")
    assert chatbot.wait(10) == 0
    with running("chatbot", {**asking_of(ai), "DATA_DIR": str(tmp_path)}) as again:
        assert again.request("POST", path, {"message": "hello"}, {"Idempotency-Key": "k"}) == (200, body)
    assert ai.total == 1


def test_new_connections_are_refused_while_a_reply_is_finished(chatbot: Service, ai: OpenAIServer) -> None:
    session_id = session(chatbot)
    ai.script(Behaviour(delay_s=1.5))
    with ThreadPoolExecutor() as pool:
        path = f"/api/v1/chatbot/session/{session_id}/message"
        reply = pool.submit(chatbot.request, "POST", path, {"message": "hello"})
        ai.wait_until(lambda ai: ai.total == 1)
        chatbot.terminate()
        deadline = time.monotonic() + 1.2
        is_refused = False
        while not is_refused and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", chatbot.port), timeout=1).close()
            except ConnectionRefusedError:
                is_refused = True
            except ConnectionResetError:  # the listener closed between the two halves of the handshake
                pass
        assert is_refused
        assert not reply.done(), "refused although the reply is still being made"
        assert reply.result(20)[0] == 200


def test_keep_alive_lines_close_with_1012_within_a_second_also_beside_a_long_reply(
    chatbot: Service, ai: OpenAIServer
) -> None:
    session_id = session(chatbot)
    ai.script(Behaviour(delay_s=3.0))
    path = f"/api/v1/chatbot/session/{session_id}/message"
    with ThreadPoolExecutor() as pool, connect(f"ws://127.0.0.1:{chatbot.port}/ws/keepalive") as line:
        ping = json.loads(line.recv(5))
        assert (ping["type"], ping["service"], ping["seq"]) == ("ping", "chatify_chatbot", 0)
        reply = pool.submit(chatbot.request, "POST", path, {"message": "hello"})
        ai.wait_until(lambda ai: ai.total == 1)
        chatbot.terminate()
        began = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            line.recv(5)
        assert time.monotonic() - began < 1
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert reply.result(20)[0] == 200
    assert chatbot.wait(10) == 0


def test_a_line_whose_client_has_frozen_does_not_keep_the_service(chatbot: Service) -> None:
    with socket.create_connection(("127.0.0.1", chatbot.port)) as frozen:
        frozen.sendall(
            b"GET /ws/keepalive HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        chatbot.until_line("Keep-alive WebSocket connected")
        chatbot.terminate()
        assert chatbot.wait(5) == 0


def test_a_body_that_is_half_here_does_not_keep_the_service(chatbot: Service) -> None:
    with socket.create_connection(("127.0.0.1", chatbot.port)) as half:
        half.sendall(
            b"POST /api/v1/chatbot/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Expect: 100-continue\r\nContent-Length: 100\r\n\r\n{"user_id"'
        )
        assert half.recv(100).startswith(b"HTTP/1.1 100 "), "it is being read"
        began = time.monotonic()
        chatbot.terminate()
        assert chatbot.wait(25) == 0
        assert time.monotonic() - began < 5
    assert "Traceback" not in chatbot.log


def test_a_reply_that_never_ends_holds_the_service_25_s_at_most(chatbot: Service, ai: OpenAIServer) -> None:
    session_id = session(chatbot)
    ai.script(Behaviour(kind="stall"))
    path = f"/api/v1/chatbot/session/{session_id}/message"
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(chatbot.request, "POST", path, {"message": "hello"}, None, 40.0)
        ai.wait_until(lambda ai: ai.total == 1)
        began = time.monotonic()
        chatbot.terminate()
        assert chatbot.wait(30) == 0
        assert time.monotonic() - began < 25
        status, problem = reply.result(5)
    assert (status, problem["code"]) == (503, "shutting_down")


def test_a_port_that_is_taken_is_told_and_ends_with_2(chatbot: Service, tmp_path: Path) -> None:
    with running("chatbot", {"DATA_DIR": str(tmp_path)}, port=chatbot.port, until_up=False) as second:
        assert second.wait(20) == 2
        assert f"Cannot listen on 127.0.0.1:{chatbot.port}" in second.log
        assert "Set PORT" in second.log
    assert chatbot.get("/health")[0] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGINT for another process")
def test_ctrl_c_stops_as_sigterm_does(chatbot: Service) -> None:
    chatbot.process.send_signal(signal.SIGINT)
    assert chatbot.wait(10) == 0
    assert "Traceback" not in chatbot.log


def test_sigterm_while_starting_is_not_lost(tmp_path: Path) -> None:
    with running("chatbot", {"DATA_DIR": str(tmp_path)}, until_up=False) as service:
        service.until_line("Starting Chatify Chatbot")
        service.terminate()
        service.wait(10)


def test_ten_starts_and_stops_leave_nothing_behind(tmp_path: Path) -> None:
    """Within one process, as an embedder would."""
    import psutil

    from chatify.chatbot.app import create
    from chatify.settings import ChatbotSettings, load
    from tests.support.in_thread import InThread

    def once() -> None:
        with InThread(create(load(ChatbotSettings, {"DATA_DIR": str(tmp_path), "AI_PROVIDER": "offline"}))) as server:
            assert server.say(server.session(), "hello").status_code == 200

    once()
    me = psutil.Process()
    before = (me.num_fds() if hasattr(me, "num_fds") else me.num_handles(), threading.active_count())
    for _ in range(10):
        once()
    after = (me.num_fds() if hasattr(me, "num_fds") else me.num_handles(), threading.active_count())
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1]
