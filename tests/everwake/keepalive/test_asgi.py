"""The endpoint on a real uvicorn: what a client sees."""

import asyncio
import itertools
import json
import logging
import re
import socket
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from everwake.keepalive import KeepAlive, Stats
from everwake.keepalive.protocol import SUBPROTOCOL, bearer_subprotocol
from tests.everwake.keepalive.servers import ended, heard, opened, serving, until

PATH = "/ws/keepalive"


async def pinged(line: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [await heard(line) for _ in range(count)]


async def test_the_first_ping_comes_at_once_and_says_exactly_what_was_agreed() -> None:
    async with serving(KeepAlive(service="chatify_chatbot")) as url, opened(url + PATH) as line:
        said = await heard(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said.pop("timestamp"))
        assert said == {"type": "ping", "status": "alive", "service": "chatify_chatbot", "seq": 0}


async def test_pings_are_numbered_and_stay_on_their_grid_however_late_the_client_answers() -> None:
    every_s = 0.2
    async with serving(KeepAlive(every_s=every_s)) as url, opened(url + PATH) as line:
        loop = asyncio.get_running_loop()
        assert (await heard(line))["seq"] == 0
        at = []
        answers = []

        def answer() -> None:
            answers.append(asyncio.ensure_future(line.send('{"type":"pong"}')))

        for seq in range(1, 11):
            assert (await heard(line))["seq"] == seq
            at.append(loop.time())
            # An answer that comes just before the next beat; a server that reads and writes by turns drifts by it.
            timer = loop.call_later(every_s * 0.7, answer)
        timer.cancel()
        # A busy machine makes single beats late; drift makes all the later ones late, here by 0.14 s each.
        late = [when - number * every_s for number, when in enumerate(at)]
        assert min(late[5:]) - min(late[:5]) < 0.35
        await asyncio.gather(*answers)


async def test_a_ping_is_answered_at_once_with_a_pong_of_its_seq() -> None:
    async with serving(KeepAlive()) as url, opened(url + PATH) as line:
        await heard(line)
        for seq in (7, 0, -3, 10**30):
            await line.send(json.dumps({"type": "ping", "seq": seq}))
            said = await heard(line)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said.pop("timestamp"))
            assert said == {"type": "pong", "seq": seq}
        await line.send('{"type":"ping"}')
        assert set(await heard(line)) == {"type", "timestamp"}


async def test_what_is_no_ping_or_pong_is_counted_and_ignored() -> None:
    keepalive = KeepAlive()
    async with serving(keepalive) as url, opened(url + PATH) as line:
        await heard(line)
        for junk in ("", "{", "[]", '{"type":"hello"}', "x" * 4096, b"\x00\xff", b'{"type":"pong"}'):
            await line.send(junk)
        await line.send('{"type":"ping","seq":1}')
        assert (await heard(line))["seq"] == 1
        assert keepalive.stats.ignored == 7
        assert keepalive.stats.heard == 0


async def test_a_pong_is_seen_when_it_arrives_and_not_at_the_next_beat() -> None:
    keepalive = KeepAlive(every_s=3600)
    async with serving(keepalive) as url, opened(url + PATH) as line:
        await heard(line)
        await line.send('{"type":"pong","timestamp":"2026-01-01T00:00:00.000Z","seq":0}')
        await until(lambda: keepalive.stats.heard == 1)


@pytest.mark.parametrize("message", ["x" * 4097, b"x" * 4097, "é" * 2049])
async def test_more_than_4_kib_closes_with_1009(message: str | bytes) -> None:
    async with serving(KeepAlive(), ws_max_size=16 * 2**20) as url, opened(url + PATH) as line:
        await line.send(message)
        assert await ended(line) == 1009


async def test_a_client_that_never_answers_is_kept() -> None:
    async with serving(KeepAlive(every_s=0.05)) as url, opened(url + PATH) as line:
        assert [ping["seq"] for ping in await pinged(line, 20)] == list(range(20))


