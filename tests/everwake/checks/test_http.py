"""What one HTTP look sees: phases, status, chosen headers, a bounded excerpt, the certificate, redirects."""

import gzip
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from everwake.checks import Checks, http
from everwake.clock import SystemClock
from everwake.fleet.schema import Expect, Secret, Service
from everwake.model import FailureKind, Observation, Phase
from tests.support import faulty
from tests.support.faulty import Authority, serve


async def look(checks: Checks, spec: http.Spec, timeout_s: float = 5.0) -> Observation:
    return await checks.run(http.KIND, spec, service="chatbot", timeout_s=timeout_s)


async def test_a_good_answer_is_an_observation_without_failure(checks: Checks) -> None:
    headers = ("Server: uvicorn", "X-Render-Origin-Server: Render", "Set-Cookie: secret", "X-Twice: a", "X-Twice: b")
    async with serve(faulty.says(headers=headers)) as server:
        before = datetime.now(UTC)
        seen = await look(checks, http.Spec(url=f"{server.url}/health", expect=Expect(json={"status": "healthy"})))
    assert seen.failure is None
    assert seen.status == 200
    assert seen.headers == {"server": "uvicorn", "x-render-origin-server": "Render", "x-twice": "a, b"}
    assert seen.excerpt == '{"status":"healthy"}'
    assert before <= seen.at <= datetime.now(UTC)
    assert list(seen.phases) == [Phase.DNS, Phase.CONNECT, Phase.FIRST_BYTE, Phase.TRANSFER]
    assert all(lasted_s >= 0 for lasted_s in seen.phases.values())
    assert sum(seen.phases.values()) <= seen.took_s


async def test_it_asks_once_for_json_and_says_who_asks(checks: Checks) -> None:
    async with serve(faulty.says()) as server:
        await look(
            checks, http.Spec(url=f"{server.url}/health?a=b", headers={"Authorization": Secret("Bearer x", "env T")})
        )
        await look(checks, http.Spec(url=server.url, headers={"Accept": "text/plain"}))
        first, second = (request.decode() for request in server.requests)
    assert first.startswith("GET /health?a=b HTTP/1.1\r\n")
    assert "\r\nAccept: application/json\r\n" in first
    assert "\r\nUser-Agent: everwake/" in first
    assert "\r\nAuthorization: Bearer x\r\n" in first
    assert "\r\nAccept: text/plain\r\n" in second
    assert "application/json" not in second


async def test_a_line_break_in_a_header_does_not_begin_another(checks: Checks) -> None:
    async with serve(faulty.says()) as server:
        await look(checks, http.Spec(url=server.url, headers={"X-A": "1\r\nX-B: 2\nX-C: 3"}))
        assert b"\r\nX-A: 1" in server.requests[0]
        assert b"\nX-B" not in server.requests[0]
        assert b"\nX-C" not in server.requests[0]


async def test_every_look_has_a_connection_of_its_own(checks: Checks) -> None:
    async with serve(faulty.says()) as server:
        for _ in range(5):
            await look(checks, http.Spec(url=server.url))
        assert server.connections == 5


async def test_where_the_time_went_is_told_phase_by_phase(checks: Checks) -> None:
    async with serve(faulty.says(delay_s=0.2)) as server:
        seen = await look(checks, http.Spec(url=server.url))
    assert seen.phases[Phase.FIRST_BYTE] == pytest.approx(0.2, abs=0.15)
    assert seen.phases[Phase.CONNECT] < 0.1
    assert seen.phases[Phase.TRANSFER] < 0.1


@pytest.mark.parametrize("status", ["503 Service Unavailable", "404 Not Found", "500 Oops"])
async def test_an_answer_that_is_not_good_keeps_what_tells_why(checks: Checks, status: str) -> None:
    headers = ("x-render-routing: suspend-by-user", "retry-after: 5")
    async with serve(faulty.says(b"<title>Service Suspended</title>", status=status, headers=headers)) as server:
        seen = await look(checks, http.Spec(url=server.url))
    assert seen.failure is not None
    assert (seen.failure.kind, seen.failure.phase) == (FailureKind.STATUS, Phase.EXPECT)
    assert seen.headers == {"x-render-routing": "suspend-by-user", "retry-after": "5"}
    assert "Suspended" in seen.excerpt
    assert seen.status == int(status[:3])


