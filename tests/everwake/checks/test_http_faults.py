"""Each way a server can misbehave gives its own kind of failure, in its own phase, in its own time, and memory stays flat."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import psutil
import pytest

from everwake.checks import Checks, http
from everwake.model import FailureKind, Observation, Phase
from tests.support import faulty
from tests.support.faulty import Authority, serve

# Short limits, given as arguments; what is not meant to run out is far away.
LIMIT_S = 0.4
PATIENT = {"connect_s": 10.0, "transfer_s": 10.0}


@dataclass(frozen=True)
class Fault:
    """One misbehaviour. limits: of the spec.   after_s: the earliest it may be said."""

    name: str
    handler: faulty.Handler
    kind: FailureKind
    phase: Phase
    limits: dict[str, Any] = field(default_factory=dict)
    after_s: float = 0.0
    status: int | None = None


FAULTS = [
    Fault(
        "silent before the first byte", faulty.never_says_anything, FailureKind.TIMEOUT, Phase.FIRST_BYTE,
        {"first_byte_s": LIMIT_S}, LIMIT_S,
    ),
    Fault(
        "headers that never end", faulty.never_ends_its_headers, FailureKind.TIMEOUT, Phase.TRANSFER,
        {"transfer_s": LIMIT_S}, LIMIT_S,
    ),
    Fault(
        "stall in the body", faulty.stalls_in_the_body, FailureKind.TIMEOUT, Phase.TRANSFER,
        {"transfer_s": LIMIT_S}, LIMIT_S, 200,
    ),
    Fault(
        "one byte at a time", faulty.drip(0.05), FailureKind.TIMEOUT, Phase.TRANSFER,
        {"transfer_s": LIMIT_S}, LIMIT_S, 200,
    ),
    Fault(
        "one byte a second", faulty.drip(1.0), FailureKind.TIMEOUT, Phase.TRANSFER, {"transfer_s": LIMIT_S}, LIMIT_S, 200,
    ),
    Fault(
        "headers one byte at a time", faulty.drip_headers(0.05), FailureKind.TIMEOUT, Phase.TRANSFER,
        {"transfer_s": LIMIT_S}, LIMIT_S,
    ),
    Fault("accepts and hangs up", faulty.hangs_up_without_a_word, FailureKind.CLOSED_EARLY, Phase.FIRST_BYTE),
    Fault("reset after the request", faulty.resets_after_the_request, FailureKind.RESET, Phase.FIRST_BYTE),
    Fault("hangs up in the body", faulty.hangs_up_in_the_body, FailureKind.CLOSED_EARLY, Phase.TRANSFER, status=200),
    Fault("hangs up in a chunk", faulty.hangs_up_in_a_chunk, FailureKind.CLOSED_EARLY, Phase.TRANSFER, status=200),
    Fault("10 GB", faulty.too_much(10_000_000_000), FailureKind.TOO_LARGE, Phase.TRANSFER, status=200),
    Fault(
        "10 GB, declared", faulty.too_much(10_000_000_000, declared=True), FailureKind.TOO_LARGE, Phase.TRANSFER,
        status=200,
    ),
    Fault(
        "10 GB in chunks", faulty.too_much(10_000_000_000, chunked=True), FailureKind.TOO_LARGE, Phase.TRANSFER,
        status=200,
    ),
    Fault("gzip bomb", faulty.bomb(10_000_000_000), FailureKind.TOO_LARGE, Phase.TRANSFER, status=200),
    Fault("deflate bomb", faulty.bomb(10_000_000_000, "deflate"), FailureKind.TOO_LARGE, Phase.TRANSFER, status=200),
    Fault("10,000 headers", faulty.many_headers(10_000), FailureKind.HEADERS_TOO_LARGE, Phase.TRANSFER),
    Fault("a header without an end", faulty.endless_header, FailureKind.HEADERS_TOO_LARGE, Phase.TRANSFER),
    Fault("headers without an end", faulty.endless_headers, FailureKind.HEADERS_TOO_LARGE, Phase.TRANSFER),
    Fault("bad chunk", faulty.raw(faulty.BAD_CHUNK), FailureKind.BAD_PROTOCOL, Phase.TRANSFER, status=200),
    Fault("bad gzip", faulty.raw(faulty.BAD_GZIP), FailureKind.BAD_ENCODING, Phase.TRANSFER, status=200),
    Fault(
        "an encoding nobody knows", faulty.raw(faulty.UNKNOWN_ENCODING), FailureKind.BAD_ENCODING, Phase.TRANSFER,
        status=200,
    ),
    Fault("not HTTP", faulty.raw(faulty.NOT_HTTP), FailureKind.BAD_PROTOCOL, Phase.FIRST_BYTE),
    Fault("a length that is no number", faulty.raw(faulty.BAD_LENGTH), FailureKind.BAD_PROTOCOL, Phase.TRANSFER),
    Fault(
        "redirects in a circle", faulty.goes_in_a_circle, FailureKind.TOO_MANY_REDIRECTS, Phase.TRANSFER, status=302
    ),
    Fault("redirect to a file", faulty.redirects_to("file:///etc/passwd"), FailureKind.BAD_PROTOCOL, Phase.TRANSFER),
    Fault("redirect to nowhere", faulty.redirects_to("http://:bad:/"), FailureKind.BAD_PROTOCOL, Phase.TRANSFER),
]  # fmt: skip


async def look(checks: Checks, url: str, timeout_s: float = 10.0, **settings: Any) -> Observation:
    spec = http.Spec(url=url, **{**PATIENT, **settings})
    return await checks.run(http.KIND, spec, service="chatbot", timeout_s=timeout_s)


def failed(seen: Observation) -> tuple[FailureKind, Phase]:
    assert seen.failure is not None, seen
    return seen.failure.kind, seen.failure.phase


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_each_misbehaviour_has_its_own_failure_in_its_own_time(checks: Checks, fault: Fault) -> None:
    async with serve(fault.handler) as server:
        seen = await look(checks, server.url, **fault.limits)
    assert failed(seen) == (fault.kind, fault.phase), seen
    if fault.status is not None:
        assert seen.status == fault.status
    # The sweep for phase limits runs five times a second; everything else is said at once.
    assert fault.after_s - 0.01 <= seen.took_s < fault.after_s + (1.5 if fault.after_s else 3.0), seen
    assert server.sent_bytes < 30_000_000


async def test_a_refused_connection_is_said_at_once(checks: Checks) -> None:
    with faulty.refusing_port() as port:
        seen = await look(checks, f"http://127.0.0.1:{port}/")
    assert failed(seen) == (FailureKind.REFUSED, Phase.CONNECT)
    assert seen.took_s < 1
    assert seen.status is None


async def test_a_server_that_hangs_up_before_it_was_asked_is_seen_as_such(checks: Checks) -> None:
    async with serve(faulty.hangs_up_at_once) as server:
        seen = await look(checks, server.url)
    # The request meets a closed socket: whether that is an end or a reset is the kernel's race.
    assert failed(seen)[0] in (FailureKind.CLOSED_EARLY, FailureKind.RESET)
    assert seen.took_s < 1


async def test_packets_that_nobody_answers_run_out_of_the_time_for_connecting(checks: Checks) -> None:
    with faulty.port_with_a_full_queue() as port:
        seen = await look(checks, f"http://127.0.0.1:{port}/", connect_s=LIMIT_S)
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.CONNECT)
    assert LIMIT_S - 0.01 <= seen.took_s < LIMIT_S + 1
    assert seen.phases[Phase.CONNECT] == pytest.approx(seen.took_s, abs=0.1)


async def test_the_deadline_of_the_look_bounds_every_phase(checks: Checks) -> None:
    async with serve(faulty.stalls_in_the_body) as server:
        seen = await look(checks, server.url, timeout_s=LIMIT_S)
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.TRANSFER)
    assert LIMIT_S - 0.01 <= seen.took_s < LIMIT_S + 0.5


async def test_a_server_that_drips_for_long_is_ended_by_the_deadline(checks: Checks) -> None:
    async with serve(faulty.drip(0.02)) as server:
        seen = await look(checks, server.url, timeout_s=LIMIT_S, transfer_s=600.0)
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.TRANSFER)
    assert seen.excerpt.startswith("....")


# --- TLS --------------------------------------------------------------------------------------------------------------

GOOD = faulty.says()


@pytest.mark.parametrize(
    ("name", "ends_in", "kind"),
    [
        ("another.example", None, FailureKind.CERTIFICATE_WRONG_HOST),
        ("127.0.0.1", timedelta(days=-1), FailureKind.CERTIFICATE_EXPIRED),
        # Wrong twice: the name is what libcurl says.
        ("another.example", timedelta(days=-1), FailureKind.CERTIFICATE_WRONG_HOST),
    ],
)
async def test_a_wrong_certificate_says_what_is_wrong_with_it(
    checks: Checks, authority: Authority, name: str, ends_in: timedelta | None, kind: FailureKind
) -> None:
    async with serve(GOOD, authority.context(name, ends_in=ends_in)) as server:
        seen = await look(checks, server.secure_url, ca_file=str(authority.path))
    assert failed(seen) == (kind, Phase.TLS)
    assert seen.status is None


async def test_a_certificate_of_an_unknown_authority_is_not_trusted(checks: Checks, authority: Authority) -> None:
    async with serve(GOOD, authority.context()) as server:
        seen = await look(checks, server.secure_url)
    assert failed(seen) == (FailureKind.CERTIFICATE_UNTRUSTED, Phase.TLS)


async def test_a_certificate_that_is_over_is_called_that_whoever_signed_it(
    checks: Checks, authority: Authority
) -> None:
    async with serve(GOOD, authority.context(ends_in=timedelta(days=-3))) as server:
        seen = await look(checks, server.secure_url)
    assert failed(seen) == (FailureKind.CERTIFICATE_EXPIRED, Phase.TLS)


async def test_a_handshake_that_is_never_answered_runs_out_of_time(checks: Checks) -> None:
    async with serve(faulty.never_says_anything) as server:
        seen = await look(checks, server.secure_url, connect_s=LIMIT_S)
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.TLS)
    assert LIMIT_S - 0.01 <= seen.took_s < LIMIT_S + 1


@pytest.mark.parametrize("handler", [faulty.speaks_plainly, faulty.hangs_up_in_the_handshake])
async def test_a_handshake_that_breaks_is_a_failure_of_tls(checks: Checks, handler: faulty.Handler) -> None:
    async with serve(handler) as server:
        seen = await look(checks, server.secure_url)
    assert failed(seen) == (FailureKind.TLS_FAILED, Phase.TLS)


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def memory_mib() -> Callable[[], float]:
    process = psutil.Process()

    def resident() -> float:
        gc.collect()
        return float(process.memory_info().rss) / 1_048_576

    return resident


@pytest.mark.parametrize(
    "fault",
    [fault for fault in FAULTS if "10 GB" in fault.name or "bomb" in fault.name or "header" in fault.name],
    ids=lambda fault: fault.name,
)
async def test_memory_stays_flat_whatever_is_sent(checks: Checks, fault: Fault, memory_mib: Any) -> None:
    limits = {**fault.limits, "transfer_s": 1.0} if fault.after_s else fault.limits
    async with serve(fault.handler) as server:
        await look(checks, server.url, **limits)
        before = memory_mib()
        await asyncio.gather(*(look(checks, server.url, **limits) for _ in range(10)))
        after = memory_mib()
    # Ten at a time: bodies of 2 MiB could be 20, of what was sent it would be gigabytes. Nothing is kept beyond 8 KiB each.
    assert after - before < 15


async def test_what_is_kept_for_expectations_is_bounded_too(checks: Checks) -> None:
    spec_limit = 65_536
    async with serve(faulty.bomb(1_000_000_000)) as server:
        seen = await look(
            checks, server.url, body_limit_bytes=spec_limit, expect=replace(http.Spec().expect, text="never")
        )
    assert failed(seen) == (FailureKind.TOO_LARGE, Phase.TRANSFER)
    assert len(seen.excerpt) <= 2_000