async def test_a_client_that_once_answered_is_closed_after_two_missed_beats() -> None:
    keepalive = KeepAlive(every_s=0.05)
    async with serving(keepalive) as url, opened(url + PATH) as line:
        await heard(line)
        await line.send('{"type":"pong","seq":0}')
        await until(lambda: keepalive.stats.heard == 1)
        beats = keepalive.stats.beats
        assert await ended(line) == 1011
        assert keepalive.stats.missed == 1
        # Two after the pong; the first of them may have gone out before this test looked.
        assert 1 <= keepalive.stats.beats - beats <= 2


async def test_a_client_that_answers_is_kept() -> None:
    async with serving(KeepAlive(every_s=0.05)) as url, opened(url + PATH) as line:
        for seq in range(20):
            assert (await heard(line))["seq"] == seq
            await line.send(json.dumps({"type": "pong", "seq": seq}))


async def test_one_line_too_many_is_closed_with_1013_and_let_in_when_another_left() -> None:
    keepalive = KeepAlive(max_lines=2)
    async with serving(keepalive) as url:
        async with opened(url + PATH) as first, opened(url + PATH) as second:
            await heard(first)
            await heard(second)
            async with opened(url + PATH) as third:
                assert await ended(third) == 1013
        await until(lambda: keepalive.stats.lines == 0)
        async with opened(url + PATH) as fourth:
            assert (await heard(fourth))["seq"] == 0
        assert keepalive.stats.refused == 1


@pytest.mark.parametrize("origin", [None, "null", "https://anywhere.example"])
async def test_without_a_list_every_origin_is_let_in(origin: Any) -> None:
    async with serving(KeepAlive()) as url, opened(url + PATH, origin=origin) as line:
        assert (await heard(line))["type"] == "ping"


@pytest.mark.parametrize(
    ("origin", "is_in"),
    [
        (None, True),
        ("https://app.example", True),
        ("HTTPS://APP.example", True),
        ("null", False),
        ("https://app.example.evil.example", False),
        ("http://app.example", False),
    ],
)
async def test_with_a_list_any_other_origin_is_closed_with_1008(origin: Any, is_in: bool) -> None:
    app = KeepAlive(allowed_origins=["https://app.example"])
    async with serving(app) as url, opened(url + PATH, origin=origin) as line:
        if is_in:
            assert (await heard(line))["type"] == "ping"
        else:
            assert await ended(line) == 1008


@pytest.mark.parametrize(
    ("headers", "is_in"),
    [
        ({"Authorization": "Bearer sésame"}, True),
        ({"Authorization": "bearer sésame"}, True),
        ({"Authorization": "Bearer sésam"}, False),
        ({"Authorization": "Basic sésame"}, False),
        ({"Authorization": "sésame"}, False),
        ({}, False),
    ],
)
async def test_a_wrong_or_missing_token_is_closed_with_1008_and_never_logged(
    headers: dict[str, str], is_in: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="everwake.keepalive")
    sent = {key: value.encode().decode("latin-1") for key, value in headers.items()}
    async with serving(KeepAlive(token="sésame")) as url, opened(url + PATH, additional_headers=sent) as line:
        if is_in:
            assert (await heard(line))["type"] == "ping"
        else:
            assert await ended(line) == 1008
    assert "same" not in caplog.text


@pytest.mark.parametrize(("token", "is_in"), [("sesame", True), ("sesam", False)])
async def test_a_browser_shows_its_token_as_a_subprotocol_and_never_gets_it_back(token: str, is_in: bool) -> None:
    offered = [Subprotocol(SUBPROTOCOL), Subprotocol(bearer_subprotocol(token))]
    async with serving(KeepAlive(token="sesame")) as url, opened(url + PATH, subprotocols=offered) as line:
        assert line.subprotocol == SUBPROTOCOL
        if is_in:
            assert (await heard(line))["type"] == "ping"
        else:
            assert await ended(line) == 1008