@pytest.mark.parametrize(
    "expect", [Expect(text="absent"), Expect(json={"a": 1}), Expect(headers={"a": "b"}), Expect(below_ms=0.001)]
)
async def test_each_expectation_has_its_own_kind(checks: Checks, expect: Expect) -> None:
    async with serve(faulty.says()) as server:
        seen = await look(checks, http.Spec(url=server.url, expect=expect))
    assert seen.failure is not None
    wanted = {"text": "text", "json": "json", "headers": "header", "below_ms": "slow"}
    (given,) = (name for name in wanted if getattr(expect, name))
    assert seen.failure.kind == wanted[given]


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compressed_bodies_are_read(checks: Checks, encoding: str, pack: object) -> None:
    body = pack(b'{"status":"healthy"}')  # type: ignore[operator]
    async with serve(faulty.says(body, headers=(f"content-encoding: {encoding}",))) as server:
        seen = await look(checks, http.Spec(url=server.url, expect=Expect(json={"status": "healthy"})))
    assert seen.failure is None
    assert seen.excerpt == '{"status":"healthy"}'


@pytest.mark.parametrize(
    "body", [b"x" * 500_000, "ü".encode() * 100_000, b"\xff\x00" * 10_000, b"\xf0\x9f\x98\x80" * 5_000], ids=len
)
async def test_the_excerpt_is_bounded_text_whatever_the_body_is(checks: Checks, body: bytes) -> None:
    async with serve(faulty.says(body)) as server:
        seen = await look(checks, http.Spec(url=server.url))
    assert seen.failure is None
    assert len(seen.excerpt) == 2_000
    assert "\x00" not in seen.excerpt


async def test_headers_kept_are_bounded_in_count_and_length(checks: Checks) -> None:
    headers = tuple(f"x-h{n}: {'v' * 2_000}" for n in range(100))
    async with serve(faulty.says(headers=headers)) as server:
        seen = await look(checks, http.Spec(url=server.url))
    assert seen.failure is None
    assert len(seen.headers) == 40
    assert max(map(len, seen.headers.values())) == 500


async def test_interim_answers_are_not_the_answer(checks: Checks) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nx-early: 1\r\n\r\nHTTP/1.1 200 OK\r\nx-late: 1\r\ncontent-length: 0\r\n\r\n"
    async with serve(faulty.raw(answer)) as server:
        seen = await look(checks, http.Spec(url=server.url))
    assert seen.failure is None
    assert (seen.status, seen.headers) == (200, {"x-late": "1"})


# --- redirects --------------------------------------------------------------------------------------------------------


async def test_redirects_are_followed_and_counted(checks: Checks) -> None:
    async with (
        serve(faulty.says(headers=("x-target: 1",))) as target,
        serve(faulty.redirects_to(f"{target.url}/x")) as server,
    ):
        seen = await look(checks, http.Spec(url=server.url))
    assert seen.failure is None
    assert (seen.status, seen.redirects, seen.headers) == (200, 1, {"x-target": "1"})


async def test_a_redirect_can_be_the_expected_answer(checks: Checks) -> None:
    async with serve(faulty.redirects_to("/elsewhere")) as server:
        seen = await look(checks, http.Spec(url=server.url, redirects=0, expect=Expect(status=(302,))))
    assert seen.failure is None
    assert seen.headers["location"] == "/elsewhere"


async def test_a_password_is_not_carried_to_another_host(checks: Checks) -> None:
    async with serve(faulty.says()) as target:
        elsewhere = target.url.replace("127.0.0.1", "localhost")
        async with serve(faulty.redirects_to(elsewhere)) as server:
            await look(checks, http.Spec(url=server.url, headers={"Authorization": Secret("Bearer x", "env T")}))
            assert b"Bearer" in server.requests[0]
        assert target.requests
        assert b"Bearer" not in target.requests[0]


async def test_a_redirect_to_a_port_that_refuses_is_a_failure_to_connect(checks: Checks) -> None:
    with faulty.refusing_port() as port:
        async with serve(faulty.redirects_to(f"http://127.0.0.1:{port}/")) as server:
            seen = await look(checks, http.Spec(url=server.url))
    assert seen.failure is not None
    assert (seen.failure.kind, seen.failure.phase) == (FailureKind.REFUSED, Phase.CONNECT)


