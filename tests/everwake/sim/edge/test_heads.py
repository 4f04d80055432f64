"""Heads: what is passed on, what is added, what is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.sim.edge.framing import Chunked, Counted, Malformed, NoBody, UntilClose
from everwake.sim.edge.heads import RequestHead, parse_answer, parse_request


def asked(*lines: str, first: str = "GET / HTTP/1.1", host: str = "Host: app.localhost") -> bytes:
    return "\r\n".join([first, *([host] if host else []), *lines, "", ""]).encode("latin-1")


def passed_on(raw: bytes) -> list[str]:
    sent = parse_request(raw).towards_app(peer="127.0.0.1", request_id="0-0-0")
    assert sent.endswith(b"\r\n\r\n")
    return sent[:-4].decode("latin-1").split("\r\n")


ADDED = ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: app.localhost", "Rndr-Id: 0-0-0"]


def test_lines_pass_as_they_are_in_their_order_twice_when_they_came_twice() -> None:
    lines = ["x-B:  two spaces ", "Cookie: a=b", "X-b:", "Cookie: c=d", "Accept: */*", "X-Latin: \xe9"]
    raw = asked(*lines, first="DELETE /a//b/../%2e?x=%00&y HTTP/1.1")
    assert passed_on(raw) == ["DELETE /a//b/../%2e?x=%00&y HTTP/1.1", "Host: app.localhost", *lines, *ADDED]


def test_what_belongs_to_the_hop_stays_behind() -> None:
    raw = asked(
        "Connection: keep-alive, X-Mine", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "X-Mine: 1",
        "TE: trailers, gzip",
        "Upgrade: h2c", "Proxy-Authorization: Basic xyz", "Trailer: X-Sum", "X-Yours: 2",
    )  # fmt: skip
    assert passed_on(raw) == [
        "GET / HTTP/1.1",
        "Host: app.localhost",
        "Trailer: X-Sum",
        "X-Yours: 2",
        "TE: trailers",
        *ADDED,
    ]


def test_connection_cannot_name_away_what_frames_the_body() -> None:
    raw = asked(
        "Connection: close, Content-Length, Host, x-forwarded-for", "Content-Length: 3", first="POST / HTTP/1.1"
    )
    assert passed_on(raw) == ["POST / HTTP/1.1", "Host: app.localhost", "Content-Length: 3", *ADDED]


def test_a_client_cannot_speak_for_the_edge_but_is_quoted() -> None:
    raw = asked("X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "rndr-id: mine")
    assert passed_on(raw) == [
        "GET / HTTP/1.1",
        "Host: app.localhost",
        "X-Forwarded-For: 9.9.9.9, 127.0.0.1",
        *ADDED[1:],
    ]


def test_a_request_for_a_websocket_is_passed_on_as_one() -> None:
    raw = asked("Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: x")
    assert parse_request(raw).is_websocket
    assert passed_on(raw)[2:5] == ["Sec-WebSocket-Key: x", "Connection: Upgrade", "Upgrade: websocket"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (asked("Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (asked("Transfer-Encoding: chunked", "Content-Length: 5"), 400),
        (asked("Content-Length: 5", "Content-Length: 6"), 400),
        (asked("Content-Length: 5", "content-length: 5"), 400),
        (asked("Content-Length: 5, 5"), 400),
        (asked("Content-Length: +5"), 400),
        (asked("Content-Length: 0x5"), 400),
        (asked("Content-Length: -1"), 400),
        (asked("Content-Length:"), 400),
        (asked("Content-Length: " + "9" * 30), 400),
        (asked("Content-Length : 5"), 400),
        (asked("Transfer-Encoding: gzip"), 400),
        (asked("Transfer-Encoding: gzip, chunked"), 501),
        (asked("Transfer-Encoding: chunked, chunked"), 400),
        (asked("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), 400),
        (asked("Transfer-Encoding: xchunked"), 400),
        (asked("Transfer-Encoding:\x0bchunked"), 400),
        (asked("Transfer-Encoding : chunked"), 400),
        (asked("Transfer-Encoding: chunked", first="POST / HTTP/1.0"), 400),
        (asked("X: a", " folded"), 400),
        (asked("X: a\x00b"), 400),
        (asked("X: a\rb"), 400),
        (asked("X: a\nY: b"), 400),
        (asked("no colon"), 400),
        (asked(": no name"), 400),
        (asked("a b: c"), 400),
        (asked(host=""), 400),
        (asked("Host: other"), 400),
        (asked(host="Host: a/b"), 400),
        (asked(host="Host: a b"), 400),
        (asked(first="GET / HTTP/2.0"), 505),
        (asked(first="GET / HTTP/1.2"), 505),
        (asked(first="GET /"), 400),
        (asked(first="GET  / HTTP/1.1"), 400),
        (asked(first="GET / HTTP/1.1 "), 400),
        (asked(first=" GET / HTTP/1.1"), 400),
        (asked(first="G\x00T / HTTP/1.1"), 400),
        (asked(first="GET /\x01 HTTP/1.1"), 400),
        (asked(first="CONNECT app:443 HTTP/1.1"), 405),
        (asked("Connection: upgrade", "Upgrade: websocket", "Content-Length: 5"), 400),
        (asked("Connection: upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"), 400),
        (b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_refused(raw: bytes, status: int) -> None:
    with pytest.raises(Malformed) as refused:
        parse_request(raw)
    assert refused.value.status == status


@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [b"GET", b"POST", b" ", b"/", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b"Host: a",
                 b"Content-Length: 5", b":",
                 b"Transfer-Encoding: chunked", b"Connection: upgrade", b"Upgrade: websocket", b"\x00", b"\xff", b"\t",
                 b"Expect: "]
            ),
            max_size=20,
        ).map(b"".join),
    )
)  # fmt: skip
def test_no_head_is_too_strange_to_be_refused(noise: bytes) -> None:
    raw = noise.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    try:
        head = parse_request(raw)
    except Malformed as refused:
        assert refused.status in {400, 405, 501, 505}
        return
    # What is taken is one head for llhttp as well, after it was written anew.
    again = parse_request(head.towards_app(peer="::1", request_id="0"))
    assert (again.method, again.host, type(again.body)) == (head.method, head.host, type(head.body))


@pytest.mark.parametrize(
    ("accept", "wants_html"),
    [
        ("", False), ("*/*", False), ("application/json", False), ("text/html", True), ("TEXT/HTML;level=1", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", True),
        ("application/json, text/plain, */*", False), ("application/json, text/html", False),
        ("text/html, application/json", True),
        ("application/json;q=0.5, text/html;q=0.9", True), ("text/html;q=0.1, application/json;q=0.9", False),
        ("text/html;q=0", False),
        ("text/html;q=nan, application/json;q=0.1", False), ("text/html;q=", False), ("text/event-stream", False),
    ],
)  # fmt: skip
def test_who_wants_a_page_is_told_from_who_wants_data(accept: str, wants_html: bool) -> None:
    assert parse_request(asked(*([f"Accept: {accept}"] if accept else []))).wants_html is wants_html


@pytest.mark.parametrize(
    ("first", "host", "name"),
    [
        ("GET / HTTP/1.1", "Host: Chatbot.LOCALHOST:8000", "chatbot.localhost"), ("GET / HTTP/1.1", "Host: a.", "a"),
        ("GET / HTTP/1.1", "Host: [::1]:80", "::1"), ("GET / HTTP/1.1", "Host:", ""), ("GET / HTTP/1.0", "", ""),
        ("GET http://other:1/x HTTP/1.1", "Host: a", "other"), ("OPTIONS * HTTP/1.1", "Host: a", "a"),
    ],
)  # fmt: skip
def test_the_host_is_the_name_that_was_asked_for(first: str, host: str, name: str) -> None:
    assert parse_request(asked(first=first, host=host)).host == name


@pytest.mark.parametrize(
    ("first", "lines", "keeps"),
    [
        ("GET / HTTP/1.1", [], True), ("GET / HTTP/1.1", ["Connection: Close"], False), ("GET / HTTP/1.0", [], False),
        ("GET / HTTP/1.0", ["Connection: Keep-Alive"], True), ("GET / HTTP/1.1", ["Connection: x", "Connection: close"], False),
    ],
)  # fmt: skip
def test_who_wants_to_go_on_is_known(first: str, lines: list[str], keeps: bool) -> None:
    assert parse_request(asked(*lines, first=first)).keeps is keeps


# --- answers ----------------------------------------------------------------------------------------------------------


def to(method: str = "GET", minor: int = 1, *lines: str) -> RequestHead:
    return parse_request(asked(*lines, first=f"{method} / HTTP/1.{minor}"))


def answer(*lines: str, first: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")


def seen(raw: bytes, request: RequestHead, *, keeps: bool = True) -> list[str]:
    sent = parse_answer(raw, request).towards_client(request, keeps=keeps, request_id="0-0-0")
    assert sent.endswith(b"\r\n\r\n")
    return sent[:-4].decode("latin-1").split("\r\n")


OURS = ["x-render-origin-server: Render", "rndr-id: 0-0-0"]


def test_an_answer_passes_as_it_is_and_says_who_it_is_from() -> None:
    lines = [
        "server: uvicorn",
        "Set-Cookie: a",
        "set-cookie: b",
        "Content-Length: 3",
        "X-Render-Routing: mine",
        "X-Odd: \xe9",
    ]
    raw = answer(
        *lines,
        "Connection: keep-alive, X-Hop",
        "X-Hop: 1",
        "Keep-Alive: timeout=5",
        "rndr-id: theirs",
        first="HTTP/1.1 299 Odd  reason ",
    )
    assert seen(raw, to()) == ["HTTP/1.1 299 Odd  reason ", *lines, *OURS]


def test_whether_the_connection_goes_on_is_said_where_it_is_not_known() -> None:
    raw = answer("content-length: 0")
    assert "Connection: close" in seen(raw, to(), keeps=False)
    assert "Connection: keep-alive" in seen(raw, to("GET", 0))
    assert not any("onnection" in line for line in seen(raw, to()))


def test_a_client_of_http_1_0_gets_no_chunks() -> None:
    raw = answer("Transfer-Encoding: chunked")
    assert "Transfer-Encoding: chunked" in seen(raw, to())
    old = to("GET", 0)
    assert not any("ransfer" in line for line in seen(raw, old))
    assert parse_answer(raw, old).ends_with_connection


def test_the_upgrade_that_was_asked_for_is_passed_on() -> None:
    request = to("GET", 1, "Connection: Upgrade", "Upgrade: websocket")
    assert seen(answer("Upgrade: websocket",
    "Connection: upgrade", first="HTTP/1.1 101 Switching Protocols"), request)[1:3] == [
        "Upgrade: websocket", "Connection: Upgrade",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "first", "lines", "framing"),
    [
        ("GET", "HTTP/1.1 200 OK", ["Content-Length: 5"], Counted), ("GET",
        "HTTP/1.1 200 OK", ["Transfer-Encoding: chunked"], Chunked),
        ("GET", "HTTP/1.1 200 OK", [], UntilClose), ("GET", "HTTP/1.0 200 OK", [], UntilClose), ("GET",
        "HTTP/1.1 200", [], UntilClose),
        ("GET", "HTTP/1.1 200 OK", ["Transfer-Encoding: gzip"], UntilClose), ("HEAD",
        "HTTP/1.1 200 OK", ["Content-Length: 5"], NoBody),
        ("HEAD", "HTTP/1.1 200 OK", ["Transfer-Encoding: chunked"], NoBody), ("GET", "HTTP/1.1 204 No Content", [], NoBody),
        ("GET", "HTTP/1.1 304 Not Modified", ["Content-Length: 5"], NoBody), ("GET",
        "HTTP/1.1 103 Early Hints", ["Link: x"], NoBody),
        ("GET", "HTTP/1.1 200 OK", ["Transfer-Encoding: gzip, chunked"], Chunked),
    ],
)  # fmt: skip
def test_where_an_answer_ends_is_known_from_its_head(method: str, first: str, lines: list[str], framing: type) -> None:
    assert isinstance(parse_answer(answer(*lines, first=first), to(method)).body, framing)


@pytest.mark.parametrize(
    "raw",
    [
        answer(first="HTTP/2 200 OK"), answer(first="ICY 200 OK"), answer(first="HTTP/1.1 20 OK"),
        answer("Content-Length: many"),
        answer("Content-Length: 5", "Transfer-Encoding: chunked"), answer("Content-Length: 5", "Content-Length: 6"),
        answer("no colon"),
        answer("Upgrade: websocket", "Connection: upgrade", first="HTTP/1.1 101 Switching Protocols"), b"\r\n\r\n",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_known(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse_answer(raw, to())


@given(
    st.binary(max_size=200), st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n", b""])
)
def test_no_answer_is_too_strange(noise: bytes, first: bytes) -> None:
    raw = (first + noise).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    try:
        head = parse_answer(raw, to())
    except Malformed:
        return
    assert re.match(rb"HTTP/1\.1 [1-9][0-9]{2} ", head.towards_client(to(), keeps=True, request_id="0"))