@pytest.mark.parametrize(
    "settings", [{"every_s": 0}, {"every_s": float("nan")}, {"allowed_origins": "https://x"}, {"token": ""}]
)
def test_a_setting_that_cannot_be_meant_is_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        KeepAlive(**settings)


async def test_a_plain_request_is_told_what_this_is() -> None:
    async with serving(KeepAlive()) as url, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(url.replace("ws", "http", 1) + PATH)
        assert answer.status_code == 426
        assert answer.headers["upgrade"] == "websocket"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "upgrade_required"
        assert (await http.head(url.replace("ws", "http", 1) + PATH)).status_code == 426


def in_fastapi(keepalive: KeepAlive) -> Any:
    app = FastAPI()
    app.router.routes.append(WebSocketRoute(PATH, keepalive))
    return app


def mounted_in_fastapi(keepalive: KeepAlive) -> Any:
    app = FastAPI()
    app.mount("/ws", keepalive)
    return app


def in_starlette(keepalive: KeepAlive) -> Any:
    return Starlette(routes=[WebSocketRoute(PATH, keepalive)])


def mounted_in_starlette(keepalive: KeepAlive) -> Any:
    return Starlette(routes=[Mount("/ws", keepalive)])


def around_plain_asgi(keepalive: KeepAlive) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"] == "/other"
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    return keepalive.around(app)


@pytest.mark.parametrize(
    "mount", [in_fastapi, mounted_in_fastapi, in_starlette, mounted_in_starlette, around_plain_asgi]
)
async def test_it_works_mounted_anywhere(mount: Any) -> None:
    keepalive = KeepAlive(every_s=0.05)
    async with serving(mount(keepalive)) as url, opened(url + PATH) as line:
        assert [ping["seq"] for ping in await pinged(line, 3)] == [0, 1, 2]
        await line.send('{"type":"pong"}')
        await until(lambda: keepalive.stats.heard == 1)


async def test_it_works_with_what_uvicorn_takes_by_itself() -> None:
    """`ws="auto"` and permessage-deflate, as somebody who sets nothing has it."""
    async with serving(KeepAlive(every_s=0.05), ws="auto", ws_per_message_deflate=True, lifespan="on") as url:
        async with opened(url + PATH, compression="deflate") as line:
            assert [ping["seq"] for ping in await pinged(line, 3)] == [0, 1, 2]


async def test_around_an_app_everything_else_goes_to_the_app() -> None:
    async with serving(around_plain_asgi(KeepAlive())) as url, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(url.replace("ws", "http", 1) + "/other")).status_code == 204
        assert (await http.get(url.replace("ws", "http", 1) + PATH)).status_code == 426


async def test_lines_close_with_1012_and_new_ones_are_refused_when_it_closes() -> None:
    keepalive = KeepAlive()
    async with serving(keepalive) as url, opened(url + PATH) as line:
        await heard(line)
        async with asyncio.timeout(1):
            await keepalive.close()
        assert await ended(line) == 1012
        assert keepalive.stats.lines == 0
        async with opened(url + PATH) as late:
            assert await ended(late) == 1012
        async with keepalive, opened(url + PATH) as again:
            assert (await heard(again))["seq"] == 0


class Frozen(asyncio.Protocol):
    """A client that opens a line and then reads nothing at all."""

    def connection_made(self, transport: Any) -> None:
        transport.pause_reading()
        transport.write(
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )


def stalls_after(app: Any, sends: int) -> Any:
    """Every second line's `send` never comes back after so many, as a full socket's does not."""
    number = itertools.count()

    async def stalling(scope: Any, receive: Any, send: Any) -> None:
        is_stalled, sent = next(number) % 2 == 0, itertools.count()

        async def slow(event: Any) -> None:
            if is_stalled and next(sent) >= sends:
                await asyncio.get_running_loop().create_future()
            await send(event)

        await app(scope, receive, slow)

    return stalling


