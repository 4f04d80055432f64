"""tcp, tls and dns: what each says of a good target and of each bad one."""

import socket
from datetime import timedelta

import pytest

from everwake.checks import Checks, dns, tcp, tls
from everwake.model import FailureKind, Observation, Phase
from tests.support import faulty
from tests.support.faulty import Authority, serve


def failed(seen: Observation) -> tuple[FailureKind, Phase] | None:
    return None if seen.failure is None else (seen.failure.kind, seen.failure.phase)


async def test_a_port_that_accepts_is_good(checks: Checks) -> None:
    async with serve(faulty.never_says_anything) as server:
        spec = tcp.Spec(host="localhost", port=server.port)
        seen = await checks.run(tcp.KIND, spec, service="db", timeout_s=5)
    assert failed(seen) is None
    assert list(seen.phases) == [Phase.DNS, Phase.CONNECT]


async def test_packets_that_nobody_answers_are_a_timeout(checks: Checks) -> None:
    with faulty.port_with_a_full_queue() as port:
        seen = await checks.run(tcp.KIND, tcp.Spec(host="127.0.0.1", port=port), service="db", timeout_s=0.3)
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.CONNECT)
    assert 0.29 <= seen.took_s < 1


# --- tls --------------------------------------------------------------------------------------------------------------


async def shake(checks: Checks, port: int, authority: Authority | None, days_left: int = 14) -> Observation:
    ca_file = None if authority is None else str(authority.path)
    spec = tls.Spec(host="127.0.0.1", port=port, ca_file=ca_file, days_left=days_left)
    return await checks.run(tls.KIND, spec, service="db", timeout_s=5)


@pytest.mark.parametrize(
    ("name", "ends_in_days", "kind"),
    [
        ("127.0.0.1", 30, None),
        ("127.0.0.1", 10, FailureKind.CERTIFICATE_EXPIRING),
        ("127.0.0.1", -1, FailureKind.CERTIFICATE_EXPIRED),
        ("another.example", 30, FailureKind.CERTIFICATE_WRONG_HOST),
    ],
)
async def test_a_certificate_is_judged_by_name_and_date(
    checks: Checks, authority: Authority, name: str, ends_in_days: int, kind: FailureKind | None
) -> None:
    context = authority.context(name, ends_in=timedelta(days=ends_in_days, hours=1))
    async with serve(faulty.never_says_anything, context) as server:
        seen = await shake(checks, server.port, authority)
    assert (seen.failure and seen.failure.kind) is kind
    if kind in (None, FailureKind.CERTIFICATE_EXPIRING):
        assert seen.certificate_expires_at is not None
        assert (seen.certificate_expires_at - seen.at).days == ends_in_days
        assert seen.phases[Phase.TLS] > 0


async def test_an_authority_nobody_knows_is_not_trusted(checks: Checks, authority: Authority) -> None:
    async with serve(faulty.never_says_anything, authority.context()) as server:
        seen = await shake(checks, server.port, None)
    assert failed(seen) == (FailureKind.CERTIFICATE_UNTRUSTED, Phase.TLS)


@pytest.mark.parametrize("handler", [faulty.speaks_plainly, faulty.hangs_up_in_the_handshake])
async def test_a_broken_handshake_is_a_failure_of_tls(checks: Checks, handler: faulty.Handler) -> None:
    async with serve(handler) as server:
        seen = await shake(checks, server.port, None)
    assert seen.failure is not None
    assert seen.failure.phase is Phase.TLS
    assert seen.failure.kind in (FailureKind.TLS_FAILED, FailureKind.RESET)


# --- dns --------------------------------------------------------------------------------------------------------------


async def resolve(checks: Checks, **settings: object) -> Observation:
    return await checks.run(dns.KIND, dns.Spec(**settings), service="db", timeout_s=5)  # type: ignore[arg-type]


async def test_a_name_resolves_to_the_expected_addresses(checks: Checks) -> None:
    seen = await resolve(checks, name="localhost", family="ipv4", addresses=("127.0.0.1",))
    assert failed(seen) is None
    assert seen.excerpt == "127.0.0.1"
    assert list(seen.phases) == [Phase.DNS]


async def test_an_address_that_is_missing_is_an_answer_that_is_not_expected(checks: Checks) -> None:
    seen = await resolve(checks, name="localhost", addresses=("127.0.0.1", "192.0.2.7"))
    assert failed(seen) == (FailureKind.ANSWER, Phase.EXPECT)
    assert seen.failure is not None
    assert "192.0.2.7" in seen.failure.detail


async def test_a_name_without_an_address_of_the_wanted_family_does_not_exist_there(checks: Checks) -> None:
    seen = await resolve(checks, name="127.0.0.1", family="ipv6")
    assert failed(seen) == (FailureKind.DNS_NO_SUCH_NAME, Phase.DNS)


@pytest.mark.parametrize("name", ["a..b", "x" * 300, "does-not-exist.invalid"])
async def test_a_name_that_cannot_be_resolved_is_a_failure_of_names(checks: Checks, name: str) -> None:
    seen = await resolve(checks, name=name)
    assert seen.failure is not None
    assert seen.failure.phase is Phase.DNS
    # Which of both depends on whether the machine's resolver answers at all.
    assert seen.failure.kind in (FailureKind.DNS_NO_SUCH_NAME, FailureKind.DNS_FAILED)


def test_the_system_calls_a_name_that_cannot_be_one_unknown() -> None:
    with pytest.raises((socket.gaierror, UnicodeError)):
        socket.getaddrinfo("a..b", 80)
