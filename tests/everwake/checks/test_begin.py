"""A look that is begun with a callback: called once, or never once it was ended."""

import asyncio

import pytest

from everwake.checks import Checks, tls
from everwake.clock import SystemClock
from everwake.fleet.schema import Check, Expect, Service
from everwake.model import FailureKind, Observation, Phase
from tests.support import faulty
from tests.support.faulty import serve


async def until(condition: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await condition.wait()


async def test_it_calls_back_once_and_says_how_late_it_was(checks: Checks) -> None:
    seen: list[Observation] = []
    came = asyncio.Event()

    def done(one: Observation) -> None:
        seen.append(one)
        came.set()

    async with serve(faulty.says()) as server:
        checks.begin(Service(name="a", url=server.url), "http", None, 0.25, done)
        assert not seen
        await until(came)
        await asyncio.sleep(0)
    assert [(one.service, one.check, one.status, one.late_s) for one in seen] == [("a", "http", 200, 0.25)]


@pytest.mark.parametrize("check", ["http", "tls:0"])
async def test_one_that_was_ended_hangs_up_and_says_nothing(checks: Checks, check: str) -> None:
    reached, left = asyncio.Event(), asyncio.Event()

    async def holds(line: faulty.Connection) -> None:
        reached.set()
        await line.hold()
        left.set()

    seen: list[Observation] = []
    async with serve(holds) as server:
        further = Check(kind="tls", spec=tls.Spec(host="127.0.0.1", port=server.port), every_s=60, timeout_s=30)
        service = Service(name="a", url=server.url, checks=(further,))
        end = checks.begin(service, check, None, 0.0, seen.append)
        await until(reached)
        end()
        end()
        await until(left)
    assert seen == []


async def test_closing_ends_what_is_under_way_without_a_word() -> None:
    reached = asyncio.Event()

    async def holds(line: faulty.Connection) -> None:
        reached.set()
        await line.hold()

    seen: list[Observation] = []
    async with serve(holds) as server:
        async with Checks(SystemClock()) as checks:
            further = Check(kind="tls", spec=tls.Spec(host="127.0.0.1", port=server.port), every_s=60, timeout_s=30)
            checks.begin(Service(name="a", url=server.url, checks=(further,)), "tls:0", None, 0.0, seen.append)
            await until(reached)
    assert seen == []


async def test_a_name_that_cannot_be_looked_up_is_asked_about_again_and_told(checks: Checks) -> None:
    seen: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()
    checks.begin(Service(name="a", url="http://nowhere.invalid"), "http", None, 0.0, seen.set_result)
    async with asyncio.timeout(30):
        failure = (await seen).failure
    assert failure is not None
    assert failure.phase is Phase.DNS
    assert failure.kind in (FailureKind.DNS_NO_SUCH_NAME, FailureKind.DNS_FAILED, FailureKind.TIMEOUT)


async def test_documents_and_headers_that_are_remembered_are_not_mixed_up(checks: Checks) -> None:

    said = iter([b'{"n": 1}', b'{"n": 2}', b'{"n": 1}'])

    async def counts(line: faulty.Connection) -> None:
        await line.request()
        body = next(said)
        await line.send(b"HTTP/1.1 200 OK\r\nx-n: %b\r\ncontent-length: %d\r\n\r\n%b" % (body[6:7], len(body), body))
        await line.hold()

    async with serve(counts) as server:
        service = Service(name="a", url=server.url, expect=Expect(json={"n": 1}))
        looks = [await checks.look(service) for _ in range(3)]
    assert [look.failure is None for look in looks] == [True, False, True]
    assert [look.headers["x-n"] for look in looks] == ["1", "2", "1"]
    assert [look.excerpt for look in looks] == ['{"n": 1}', '{"n": 2}', '{"n": 1}']
