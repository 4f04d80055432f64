"""Requests and answers through an edge of real sockets: what the app gets, what the client gets, and when."""

import asyncio
import re
from itertools import pairwise

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from everwake.clock import SystemClock
from everwake.errors import Misused
from everwake.sim.edge.limits import Limits
from everwake.sim.edge.server import Edge
from tests.everwake.sim.edge.standing import GET, LAST_GET, SERVICE, before, split, until
from tests.support import faulty
from tests.support.fake_clock import FakeClock
from tests.support.in_thread import InThread

POST = b"POST / HTTP/1.1\r\nHost: app.localhost\r\n"


def says(answer: bytes, *, after: bytes = b"\r\n\r\n") -> faulty.Handler:
    """Exactly this answer, once that much of a request has come; then the connection is held open, as servers do."""

    async def handle(line: faulty.Connection) -> None:
        line.server.requests.append(await line.reader.readuntil(after))
        await line.send(answer)
        await line.hold()

    return handle


OK = says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
RNDR_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}")


async def test_an_answer_of_the_app_says_so_and_every_answer_has_an_id_of_its_own() -> None:
    async with before(OK) as standing:
        answers = [split(await standing.say(LAST_GET)) for _ in range(3)]
        assert {answer[0] for answer in answers} == {200}
        assert {answer[1]["x-render-origin-server"] for answer in answers} == {"Render"}
        ids = {answer[1]["rndr-id"] for answer in answers}
        assert len(ids) == 3
        assert all(RNDR_ID.fullmatch(each) for each in ids)
        # The app is told the same id, whose request it is, and by which name it was asked for.
        told = [re.search(rb"Rndr-Id: ([^\r]+)", request)[1].decode() for request in standing.app.requests]  # type: ignore[index]
        assert set(told) == ids
        assert (
            b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: app.localhost\r\n"
            in standing.app.requests[0]
        )


async def test_requests_on_one_connection_are_answered_one_after_the_other() -> None:
    async with before(OK) as standing, standing.line() as (reader, writer):
        for _ in range(5):
            writer.write(GET)
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"ok"


async def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    async def handle(line: faulty.Connection) -> None:
        number = int((await line.request()).split(b"/")[1].split(b" ")[0])
        await asyncio.sleep(0.03 if number == 0 else 0)
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n%04d" % number)
        await line.hold()

    async with before(handle) as standing:
        requests = b"".join(
            b"GET /%d HTTP/1.1\r\nHost: a\r\n%b\r\n" % (n, b"Connection: close\r\n" if n == 49 else b"")
            for n in range(50)
        )
        answer = await standing.say(requests)
        assert re.findall(rb"\r\n\r\n([0-9]{4})", answer) == [b"%04d" % n for n in range(50)]
        assert standing.edge.traffic()[SERVICE].requests == 50


async def test_a_request_with_a_body_and_the_next_one_in_the_same_breath_do_not_mix() -> None:
    async def handle(line: faulty.Connection) -> None:
        head = await line.request()
        body = await line.reader.readexactly(5) if b"POST" in head else b"none!"
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + body)
        assert await line.reader.read(1) == b"", "more than the request has come"

    async with before(handle) as standing:
        answer = await standing.say(POST + b"Content-Length: 5\r\n\r\nhello" + LAST_GET)
        assert re.findall(rb"\r\n\r\n(.{5})", answer) == [b"hello", b"none!"]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 50\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"2;x=y\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"),
        (b"HTTP/1.0 200 Fine\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", b""),
    ],
)  # fmt: skip
async def test_every_kind_of_answer_ends_where_it_ends(answer: bytes, body: bytes) -> None:
    async with before(says(answer)) as standing, standing.line() as (reader, writer):
        for _ in range(2):
            writer.write(GET)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 " + answer.split(b"\r\n")[0].split(b" ", 1)[1])
            assert await reader.readexactly(len(body)) == body


