"""The one runner: a deadline around everything, our own bugs told from the target's faults, kinds found where they lie."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from everwake.checks import CheckKind, Checks, Tape, Unmet, _registry, http
from everwake.fleet.schema import Check, Secret, Service
from everwake.model import Failure, FailureKind, Observation, Phase
from tests.support import faulty
from tests.support.faulty import serve


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """A spec that asks for nothing."""


def kind(observe: Callable[[Nothing, Tape], Awaitable[Failure | None]]) -> CheckKind:
    return CheckKind(name="mine", help="Mine?", spec=Nothing, observe=observe)


async def run(
    checks: Checks, observe: Callable[[Nothing, Tape], Awaitable[Failure | None]], timeout_s: float = 5.0
) -> Observation:
    return await checks.run(kind(observe), Nothing(), service="chatbot", timeout_s=timeout_s)


async def test_a_check_that_hangs_is_ended_in_the_phase_it_was_in(checks: Checks) -> None:
    async def hangs(spec: Nothing, tape: Tape) -> None:
        with tape.phase(Phase.LOGIN):
            pass
        with tape.phase(Phase.COMMAND):
            await asyncio.get_running_loop().create_future()

    seen = await run(checks, hangs, 0.2)
    assert seen.failure == Failure(kind=FailureKind.TIMEOUT, phase=Phase.COMMAND, detail="TimeoutError")
    assert 0.19 <= seen.took_s < 1
    assert list(seen.phases) == [Phase.LOGIN, Phase.COMMAND]
    assert seen.phases[Phase.COMMAND] >= 0.19


async def test_a_bug_of_ours_is_internal_and_logged_with_its_traceback(
    checks: Checks, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(spec: Nothing, tape: Tape) -> None:
        raise ZeroDivisionError("our own fault")

    with caplog.at_level(logging.ERROR):
        seen = await run(checks, broken)
    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.INTERNAL
    assert seen.failure.detail == "ZeroDivisionError"
    assert caplog.records[0].exc_info is not None


async def test_what_a_check_says_itself_is_taken_as_it_is(checks: Checks) -> None:
    async def says(spec: Nothing, tape: Tape) -> None:
        tape.status, tape.excerpt = 418, "teapot"
        raise Unmet(FailureKind.ANSWER, Phase.COMMAND, "no")

    seen = await run(checks, says)
    assert seen.failure == Failure(kind=FailureKind.ANSWER, phase=Phase.COMMAND, detail="no")
    assert (seen.status, seen.excerpt) == (418, "teapot")


async def test_what_was_seen_is_masked_where_it_is_made(checks: Checks) -> None:
    async def leaks(spec: Nothing, tape: Tape) -> None:
        tape.headers = {"x-api-key": "plain words", "location": "https://a.example/?code=abc", "server": "uvicorn"}
        tape.excerpt = 'REDIS_URL=redis://:hunter2@cache.example:6379 {"password": "hunter2"}'
        raise Unmet(FailureKind.ANSWER, Phase.COMMAND, "token=hunter2")

    seen = await run(checks, leaks)
    assert seen.headers == {"x-api-key": "***", "location": "https://a.example/?code=***", "server": "uvicorn"}
    assert "hunter2" not in f"{seen}"
    assert "cache.example:6379" in seen.excerpt


async def test_a_server_that_sends_our_own_secret_back_does_not_have_it_shown(checks: Checks) -> None:
    async def echoes(line: faulty.Connection) -> None:
        words = (await line.request()).split()
        sent = words[words.index(b"X-Pass:") + 1]
        answer = b"HTTP/1.1 403 No\r\nx-said: %b\r\ncontent-length: %d\r\n\r\nyou sent %b"
        await line.send(answer % (sent, len(sent) + 9, sent))
        await line.hold()

    async with serve(echoes) as server:
        spec = http.Spec(headers={"X-Pass": Secret("open-sesame", "env PASS")})
        service = Service(name="a", url=server.url, checks=(Check(kind="http", spec=spec, every_s=60, timeout_s=5),))
        seen = await checks.look(service, "http:0")
    assert (seen.status, seen.excerpt, seen.headers) == (403, "you sent ***", {"x-said": "***"})


async def test_being_cancelled_passes_through(checks: Checks) -> None:
    async def hangs(spec: Nothing, tape: Tape) -> None:
        await asyncio.get_running_loop().create_future()

    looking = asyncio.create_task(run(checks, hangs))
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking


async def test_further_checks_of_a_service_are_found_by_kind_and_place(checks: Checks) -> None:
    from everwake.checks import kinds

    async with serve(faulty.says()) as server:
        tcp, http = kinds()["tcp"], kinds()["http"]
        service = Service(
            name="chatbot", url=server.url,
            checks=(
                Check(kind="tcp", spec=tcp.spec(), every_s=60, timeout_s=5),
                Check(kind="http", spec=http.spec(path="/other"), every_s=60, timeout_s=5),
            ),
        )  # fmt: skip
        first = await checks.look(service, "tcp:0")
        second = await checks.look(service, "http:1")
        assert server.requests[0].startswith(b"GET /other ")
    assert (first.check, first.failure) == ("tcp:0", None)
    # Filed under its place, so that it is not taken for the primary one.
    assert (second.check, second.failure) == ("http:1", None)


async def test_a_service_that_was_changed_is_looked_at_as_it_is_now(checks: Checks) -> None:
    async with serve(faulty.says()) as server:
        await checks.look(Service(name="chatbot", url=server.url, health="/old"))
        await checks.look(Service(name="chatbot", url=server.url, health="/new"))
        assert [request.split()[1] for request in server.requests] == [b"/old", b"/new"]


# --- entry points -----------------------------------------------------------------------------------------------------

ADDED = CheckKind(name="added", help="Added?", spec=Nothing)
IN_THE_WAY = CheckKind(name="http", help="Not http?", spec=Nothing)


def points(*names: str) -> Callable[..., list[EntryPoint]]:
    return lambda group: [EntryPoint(name, f"{__name__}:{name}", group) for name in names]


def test_other_distributions_add_kinds_and_cannot_break_or_replace_ours(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        found = _registry.found(points("ADDED", "IN_THE_WAY", "NOT_THERE", "points"))
    assert found["added"] is ADDED
    assert found["http"] is not IN_THE_WAY
    assert {record.message for record in caplog.records} == {"checks.broken_entry_point", "checks.refused_entry_point"}
