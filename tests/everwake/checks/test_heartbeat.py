"""The persistent line: beats both ways, and a drop, a silence, a refusal each said as what it is."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed

from everwake.checks import Checks, heartbeat
from everwake.checks._addresses import Dialer
from everwake.clock import SystemClock
from everwake.fleet.schema import Service
from everwake.model import Beat, BeatKind, FailureKind, Phase
from tests.support import faulty
from tests.support.faulty import serve

EVERY_S = 0.2
K = BeatKind

_BEATING = """
import asyncio, json, sys
from websockets.asyncio.server import serve
async def beats(line):
    seq = 0
    while True:
        await line.send(json.dumps({"type": "ping", "seq": seq}))
        seq += 1
        await asyncio.sleep(0.1)
async def main():
    async with serve(beats, sys.argv[1], 0, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""


class Hasty(SystemClock):
    """Does not wait before it calls again; everything else is real."""

    async def sleep(self, seconds: float) -> None:
        del seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def following(
    url: str, *, every_s: float = EVERY_S, allow_private: bool = True
) -> AsyncIterator[Callable[..., Awaitable[Beat]]]:
    """Gives a function that waits for the next beat, or for the next of a kind."""
    dialer = Dialer(allow_private=allow_private)
    spec = heartbeat.Spec(url=url, every_s=every_s, late_s=0.05)
    async with aclosing(heartbeat.follow(spec, "chatbot", dialer, Hasty())) as beats:

        async def next_of(*kinds: BeatKind) -> Beat:
            async with asyncio.timeout(10):
                async for beat in beats:
                    if not kinds or beat.kind in kinds:
                        return beat
            raise AssertionError("the line ended by itself")

        yield next_of
    dialer.close()


@asynccontextmanager
async def server(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve_websocket(handler, "127.0.0.1", 0, ping_interval=None) as running:
        yield f"ws://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}/ws/keepalive"


async def beats(line: ServerConnection) -> None:
    seq = 0
    try:
        while True:
            await line.send(json.dumps({"type": "ping", "seq": seq}))
            seq += 1
            await asyncio.sleep(0.05)
    except ConnectionClosed:
        pass


async def test_the_line_beats_and_every_beat_is_answered() -> None:
    answers: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    async def asks(line: ServerConnection) -> None:
        for seq in range(3):
            await line.send(json.dumps({"type": "ping", "seq": seq}))
            answers.put_nowait(json.loads(await line.recv()))
        await line.wait_closed()

    async with server(asks) as url, following(url) as next_of:
        first = await next_of()
        assert first.kind is K.CONNECTED
        assert first.service == "chatbot"
        assert first.took_s is not None
        for seq in range(3):
            beat = await next_of()
            assert (beat.kind, beat.failure) == (K.BEAT, None)
            answer = await asyncio.wait_for(answers.get(), 5)
            assert (answer["type"], answer["seq"]) == ("pong", seq)


async def test_a_line_that_the_server_closes_is_said_at_once_and_taken_up_again() -> None:
    async def closes(line: ServerConnection) -> None:
        await line.send('{"type":"ping","seq":0}')
        await line.close(1012, "the service restarts")

    async with server(closes) as url, following(url) as next_of:
        for _ in range(2):
            closed = await next_of(K.CLOSED)
            assert closed.code == 1012
            assert closed.failure is not None
            assert (closed.failure.kind, closed.failure.phase) == (FailureKind.LINE_CLOSED, Phase.BEAT)
            again = await next_of()
            assert again.kind is K.RECONNECTING
            assert again.again_s is not None
            assert 0 < again.again_s <= 60
            assert (await next_of()).kind is K.CONNECTED


async def test_a_beat_that_came_late_is_told_from_one_in_time() -> None:
    go_on = asyncio.Event()

    async def dawdles(line: ServerConnection) -> None:
        for n in (0, 1):
            await line.send(f'{{"type":"ping","seq":{n}}}')
            assert json.loads(await line.recv())["type"] == "pong"
        # The client asks by itself when a beat is late; then the beat comes.
        assert json.loads(await line.recv())["type"] == "ping"
        await line.send('{"type":"ping","seq":2}')
        await go_on.wait()

    async with server(dawdles) as url, following(url, every_s=1.0) as next_of:
        for _ in range(2):
            assert (await next_of(K.BEAT, K.LATE)).kind is K.BEAT
        late = await next_of(K.BEAT, K.LATE)
        assert late.kind is K.LATE
        assert late.took_s is not None
        assert late.took_s > 1.0
        go_on.set()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL: run it on Linux or macOS")
async def test_a_killed_service_is_seen_at_once() -> None:
    with faulty.process(source=_BEATING) as target:
        async with following(f"ws://127.0.0.1:{target.port}/") as next_of:
            await next_of(K.BEAT)
            target.child.kill()
            killed_s = time.monotonic()
            closed = await next_of(K.CLOSED)
            assert time.monotonic() - killed_s < 0.5
            assert closed.code == 1006
            # A process that dies closes its line before it stops listening, so a first call may still get through.
            failures = {(await next_of(K.FAILED)).failure for _ in range(5)}
            assert (FailureKind.REFUSED, Phase.CONNECT) in {
                (failure.kind, failure.phase) for failure in failures if failure
            }


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP: run it on Linux or macOS")
async def test_a_frozen_service_misses_its_beats_and_the_line_is_given_up() -> None:
    with faulty.process(source=_BEATING) as target:
        async with following(f"ws://127.0.0.1:{target.port}/") as next_of:
            await next_of(K.BEAT)
            target.freeze()
            frozen_s = time.monotonic()
            missed = await next_of(K.MISSED)
            assert missed.failure is not None
            assert missed.failure.kind is FailureKind.BEAT_MISSED
            # A beat and a half after the last one that came.
            assert time.monotonic() - frozen_s < 1.5 * EVERY_S + 0.3
            closed = await next_of(K.CLOSED)
            assert closed.failure is not None
            assert closed.failure.kind is FailureKind.BEAT_MISSED


async def test_packets_that_vanish_are_missed_beats() -> None:
    with faulty.network() as net, faulty.process(net.host, source=_BEATING, within=net.within) as target:
        async with following(f"ws://{net.host}:{target.port}/") as next_of:
            await next_of(K.BEAT)
            net.drop_packets()
            assert (await next_of(K.MISSED)).kind is K.MISSED
            closed = await next_of(K.CLOSED)
            assert closed.failure is not None
            assert closed.failure.kind is FailureKind.BEAT_MISSED
            net.let_packets_pass()


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (faulty.says(status="404 Not Found"), FailureKind.LINE_REJECTED),
        (faulty.says(status="200 OK"), FailureKind.LINE_REJECTED),
        (faulty.raw(faulty.NOT_HTTP), FailureKind.BAD_PROTOCOL),
        (faulty.hangs_up_without_a_word, FailureKind.CLOSED_EARLY),
        # The library reads a reset as the end.
        (faulty.resets_after_the_request, FailureKind.CLOSED_EARLY),
        (faulty.many_headers(10_000), FailureKind.HEADERS_TOO_LARGE),
        (faulty.goes_in_a_circle, FailureKind.TOO_MANY_REDIRECTS),
    ],
)
async def test_an_upgrade_that_fails_says_how(handler: faulty.Handler, kind: FailureKind) -> None:
    async with serve(handler) as target, following(f"ws://127.0.0.1:{target.port}/") as next_of:
        failed = await next_of()
        assert failed.kind is K.FAILED
        assert failed.failure is not None
        assert (failed.failure.kind, failed.failure.phase) == (kind, Phase.UPGRADE)
        assert (await next_of()).kind is K.RECONNECTING


async def test_a_private_address_that_the_fleet_forbids_is_not_called() -> None:
    async with serve(faulty.says()) as target:
        async with following(f"ws://localhost:{target.port}/", allow_private=False) as next_of:
            failed = await next_of()
            assert failed.kind is K.FAILED
            assert failed.failure is not None
            assert failed.failure.kind is FailureKind.ADDRESS_REFUSED
            assert (await next_of()).kind is K.RECONNECTING
        assert target.connections == 0


async def test_closing_the_generator_hangs_up(checks: Checks) -> None:
    gone = asyncio.Event()

    async def waits(line: ServerConnection) -> None:
        await beats(line)
        gone.set()

    async with server(waits) as url:
        service = Service(
            name="chatbot", url=url.replace("ws", "http", 1).removesuffix("/ws/keepalive"), heartbeat="/ws/keepalive"
        )
        async with aclosing(checks.follow(service)) as line:
            async for beat in line:
                if beat.kind is K.BEAT:
                    break
        await asyncio.wait_for(gone.wait(), 5)
