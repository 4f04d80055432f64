"""What the edge answers itself: refused, held and let go, unreachable, cut."""

import asyncio

import httpx
import pytest

from everwake.sim.edge.limits import Limits
from everwake.sim.edge.routes import Refusal, Upstream
from tests.everwake.sim.edge.standing import GET, LAST_GET, SERVICE, before, split, until
from tests.support import faulty
from tests.support.fake_clock import FakeClock

POST = b"POST / HTTP/1.1\r\nHost: app.localhost\r\n"
SUSPENDED = Refusal(
    status=503, routing="suspend-by-user", body="This service is suspended. \xe9", content_type="text/html"
)
WAKING = Refusal(
    status=503, routing="hibernate-pending-wake", body="<h1>waking</h1>", content_type="text/html", retry_after_s=5
)
WAKE_ERROR = Refusal(status=503, routing="hibernate-wake-error")
QUICK = Limits(sweep_s=0.05, half_closed_s=0.1, connect_s=0.3, grace_s=0.05)


@pytest.mark.parametrize("refusal", [SUSPENDED, WAKING, WAKE_ERROR], ids=lambda refusal: refusal.routing)
async def test_a_refusal_says_why_in_its_header_and_is_not_from_the_app(refusal: Refusal) -> None:
    async with before(refusal) as standing:
        status, headers, body = split(await standing.say(LAST_GET))
        assert (status, headers["x-render-routing"], body.decode()) == (refusal.status, refusal.routing, refusal.body)
        assert headers.get("retry-after") == (None if refusal.retry_after_s is None else "5")
        assert headers.get("content-type") == (refusal.content_type if refusal.body else None)
        assert int(headers["content-length"]) == len(body)
        assert "rndr-id" in headers
        assert "date" in headers
        assert "x-render-origin-server" not in headers
        assert standing.edge.traffic()[SERVICE].statuses == {refusal.status: 1}


async def test_a_refused_client_may_ask_again_on_the_same_connection() -> None:
    async with before(SUSPENDED) as standing, standing.line() as (reader, writer):
        for request in (
            GET,
            POST + b"Content-Length: 5\r\n\r\nhello",
            POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            GET,
        ):
            writer.write(request)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            await reader.readexactly(int(split(head)[1]["content-length"]))


async def test_the_refusal_of_a_head_has_no_body() -> None:
    async with before(SUSPENDED) as standing:
        status, headers, body = split(await standing.say(LAST_GET.replace(b"GET", b"HEAD")))
        assert (status, headers["content-length"], body) == (503, str(len(SUSPENDED.body.encode())), b"")


async def test_a_client_refused_while_it_sends_may_send_all_and_sees_the_refusal() -> None:
    async with before(SUSPENDED) as standing, standing.line() as (reader, writer):
        writer.write(POST + b"Content-Length: 20000000\r\n\r\n")
        for _ in range(200):
            writer.write(bytes(100_000))
            await asyncio.wait_for(writer.drain(), 5)
        status, headers, body = split(await asyncio.wait_for(reader.read(), 5))
        assert (status, headers["connection"], body) == (503, "close", SUSPENDED.body.encode())


async def test_a_client_refused_before_it_was_told_to_go_on_need_not_send() -> None:
    async with before(SUSPENDED) as standing, standing.line() as (reader, writer):
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 20000000\r\n\r\n")
        assert b"503 Service Unavailable" in await asyncio.wait_for(reader.readuntil(SUSPENDED.body.encode()), 5)


async def test_real_clients_see_a_refusal_whatever_they_send() -> None:
    async def pieces() -> object:
        for _ in range(100):
            yield bytes(100_000)

    async with before(WAKING) as standing, httpx.AsyncClient(base_url=standing.url, timeout=10) as client:
        for content in (None, b"x", bytes(10_000_000), pieces()):
            answer = await client.post("/", content=content)  # type: ignore[arg-type]
            assert (answer.status_code, answer.headers["x-render-routing"]) == (503, "hibernate-pending-wake")


async def test_somebody_who_drips_after_a_refusal_is_cut_off_in_the_end() -> None:
    clock = FakeClock()
    async with before(SUSPENDED, clock=clock) as standing, standing.line() as (reader, writer):
        writer.write(POST + b"Content-Length: 20000000\r\n\r\n")
        await reader.readuntil(SUSPENDED.body.encode())
        for _ in range(32):
            writer.write(b"drip")
            await clock.advance(1)
        await until(lambda: standing.edge.connections == 0)


# --- held -------------------------------------------------------------------------------------------------------------


async def ok(line: faulty.Connection) -> None:
    await line.request()
    await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await line.hold()


async def test_a_request_is_held_until_the_service_is_awake() -> None:
    async with before(ok) as standing, standing.line() as (reader, writer):
        standing.platform.gate = asyncio.Event()
        writer.write(GET)
        await until(lambda: len(standing.platform.asked) == 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        standing.platform.gate.set()
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 5)


async def test_a_held_body_waits_in_its_client_and_comes_whole() -> None:
    size = 20_000_000

    async def count(line: faulty.Connection) -> None:
        await line.request()
        body = await line.reader.readexactly(size)
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n%05d" % (body == bytes(size)))
        await line.hold()

    async with before(count) as standing, standing.line() as (reader, writer):
        standing.platform.gate = asyncio.Event()
        writer.write(POST + b"Content-Length: %d\r\n\r\n" % size + bytes(size))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.3)
        standing.platform.gate.set()
        assert await asyncio.wait_for(reader.readuntil(b"00001"), 10)


