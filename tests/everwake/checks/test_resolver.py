"""Resolvers that say no, that answer with nonsense, and that never answer: seen from a network that has no other."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support import faulty
from tests.support.faulty import Network

# Answers every question with one response code (RFC 1035 section 4.1.1), or with nothing at all.
_RESOLVER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[1], 53))
    print(53, flush=True)
    code = sys.stdin.readline().strip()
    while True:
        question, client = server.recvfrom(512)
        if code.isdigit():
            flags = bytes([0x81, 0x80 | int(code)])
            server.sendto(question[:2] + flags + question[4:6] + bytes(6) + question[12:], client)
"""

_LOOK = """
import asyncio, json, sys
from everwake.checks import Checks, dns, http, tcp
from everwake.clock import SystemClock

async def main():
    async with Checks(SystemClock()) as checks:
        name = "service.example"
        for kind, spec in (
            (http.KIND, http.Spec(url=f"http://{name}/", connect_s=float(sys.argv[1]))),
            (tcp.KIND, tcp.Spec(host=name, port=80)),
            (dns.KIND, dns.Spec(name=name)),
        ):
            seen = await checks.run(kind, spec, service="chatbot", timeout_s=float(sys.argv[2]))
            print(json.dumps([kind.name, seen.failure.kind, seen.failure.phase, seen.took_s]), flush=True)

asyncio.run(main())
"""


@pytest.fixture
def net() -> Iterator[Network]:
    with faulty.network() as made:
        yield made


def look(net: Network, connect_s: float, timeout_s: float) -> list[tuple[str, str, str, float]]:
    """What http, tcp and dns say of a name, looked at from inside that network."""
    argv = [*net.within, sys.executable, "-c", _LOOK, str(connect_s), str(timeout_s)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_a_name_that_does_not_exist_is_told_from_a_resolver_in_trouble(net: Network) -> None:
    for code, kind in (("3", "dns_no_such_name"), ("2", "dns_failed")):
        with net.names_asked_at("127.0.0.1"), faulty.process(source=_RESOLVER, within=net.within) as resolver:
            resolver.go_on(code)
            seen = look(net, 10, 10)
        assert [(kind, phase) for _, kind, phase, _ in seen] == [(kind, "dns")] * 3, code


def test_a_resolver_that_never_answers_runs_out_of_time_or_fails_in_the_phase_of_names(net: Network) -> None:
    with net.names_asked_at("127.0.0.1"), faulty.process(source=_RESOLVER, within=net.within) as resolver:
        resolver.go_on("silent")
        seen = look(net, 0.3, 0.3)
    for name, kind, phase, took_s in seen:
        assert (kind, phase) == ("timeout", "dns"), name
        assert 0.29 <= took_s < 1.0, name
