"""A real redis-server: with a password, with TLS, frozen; and servers that only look like one."""

from collections.abc import Iterator

import pytest

from everwake.checks import Checks, redis
from everwake.fleet.schema import Secret
from everwake.model import FailureKind, Observation, Phase
from tests.support import faulty
from tests.support.faulty import serve
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("secured"), password="pass word/@:", tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("plain")) as server:
        yield server


async def ping(checks: Checks, url: str, timeout_s: float = 5.0) -> Observation:
    spec = redis.Spec(url=Secret(url, "env REDIS_URL"))
    return await checks.run(redis.KIND, spec, service="redis", timeout_s=timeout_s)


def failed(seen: Observation) -> tuple[FailureKind, Phase] | None:
    return None if seen.failure is None else (seen.failure.kind, seen.failure.phase)


async def test_a_server_that_answers_ping_is_good(checks: Checks, plain: RedisServer) -> None:
    seen = await ping(checks, plain.url)
    assert failed(seen) is None
    assert list(seen.phases) == [Phase.DNS, Phase.CONNECT, Phase.COMMAND]


async def test_tls_and_a_password_are_verified(checks: Checks, secured: RedisServer) -> None:
    seen = await ping(checks, secured.url)
    assert failed(seen) is None
    assert list(seen.phases) == [Phase.DNS, Phase.CONNECT, Phase.TLS, Phase.LOGIN, Phase.COMMAND]


async def test_a_wrong_password_is_a_failure_to_log_in_and_is_not_repeated(
    checks: Checks, secured: RedisServer
) -> None:
    seen = await ping(checks, secured.url_with(password="letmein-please"))
    assert failed(seen) == (FailureKind.AUTH, Phase.LOGIN)
    assert "letmein" not in repr(seen)


async def test_a_missing_password_is_a_failure_to_log_in(checks: Checks, secured: RedisServer) -> None:
    url = secured.url.replace(secured.url.split("//")[1].split("@")[0] + "@", "")
    assert failed(await ping(checks, url)) == (FailureKind.AUTH, Phase.LOGIN)


async def test_an_authority_nobody_knows_is_not_trusted(checks: Checks, secured: RedisServer) -> None:
    seen = await ping(checks, secured.url_with(trusted=False))
    assert failed(seen) == (FailureKind.CERTIFICATE_UNTRUSTED, Phase.TLS)


async def test_a_certificate_for_another_name_is_refused(checks: Checks, secured: RedisServer) -> None:
    seen = await ping(checks, secured.url_with(host="127.0.0.1"))
    assert failed(seen) == (FailureKind.CERTIFICATE_WRONG_HOST, Phase.TLS)


async def test_redis_where_rediss_is_needed_and_the_other_way_round(
    checks: Checks, secured: RedisServer, plain: RedisServer
) -> None:
    unencrypted = await ping(checks, secured.url_with(scheme="redis", password=""))
    encrypted = await ping(checks, plain.url_with(scheme="rediss"), timeout_s=0.5)
    assert unencrypted.failure is not None
    assert unencrypted.failure.kind in (FailureKind.CLOSED_EARLY, FailureKind.RESET, FailureKind.BAD_PROTOCOL)
    # A plain server waits for the end of a line that a handshake does not have.
    assert failed(encrypted) in ((FailureKind.TIMEOUT, Phase.TLS), (FailureKind.TLS_FAILED, Phase.TLS))


async def test_a_frozen_server_runs_out_of_time_and_is_well_again_when_thawed(
    checks: Checks, plain: RedisServer
) -> None:
    plain.freeze()
    try:
        seen = await ping(checks, plain.url, timeout_s=0.3)
    finally:
        plain.thaw()
    assert failed(seen) == (FailureKind.TIMEOUT, Phase.COMMAND)
    assert failed(await ping(checks, plain.url)) is None


async def test_a_database_that_does_not_exist_is_refused_by_the_server(checks: Checks, plain: RedisServer) -> None:
    seen = await ping(checks, plain.url.replace("/0", "/9999"))
    assert failed(seen) == (FailureKind.ANSWER, Phase.COMMAND)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"+PONG\r\n", None),
        (b"+OK\r\n", FailureKind.BAD_PROTOCOL),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", FailureKind.BAD_PROTOCOL),
        (b"-LOADING Redis is loading the dataset in memory\r\n", FailureKind.ANSWER),
        (b"-NOAUTH Authentication required.\r\n", FailureKind.AUTH),
        (b"+PO", FailureKind.CLOSED_EARLY),
        (b"", FailureKind.CLOSED_EARLY),
        (b"+" + b"x" * 100_000, FailureKind.TOO_LARGE),
    ],
)
async def test_each_answer_has_its_own_name(checks: Checks, answer: bytes, kind: FailureKind | None) -> None:
    async def answers(line: faulty.Connection) -> None:
        await line.reader.readuntil(b"PING\r\n")
        await line.send(answer)

    async with serve(answers) as server:
        seen = await ping(checks, f"redis://127.0.0.1:{server.port}")
    assert (seen.failure and seen.failure.kind) is kind