@pytest.mark.parametrize("how", ["in order", "by reset", "with a body that nobody has read"])
async def test_a_client_gone_while_held_is_let_go_of(how: str) -> None:
    async with before(ok, limits=QUICK) as standing, standing.line() as (_, writer):
        standing.platform.gate = asyncio.Event()
        writer.write(GET if "body" not in how else POST + b"Content-Length: 200000\r\n\r\n" + bytes(200_000))
        await until(lambda: len(standing.platform.asked) == 1)
        assert standing.platform.let_go == 0
        if how == "by reset":
            writer.transport.abort()
        else:
            writer.close()
        await until(lambda: standing.platform.let_go == 1 and standing.edge.connections == 0)
        assert standing.app.connections == 0


async def test_whether_a_page_is_wanted_is_passed_to_the_platform() -> None:
    async with before(ok) as standing:
        for accept in (b"text/html,*/*;q=0.8", b"application/json"):
            await standing.say(LAST_GET[:-2] + b"Accept: " + accept + b"\r\n\r\n")
        assert standing.platform.asked == [(SERVICE, True), (SERVICE, False)]


async def test_a_bug_of_the_platform_is_answered_and_logged_and_stops_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with before(ok) as standing:
        standing.platform.breaks = True
        assert split(await standing.say(LAST_GET))[0] == 500
        assert "the platform has a bug" in caplog.text
        standing.platform.breaks = False
        assert split(await standing.say(LAST_GET))[0] == 200


# --- unreachable ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "handler",
    [
        faulty.hangs_up_at_once, faulty.hangs_up_without_a_word, faulty.resets_after_the_request, faulty.raw(faulty.NOT_HTTP),
        faulty.raw(faulty.BAD_LENGTH), faulty.raw(b"HTTP/1.1 200 OK\r\nunfinished: "),
        faulty.raw(b"HTTP/1.1 100 Continue\r\n\r\n"), faulty.endless_header, faulty.endless_headers,
    ],
)  # fmt: skip
async def test_an_instance_that_gives_no_answer_is_said_to_be_unreachable(handler: faulty.Handler) -> None:
    async with before(handler) as standing:
        for request in (LAST_GET, POST + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"):
            answer = await standing.say(request)
            status, headers, _ = split(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))
            assert (status, headers["x-render-routing"]) == (502, "dynamic-free-error")
            assert "x-render-origin-server" not in headers


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with faulty.refusing_port() as port:
        async with before(port) as standing:
            for _ in range(3):
                assert split(await standing.say(LAST_GET))[1]["x-render-routing"] == "dynamic-free-error"


async def test_an_instance_that_does_not_accept_is_unreachable_after_a_while() -> None:
    with faulty.port_with_a_full_queue() as port:
        async with before(port, limits=QUICK) as standing:
            assert split(await standing.say(LAST_GET))[0] == 502


async def test_a_request_in_which_nothing_moves_for_100_minutes_is_given_up() -> None:
    clock = FakeClock()
    async with before(faulty.never_says_anything, clock=clock) as standing, standing.line() as (reader, writer):
        writer.write(GET)
        await until(lambda: standing.app.connections == 1)
        await clock.advance(5_990)
        assert standing.edge.connections == 1
        await clock.advance(12)
        assert split(await asyncio.wait_for(reader.readuntil(b"502 Bad Gateway"), 5))[0] == 502


@pytest.mark.parametrize(
    "handler", [faulty.hangs_up_in_the_body, faulty.hangs_up_in_a_chunk, faulty.raw(faulty.BAD_CHUNK)]
)
@pytest.mark.parametrize("request_", [GET, b"GET / HTTP/1.0\r\n\r\n"], ids=["HTTP/1.1", "HTTP/1.0"])
async def test_a_body_that_breaks_off_is_not_made_to_look_complete(handler: faulty.Handler, request_: bytes) -> None:
    async with before(handler) as standing:
        try:
            _, headers, body = split(await standing.say(request_))
        except ConnectionError:
            return  # a reset tells it best
        assert "content-length" in headers or "transfer-encoding" in headers
        assert len(body) < int(headers.get("content-length", 100))
        assert not body.endswith(b"0\r\n\r\n")


async def test_a_real_client_notices_a_body_that_breaks_off() -> None:
    for handler in (faulty.hangs_up_in_the_body, faulty.hangs_up_in_a_chunk):
        async with before(handler) as standing, httpx.AsyncClient() as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(standing.url)


async def test_a_reset_in_a_body_without_length_resets_the_client() -> None:
    async def breaks(line: faulty.Connection) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\n\r\nsome of it")
        await asyncio.sleep(0.05)
        line.reset()

    async with before(breaks) as standing:
        with pytest.raises(ConnectionResetError):
            await standing.say(GET)


async def test_a_bad_chunk_in_a_body_under_way_ends_the_request_at_the_app_too() -> None:
    over = asyncio.Event()

    async def listens(line: faulty.Connection) -> None:
        try:
            await line.hold()
        finally:
            over.set()

    async with before(listens) as standing, standing.line() as (reader, writer):
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await until(lambda: standing.app.connections == 1)
        writer.write(b"not a size\r\n")
        assert split(await asyncio.wait_for(reader.read(), 5))[0] == 400
        await asyncio.wait_for(over.wait(), 5)


async def test_an_instance_that_has_moved_is_found_at_its_new_port() -> None:
    async with (
        faulty.serve(ok) as new,
        before(faulty.hangs_up_at_once) as standing,
        standing.line() as (reader, writer),
    ):
        writer.write(GET)
        assert b"502" in await reader.readuntil(b"502 Bad Gateway\r\n")
        standing.platform.where = Upstream(new.port)
        writer.write(GET)
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 5)
