"""Heads of requests: bounded in size and time, whatever else goes on on the connection."""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from chatify.heads import HEAD_LIMIT_BYTES, protocol
from tests.support.in_thread import InThread
from tests.support.processes import Service, running


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with how many bytes the body had."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    answer = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


@contextmanager
def served(
    *, head_within_s: float = 15.0, first_byte_within_s: float = 75.0, use_httptools: bool = True
) -> Iterator[int]:
    bounded = protocol(
        head_within_s=head_within_s, first_byte_within_s=first_byte_within_s, use_httptools=use_httptools
    )
    config = uvicorn.Config(
        echo, port=0, http=bounded, log_config=None, access_log=False, timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=HEAD_LIMIT_BYTES,
    )  # fmt: skip
    with InThread(echo, config=config) as server:
        yield server.port


@pytest.fixture
def port() -> Iterator[int]:
    with served() as port:
        yield port


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        yield client


def to_the_end(client: socket.socket) -> bytes:
    """All that is sent until the connection ends, in order or not."""
    said = b""
    try:
        while piece := client.recv(65_536):
            said += piece
    except ConnectionError:
        pass
    return said


def head(size: int, *, rest: bytes = b"") -> bytes:
    start = b"GET / HTTP/1.1\r\nHost: x\r\nX: "
    return start + b"a" * (size - len(start) - len(rest) - 4) + rest + b"\r\n\r\n"


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("size", [HEAD_LIMIT_BYTES + 200, 200_000])
def test_a_head_over_the_limit_is_431_and_the_connection_ends(port: int, size: int, ended: bool) -> None:
    with connected(port) as client:
        whole = head(size)
        client.sendall(whole if ended else whole[:-4])
        assert to_the_end(client).startswith(b"HTTP/1.1 431 ")


def test_many_small_headers_are_too_many_together(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n")
        assert to_the_end(client).startswith(b"HTTP/1.1 431 ")


def test_a_trailer_is_bounded_as_a_head_is(port: int) -> None:
    with connected(port) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ")
        try:
            for _ in range(20):
                client.sendall(b"a" * 10_000)
        except ConnectionError:
            pass
        assert b"200 OK" not in to_the_end(client)


def test_a_head_just_below_the_limit_is_answered_on_one_connection_again_and_again(port: int) -> None:
    with connected(port) as client:
        for _ in range(5):
            client.sendall(head(HEAD_LIMIT_BYTES - 100))
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_requests_that_come_at_once_are_counted_one_by_one(port: int) -> None:
    with connected(port) as client:
        client.sendall(head(10_000) * 9 + head(10_000, rest=b"\r\nConnection: close"))
        assert to_the_end(client).count(b"HTTP/1.1 200 ") == 10


def test_a_body_does_not_count(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(2):
        connection.request("POST", "/", b"a" * 3_000_000)
        assert connection.getresponse().read() == b"3000000"
        connection.request("POST", "/", iter([b"a" * 50_000] * 10), encode_chunked=True)
        assert connection.getresponse().read() == b"500000"
    connection.close()


@pytest.mark.parametrize("use_httptools", [True, False])
def test_a_head_that_is_not_ended_is_cut_however_it_drips(use_httptools: bool) -> None:
    with served(head_within_s=0.3, use_httptools=use_httptools) as port, connected(port) as client:
        client.sendall(head(100))
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        client.settimeout(0.02)
        began, cut = time.monotonic(), False
        while not cut and time.monotonic() - began < 5:
            try:
                client.sendall(b"a")
                cut = client.recv(1) == b""
            except TimeoutError:
                pass
            except ConnectionError:
                cut = True
        assert cut
        assert time.monotonic() - began > 0.25


@pytest.mark.parametrize("use_httptools", [True, False])
def test_a_connection_that_says_nothing_is_cut(use_httptools: bool) -> None:
    with served(first_byte_within_s=0.2, use_httptools=use_httptools) as port, connected(port) as client:
        assert to_the_end(client) == b""


def test_a_body_may_take_longer_than_a_head() -> None:
    with served(head_within_s=0.1, first_byte_within_s=0.1) as port, connected(port) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        client.settimeout(0.4)
        with pytest.raises(TimeoutError):  # neither cut nor answered
            client.recv(1)
        client.sendall(b"b")
        assert client.recv(65_536).endswith(b"2")


def test_h11_bounds_a_head_too() -> None:
    with served(use_httptools=False) as port, connected(port) as client:
        client.sendall(head(200_000)[:-4])
        assert to_the_end(client).startswith(b"HTTP/1.1 4")


@pytest.fixture
def chatbot(tmp_path: Path) -> Iterator[Service]:
    with running("chatbot", {"AI_PROVIDER": "offline", "DATA_DIR": str(tmp_path)}) as service:
        yield service


def test_a_service_does_not_keep_60_mb_of_head(chatbot: Service) -> None:
    process = psutil.Process(chatbot.process.pid)
    before = process.memory_info().rss
    with connected(chatbot.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        try:
            for _ in range(60):
                client.sendall(b"a" * 1_000_000)
        except ConnectionError:
            pass
        assert process.memory_info().rss - before < 20_000_000
    assert chatbot.get("/health")[0] == 200