async def test_the_answer_to_a_head_has_no_body() -> None:
    async with (
        before(says(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")) as standing,
        standing.line() as (reader, writer),
    ):
        for _ in range(2):
            writer.write(GET.replace(b"GET", b"HEAD"))
            assert b"content-length: 5000" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


async def test_an_answer_without_length_ends_with_the_connection() -> None:
    async with before(faulty.raw(b"HTTP/1.0 200 OK\r\n\r\nall there is")) as standing:
        status, headers, body = split(await standing.say(GET))
        assert (status, headers["connection"], body) == (200, "close", b"all there is")


async def test_a_client_of_http_1_0_gets_what_is_in_the_chunks() -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
    async with before(says(answer)) as standing:
        status, headers, body = split(await standing.say(b"GET / HTTP/1.0\r\n\r\n"))
        assert (status, body, "transfer-encoding" in headers, headers["connection"]) == (200, b"abcde", False, "close")
        assert standing.app.requests[0].startswith(b"GET / HTTP/1.0\r\n")


async def test_a_client_of_http_1_0_gets_no_interim_answer() -> None:
    async with before(
        says(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    ) as standing:
        assert (await standing.say(b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_client_of_http_1_0_may_keep_its_connection() -> None:
    async with before(OK) as standing, standing.line() as (reader, writer):
        for _ in range(2):
            writer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive" in await reader.readuntil(b"\r\n\r\nok")


async def test_whoever_waits_for_100_is_told_to_go_on_by_the_app() -> None:
    async def handle(line: faulty.Connection) -> None:
        assert b"Expect: 100-continue" in await line.request()
        await line.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await line.reader.readexactly(5)
        await line.send(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + body
        )
        await line.hold()

    async with before(handle) as standing, standing.line() as (reader, writer):
        for _ in range(2):
            writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"hello")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\nhello")


async def test_an_app_that_answers_before_the_body_has_come_is_heard() -> None:
    async with (
        before(says(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")) as standing,
        standing.line() as (reader, writer),
    ):
        writer.write(POST + b"Content-Length: 1000000\r\n\r\n" + bytes(1000))
        status, headers, body = split(await reader.readuntil(b"big"))
        assert (status, headers["connection"], body) == (413, "close", b"big")
        writer.write(bytes(999_000))  # whoever sends all before it reads is not cut off
        assert await asyncio.wait_for(reader.read(), 5) == b""


@given(
    body=st.binary(max_size=2_000), is_chunked=st.booleans(), at=st.lists(st.integers(0, 2_500), max_size=8),
    back_at=st.lists(st.integers(0, 2_500), max_size=8),
)  # fmt: skip
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_bytes_arrive_whatever_the_blocks(
    body: bytes, is_chunked: bool, at: list[int], back_at: list[int]
) -> None:
    def blocks(data: bytes, places: list[int]) -> list[bytes]:
        edges = sorted({0, len(data), *(min(place, len(data)) for place in places)})
        return [data[begin:end] for begin, end in pairwise(edges)]

    framing = b"Transfer-Encoding: chunked\r\n\r\n" if is_chunked else b"Content-Length: %d\r\n\r\n" % len(body)
    framed = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n" if is_chunked else body
    got: list[bytes] = []

    async def handle(line: faulty.Connection) -> None:
        await line.request()
        got.append(await line.reader.readexactly(len(framed)))
        for block in blocks(b"HTTP/1.1 200 OK\r\n" + framing + framed, back_at):
            await line.send(block)
            await asyncio.sleep(0)
        await line.hold()

    async def through() -> bytes:
        async with before(handle) as standing, standing.line() as (reader, writer):
            for block in blocks(POST + b"Connection: close\r\n" + framing + framed, at):
                writer.write(block)
                await asyncio.sleep(0)
            return await asyncio.wait_for(reader.read(), 10)

    assert asyncio.run(through()).partition(b"\r\n\r\n")[2] == framed
    assert got == [framed]


# --- a real app -------------------------------------------------------------------------------------------------------


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {"method": request.method, "path": request.url.path, "query": request.url.query, "size": len(body)}
    )


async def upload(request: Request) -> Response:
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return PlainTextResponse(str(size))


class Ticking:
    """Server-sent events, each when the test says so; told of a client that has gone."""

    def __init__(self) -> None:
        self.gone = 0

    async def events(self, request: Request) -> Response:
        async def stream() -> object:
            try:
                for number in range(int(request.query_params["count"])):
                    yield f"data: {number}\n\n"
                    await asyncio.sleep(0.05)
                while not await request.is_disconnected():
                    await asyncio.sleep(0.01)
            finally:
                self.gone += 1

        return StreamingResponse(stream(), media_type="text/event-stream")  # type: ignore[arg-type]

    async def slow(self, request: Request) -> Response:
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        self.gone += 1
        raise ClientDisconnect


async def test_a_real_client_and_a_real_app_notice_nothing() -> None:
    app = Starlette(
        routes=[
            Route("/echo/{path:path}", echo, methods=["GET", "PUT", "POST", "DELETE"]),
            Route("/upload", upload, methods=["POST"]),
        ]
    )

    async def pieces() -> object:
        for _ in range(20):
            yield bytes(10_000)

    with InThread(app) as server:
        async with before(server.port) as standing, httpx.AsyncClient(base_url=standing.url, timeout=10) as client:
            for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
                through = await client.request(method, "/echo/a%20b?c=d", content=b"x" * 500)
                direct = await asyncio.to_thread(server.client.request, method, "/echo/a%20b?c=d", content=b"x" * 500)
                assert (through.status_code, through.content) == (direct.status_code, direct.content)
                ours = {"rndr-id", "x-render-origin-server"}
                assert [
                    pair for pair in through.headers.raw if pair[0].decode() not in ours and pair[0] != b"date"
                ] == [pair for pair in direct.headers.raw if pair[0] != b"date"]
            assert (await client.post("/upload", content=pieces())).text == "200000"  # type: ignore[arg-type]
            assert (await client.get("/nothing")).status_code == 404
            answers = await asyncio.gather(*(client.post("/echo/x", content=b"y" * n) for n in range(100)))
            assert [answer.json()["size"] for answer in answers] == list(range(100))


async def test_events_arrive_as_they_are_sent_and_the_app_is_told_when_nobody_listens() -> None:
    ticking = Ticking()
    with InThread(Starlette(routes=[Route("/events", ticking.events), Route("/slow", ticking.slow)])) as server:
        async with before(server.port, limits=Limits(sweep_s=0.05, half_closed_s=0.1, grace_s=0.05)) as standing:
            loop = asyncio.get_running_loop()
            async with standing.line() as (reader, writer):
                writer.write(b"GET /events?count=5 HTTP/1.1\r\nHost: a\r\n\r\n")
                came_s = []
                for number in range(5):
                    await asyncio.wait_for(reader.readuntil(b"data: %d\n\n" % number), 5)
                    came_s.append(loop.time())
                assert all(later - earlier > 0.02 for earlier, later in pairwise(came_s))
            await until(lambda: ticking.gone == 1)
            async with standing.line() as (reader, writer):
                writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
                await until(lambda: standing.edge.traffic()[SERVICE].requests == 2)
                writer.close()  # an orderly end: it could as well be half a one
                await until(lambda: ticking.gone == 2)


# --- half-closed, slow and gone ---------------------------------------------------------------------------------------


async def test_a_client_that_has_said_all_still_gets_its_answers() -> None:
    async with before(OK) as standing:
        answer = await standing.say(GET + GET, eof=True)
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert answer.endswith(b"ok")


async def test_a_client_that_has_said_half_a_request_too_many_is_not_waited_for() -> None:
    async with before(OK) as standing:
        answer = await asyncio.wait_for(standing.say(GET + b"GET / HT", eof=True), 5)
        assert answer.count(b"HTTP/1.1 200 OK") == 1


async def test_a_client_gone_in_the_middle_of_its_body_takes_the_request_with_it() -> None:
    over = asyncio.Event()

    async def handle(line: faulty.Connection) -> None:
        await line.request()
        try:
            while await line.reader.read(1_000):
                pass
        finally:
            over.set()

    async with before(handle) as standing:
        async with standing.line() as (_, writer):
            writer.write(POST + b"Content-Length: 1000\r\n\r\nsome")
            await until(lambda: standing.app.connections == 1)
            writer.close()
            await asyncio.wait_for(over.wait(), 5)


async def test_a_client_that_does_not_read_holds_up_the_app_not_the_edge() -> None:
    async with before(faulty.too_much(50_000_000, declared=True)) as standing, standing.line() as (reader, writer):
        writer.transport.pause_reading()
        writer.write(GET)
        sent = -1
        while sent != standing.app.sent_bytes:  # until it stands still
            sent = standing.app.sent_bytes
            await asyncio.sleep(0.2)
        assert standing.app.sent_bytes < 30_000_000  # what two pairs of sockets hold, and a window
        writer.transport.resume_reading()
        await reader.readuntil(b"\r\n\r\n")
        size = 0
        while size < 49_000_000:
            size += len(await asyncio.wait_for(reader.read(1_000_000), 5))


async def test_an_app_that_does_not_read_holds_up_the_client_not_the_edge() -> None:
    read_on = asyncio.Event()

    async def handle(line: faulty.Connection) -> None:
        await line.request()
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await read_on.wait()
        line.writer.transport.resume_reading()  # type: ignore[attr-defined]
        size = 0
        while size < 50_000_000:
            size += len(await line.reader.read(1_000_000))
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n%d" % size)
        await line.hold()

    async with before(handle) as standing, standing.line() as (reader, writer):
        sent = 0
        writer.write(POST + b"Content-Length: 50000000\r\n\r\n")
        try:
            async with asyncio.timeout(1.5):
                while sent < 50_000_000:
                    writer.write(bytes(1_000_000))
                    sent += 1_000_000
                    await writer.drain()
        except TimeoutError:
            pass
        assert sent < 30_000_000
        read_on.set()
        while sent < 50_000_000:
            writer.write(bytes(1_000_000))
            sent += 1_000_000
            await asyncio.wait_for(writer.drain(), 5)
        assert await asyncio.wait_for(reader.readuntil(b"50000000"), 10)


async def test_a_client_that_asks_ahead_and_reads_nothing_is_not_answered_ahead() -> None:
    async with before(says(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + bytes(100_000))) as standing:
        async with standing.line() as (reader, writer):
            writer.transport.pause_reading()
            writer.write(GET * 1_000)
            served = -1
            while served != standing.edge.traffic().get(SERVICE, None):
                served = standing.edge.traffic().get(SERVICE, None)  # type: ignore[assignment]
                await asyncio.sleep(0.2)
            assert 0 < standing.edge.traffic()[SERVICE].requests < 200
            writer.transport.resume_reading()
            for _ in range(1_000):
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
                await reader.readexactly(100_000)


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 431), (b"GET /" + b"x" * 70_000, 431),
        (b"nonsense\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00\x01\x00", 400), (b"SSH-2.0-OpenSSH\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n", 400), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)  # fmt: skip
async def test_what_is_no_request_is_told_so_and_the_connection_ends(sent: bytes, status: int) -> None:
    async with before(faulty.never_says_anything) as standing:
        answered, headers, body = split(
            await standing.say(sent + b"\r\nGET / HTTP/1.1\r\nHost: smuggled\r\n\r\n", eof=True)
        )
        assert (answered, headers["connection"]) == (status, "close")
        assert int(headers["content-length"]) == len(body)
        assert "x-render-origin-server" not in headers
        assert RNDR_ID.fullmatch(headers["rndr-id"])
        assert standing.edge.traffic().get(SERVICE) is None or standing.edge.traffic()[SERVICE].requests == 1
        assert not any(b"smuggled" in request for request in standing.app.requests)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([b"GET / HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"Content-Length: 3\r\n",
             b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n",
                             b"0\r\n\r\n", b"Connection: close\r\n", b"GET / HTTP/1.0\r\n\r\n",
                             b"POST /x HTTP/1.1\r\nHost: b\r\n"]),
        ),
        max_size=12,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_bytes_are_too_strange_for_an_edge(blocks: list[bytes]) -> None:
    async def through() -> bytes:
        async with before(OK, limits=Limits(sweep_s=0.02, half_closed_s=0.04, grace_s=0.02)) as standing:
            try:
                answer = await standing.say(b"".join(blocks), eof=True)
            except ConnectionError:
                answer = b""
            assert b"200 OK" in await standing.say(LAST_GET), "it serves on"
            return answer

    answer = asyncio.run(through())
    assert not answer or re.match(rb"HTTP/1\.1 (200|400|405|431|501|502|505) ", answer)


async def test_a_head_that_takes_too_long_is_given_up() -> None:
    clock = FakeClock()
    async with before(OK, clock=clock) as standing, standing.line() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        await until(lambda: standing.edge.connections == 1)
        for n in range(25):
            writer.write(b"X-%d: slow\r\n" % n)
            await asyncio.sleep(0.002)
            await clock.advance(1)
        status, headers, _ = split(await asyncio.wait_for(reader.read(), 5))
        assert (status, headers["connection"]) == (408, "close")


async def test_the_time_of_a_head_begins_with_its_first_byte() -> None:
    clock = FakeClock()
    async with before(OK, clock=clock) as standing, standing.line() as (reader, writer):
        await until(lambda: standing.edge.connections == 1)
        await clock.advance(60)
        writer.write(GET[:10])
        await asyncio.sleep(0.05)
        await clock.advance(15)
        writer.write(GET[10:])
        assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


async def test_an_idle_connection_is_ended_quietly() -> None:
    clock = FakeClock()
    async with before(OK, clock=clock) as standing, standing.line() as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\nok")
        await clock.advance(60)
        writer.write(GET)  # the time begins anew
        await reader.readuntil(b"\r\n\r\nok")
        await clock.advance(60)
        assert standing.edge.connections == 1
        await clock.advance(20)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        await until(lambda: standing.edge.connections == 0)


async def test_more_connections_than_there_may_be_are_told_so() -> None:
    async with before(OK, limits=Limits(connections=8, grace_s=0.05)) as standing:
        lines = [await asyncio.open_connection("127.0.0.1", standing.port) for _ in range(8)]
        await until(lambda: standing.edge.connections == 8)
        assert split(await standing.say(GET))[0] == 503
        lines[0][1].close()
        await until(lambda: standing.edge.connections == 7)
        assert split(await standing.say(LAST_GET))[0] == 200
        for _, writer in lines:
            writer.transport.abort()


# --- whom it is for ---------------------------------------------------------------------------------------------------


async def test_the_shared_port_goes_by_host_and_knows_whose_is_nobodys() -> None:
    async with before(OK) as standing:
        shared = await standing.edge.open_shared()
        for host, status in (
            ("chatbot.localhost", 200),
            (f"Chatbot.localhost:{shared}", 200),
            ("other.localhost", 404),
            ("", 404),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", shared)
            writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answered, headers, _ = split(await reader.read())
            writer.close()
            assert (answered, headers.get("x-render-routing")) == (status, None if status == 200 else "no-server")
        assert [service for service, _ in standing.platform.asked] == [SERVICE, SERVICE, "", ""]


async def test_what_went_through_is_counted_for_each_service() -> None:
    async with before(OK) as standing:
        answers = [await standing.say(LAST_GET) for _ in range(3)]
        traffic = standing.edge.traffic()[SERVICE]
        assert (traffic.requests, traffic.statuses) == (3, {200: 3})
        assert traffic.bytes_out == sum(len(answer) for answer in answers)


async def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    async with before(OK) as standing, Edge(standing.platform, SystemClock()) as other:
        with pytest.raises(Misused, match=f"cannot listen on 127.0.0.1:{standing.port}"):
            await other.open("srv-2", standing.port)
        port = await other.open("srv-2")
        assert await other.open("srv-2") == port
        await other.shut("srv-2")
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        assert await other.open("srv-2", port) == port