async def test_every_hop_keeps_the_rule_on_private_addresses() -> None:
    """What is checked is the address that a connection is opened to, whatever name or redirect led there."""
    async with Checks(SystemClock(), allow_private=False) as checks, serve(faulty.says()) as server:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1"):
            seen = await look(checks, http.Spec(url=f"http://{host}:{server.port}/"))
            assert seen.failure is not None
            assert seen.failure.kind is FailureKind.ADDRESS_REFUSED, (host, seen)
            assert seen.failure.phase is Phase.CONNECT
        assert server.connections == 0


# --- TLS --------------------------------------------------------------------------------------------------------------


async def test_the_end_of_the_certificate_is_seen(checks: Checks, authority: Authority) -> None:
    context = authority.context(ends_in=timedelta(days=30))
    async with serve(faulty.says(), context) as server:
        seen = await look(checks, http.Spec(url=server.secure_url, ca_file=str(authority.path)))
    assert seen.failure is None
    assert seen.certificate_expires_at is not None
    assert timedelta(days=29) < seen.certificate_expires_at - datetime.now(UTC) <= timedelta(days=30)
    assert seen.phases[Phase.TLS] > 0


async def test_no_look_resumes_the_handshake_of_another(checks: Checks, authority: Authority) -> None:
    context = authority.context()
    resumed: list[bool] = []

    async def asks(line: faulty.Connection) -> None:
        resumed.append(line.writer.get_extra_info("ssl_object").session_reused)
        await faulty.says()(line)

    async with serve(asks, context) as server:
        for _ in range(3):
            seen = await look(checks, http.Spec(url=server.secure_url, ca_file=str(authority.path)))
            assert seen.failure is None
    assert resumed == [False, False, False]


# --- as the keeper looks ----------------------------------------------------------------------------------------------


async def test_a_service_is_looked_at_by_its_health_address(checks: Checks) -> None:
    async with serve(faulty.says()) as server:
        service = Service(name="chatbot", url=server.url, health="/live", expect=Expect(json={"status": "healthy"}))
        seen = await checks.look(service)
        assert server.requests[0].startswith(b"GET /live ")
    assert (seen.service, seen.check, seen.failure) == ("chatbot", "http", None)


async def test_the_look_that_wakes_is_one_get_with_patience(checks: Checks) -> None:
    async with serve(faulty.says(delay_s=0.5)) as server:
        service = Service(name="chatbot", url=server.url, timeout_s=0.2, expect=Expect(below_ms=100))
        hasty = await checks.look(service)
        patient = await checks.look(service, "http", 180.0)
        assert [request.split()[0] for request in server.requests] == [b"GET", b"GET"]
        assert b"Accept: application/json" in server.requests[1]
    assert hasty.failure is not None
    assert (hasty.failure.kind, hasty.failure.phase) == (FailureKind.TIMEOUT, Phase.FIRST_BYTE)
    # How long waking took is no fault.
    assert patient.failure is None


async def test_a_look_that_confirms_has_less_time_and_expects_the_same(checks: Checks) -> None:
    async with serve(faulty.says(delay_s=0.3)) as server:
        service = Service(name="chatbot", url=server.url, timeout_s=30.0, expect=Expect(below_ms=100))
        in_time = await checks.look(service, "http", 10.0)
        too_late = await checks.look(service, "http", 0.1)
    assert in_time.failure is not None
    assert too_late.failure is not None
    assert (in_time.failure.kind, too_late.failure.kind) == (FailureKind.SLOW, FailureKind.TIMEOUT)


async def test_a_url_that_libcurl_cannot_read_is_ours_and_not_the_targets(checks: Checks) -> None:
    seen = await look(checks, http.Spec(url="http://a\x00b/"))
    assert seen.failure is not None
    assert seen.failure.kind in (FailureKind.INTERNAL, FailureKind.BAD_PROTOCOL)


async def test_a_name_that_cannot_exist_is_a_failure_of_names(checks: Checks) -> None:
    seen = await look(checks, http.Spec(url="http://does-not-exist.invalid/"))
    assert seen.failure is not None
    # Which of both depends on whether the machine's resolver answers at all.
    assert seen.failure.kind in (FailureKind.DNS_NO_SUCH_NAME, FailureKind.DNS_FAILED)
    assert seen.failure.phase is Phase.DNS