async def test_a_client_that_does_not_read_delays_nobody_and_is_dropped() -> None:
    keepalive = KeepAlive(every_s=0.1)
    async with serving(stalls_after(keepalive, 3)) as url:
        async with opened(url + PATH) as frozen, opened(url + PATH) as line:
            assert [ping["seq"] for ping in await pinged(line, 8)] == list(range(8))
            await until(lambda: keepalive.stats.stuck == 1)
            assert await ended(frozen) is not None
            await until(lambda: keepalive.stats.lines == 1)


async def test_a_full_socket_is_such_a_client() -> None:
    """A client floods with pings and reads no pong: its buffers fill, and then its line goes."""
    keepalive = KeepAlive(every_s=0.2)
    async with serving(keepalive) as url:
        port = int(url.rpartition(":")[2])
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", port))
        transport, _ = await loop.create_connection(Frozen, sock=client)
        ping = b'{"type":"ping","seq":%d}' % 10**99
        frame = b"\x81" + bytes([0x80 | 126]) + len(ping).to_bytes(2, "big") + bytes(4) + ping
        await until(lambda: keepalive.stats.lines == 1)
        async with asyncio.timeout(30):
            while keepalive.stats.stuck == 0 and keepalive.stats.skipped == 0:
                if transport.get_write_buffer_size() < 2**16:
                    transport.write(frame * 500)
                await asyncio.sleep(0)
        await until(lambda: keepalive.stats.lines == 0)
        assert keepalive.stats.stuck == 1
        transport.abort()


async def test_a_client_that_never_pauses_leaves_the_others_their_turn() -> None:
    """A server that always has a message ready: without turns in between, this loop would stand still for ever."""
    keepalive = KeepAlive()
    is_over = False

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.disconnect", "code": 1000} if is_over else {"type": "websocket.receive", "text": "x"}

    async def send(event: Any) -> None:
        pass

    line = asyncio.create_task(keepalive({"type": "websocket", "headers": []}, receive, send))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not line.done()
    is_over = True
    await line
    assert 100 < keepalive.stats.ignored < 10_000


async def test_fifty_times_open_and_close_leaves_nothing_behind() -> None:
    keepalive = KeepAlive(every_s=0.05)
    async with serving(keepalive) as url:
        before = len(asyncio.all_tasks())
        for _ in range(50):
            async with opened(url + PATH) as line:
                await heard(line)
        await until(lambda: keepalive.stats.lines == 0)
        await until(lambda: len(asyncio.all_tasks()) == before)
        assert keepalive._tickers == {}
        assert keepalive.stats == Stats(connected=50, disconnected=50, beats=keepalive.stats.beats)


async def test_a_client_that_is_cut_off_is_forgotten() -> None:
    keepalive = KeepAlive(every_s=0.05)
    async with serving(keepalive) as url:
        line = await opened(url + PATH)
        await heard(line)
        line.transport.abort()
        await until(lambda: keepalive.stats.lines == 0)
        assert keepalive.stats.disconnected == 1


async def test_the_log_says_what_a_person_greps_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="everwake.keepalive")
    keepalive = KeepAlive(every_s=0.05)
    async with serving(keepalive) as url:
        async with opened(url + PATH) as line:
            await heard(line)
            await line.send('{"type":"pong","seq":0}')
            await until(lambda: keepalive.stats.heard == 1)
        await until(lambda: keepalive.stats.lines == 0)
    said = [record.getMessage() for record in caplog.records if record.name == "everwake.keepalive"]
    assert said == [
        "Keep-alive WebSocket connected (1 open)",
        "Keep-alive heartbeat received",
        "Keep-alive WebSocket disconnected (code 1000, 0 open)",
    ]
    assert {record.levelname for record in caplog.records if record.name == "everwake.keepalive"} == {"INFO"}
