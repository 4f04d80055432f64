"""Lines that are there and carry nothing: a frozen process, and a network whose packets vanish."""

import asyncio

from everwake.checks import Checks, http, tcp
from everwake.model import FailureKind, Observation, Phase
from tests.support import faulty

LIMIT_S = 0.4

# Sends half an answer, says so, and sends the rest when it is told to.
_HALF_AN_ANSWER = """
import socket, sys
listener = socket.create_server((sys.argv[1], 0))
print(listener.getsockname()[1], flush=True)
line, _ = listener.accept()
line.recv(65536)
line.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 8\\r\\n\\r\\nhalf")
print("half", flush=True)
sys.stdin.readline()
line.sendall(b"more")
line.recv(65536)
"""


async def look(checks: Checks, host: str, port: int, **limits: float) -> Observation:
    spec = http.Spec(url=f"http://{host}:{port}/", **limits)  # type: ignore[arg-type]
    return await checks.run(http.KIND, spec, service="chatbot", timeout_s=5.0)


def failed(seen: Observation) -> tuple[FailureKind, Phase] | None:
    return None if seen.failure is None else (seen.failure.kind, seen.failure.phase)


async def test_a_frozen_process_accepts_and_never_answers_and_is_well_again_when_thawed(checks: Checks) -> None:
    with faulty.process() as server:
        assert failed(await look(checks, server.host, server.port)) is None
        server.freeze()
        seen = await look(checks, server.host, server.port, first_byte_s=LIMIT_S)
        assert failed(seen) == (FailureKind.TIMEOUT, Phase.FIRST_BYTE)
        assert LIMIT_S - 0.01 <= seen.took_s < LIMIT_S + 1
        server.thaw()
        assert failed(await look(checks, server.host, server.port)) is None


async def test_dropped_packets_run_out_of_the_time_for_connecting(checks: Checks) -> None:
    with faulty.network() as net, faulty.process(net.host, within=net.within) as server:
        assert failed(await look(checks, server.host, server.port)) is None
        net.drop_packets()
        seen = await look(checks, server.host, server.port, connect_s=LIMIT_S)
        assert failed(seen) == (FailureKind.TIMEOUT, Phase.CONNECT)
        assert LIMIT_S - 0.01 <= seen.took_s < LIMIT_S + 1
        plain = await checks.run(
            tcp.KIND, tcp.Spec(host=net.host, port=server.port), service="chatbot", timeout_s=LIMIT_S
        )
        assert failed(plain) == (FailureKind.TIMEOUT, Phase.CONNECT)
        net.let_packets_pass()
        assert failed(await look(checks, server.host, server.port)) is None


async def test_packets_that_vanish_in_the_middle_of_an_answer_run_out_of_the_time_for_the_rest(checks: Checks) -> None:
    with faulty.network() as net, faulty.process(net.host, source=_HALF_AN_ANSWER, within=net.within) as server:
        looking = asyncio.create_task(look(checks, server.host, server.port, transfer_s=1.0))
        assert await asyncio.to_thread(server.says) == "half"
        net.drop_packets()
        server.go_on()
        seen = await looking
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.TRANSFER)
    assert seen.excerpt == "half"
    assert 0.99 <= seen.took_s < 2.0


async def test_a_host_without_a_route_is_told_from_one_that_is_silent(checks: Checks) -> None:
    with faulty.network() as net, net.without_route():
        seen = await look(checks, net.host, 80)
        plain = await checks.run(tcp.KIND, tcp.Spec(host=net.host, port=80), service="chatbot", timeout_s=5.0)
    assert failed(seen) == (FailureKind.NO_ROUTE, Phase.CONNECT)
    assert failed(plain) == (FailureKind.NO_ROUTE, Phase.CONNECT)
