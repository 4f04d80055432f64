"""Exactly 20, and each key once: with many at the same time, in two processes on one store."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.chatify.chatbot.conftest import asking_of
from tests.support.openai_server import Behaviour, OpenAIServer
from tests.support.processes import Service, running
from tests.support.redis_server import RedisServer


class Pair:
    """Two chatbots on one store, and a client for both."""

    def __init__(self, services: list[Service], client: httpx.AsyncClient) -> None:
        self.services, self.client = services, client

    async def session(self) -> str:
        new = {"user_id": uuid.uuid4().hex}
        answer = await self.client.post(f"{self.services[0].url}/api/v1/chatbot/session", json=new)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["session_id"])

    async def say(self, which: int, session_id: str, text: str, key: str | None = None) -> httpx.Response:
        return await self.client.post(
            f"{self.services[which % 2].url}/api/v1/chatbot/session/{session_id}/message",
            json={"message": text},
            headers={"Idempotency-Key": key} if key else {},
        )

    async def used(self, session_id: str) -> int:
        answer = await self.client.get(f"{self.services[1].url}/api/v1/chatbot/session/{session_id}")
        return int(answer.json()["responses_used"])


@contextmanager
def two_services(folder: Path, ai: OpenAIServer, store: str) -> Iterator[list[Service]]:
    with ExitStack() as stack:
        variables = {**asking_of(ai), "DATA_DIR": str(folder / "data"), "OPENAI_TIMEOUT": "20"}
        if store == "redis":
            variables["REDIS_URL"] = stack.enter_context(RedisServer(folder / "redis")).url
        services = [stack.enter_context(running("chatbot", variables, until_up=False)) for _ in range(2)]
        for service in services:
            service.until_up()
        yield services


@pytest.fixture(scope="module")
def shared_ai() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def ai(shared_ai: OpenAIServer) -> OpenAIServer:
    shared_ai.forget()
    return shared_ai


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def services(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_ai: OpenAIServer
) -> Iterator[list[Service]]:
    with two_services(tmp_path_factory.mktemp("pair"), shared_ai, request.param) as both:
        yield both


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=300))


@pytest.fixture
async def pair(services: list[Service]) -> AsyncIterator[Pair]:
    async with client() as made:
        yield Pair(services, made)


async def test_of_200_at_once_20_are_answered_and_180_reach_the_limit(pair: Pair, ai: OpenAIServer) -> None:
    ai.always(Behaviour(delay_s=0.2))
    session_id = await pair.session()
    answers = await asyncio.gather(*(pair.say(n, session_id, f"message {n}") for n in range(200)))
    assert Counter(answer.status_code for answer in answers) == {200: 20, 409: 180}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"response_limit_reached"}
    replies = [answer.json() for answer in answers if answer.status_code == 200]
    assert sorted(reply["responses_used"] for reply in replies) == list(range(1, 21))
    assert all(reply["responses_used"] + reply["responses_left"] == 20 for reply in replies)
    assert await pair.used(session_id) == 20
    assert ai.total == 20, "nobody was asked in vain"


async def test_200_at_once_with_failures_among_them_still_make_exactly_20(pair: Pair, ai: OpenAIServer) -> None:
    ai.always(Behaviour(delay_s=0.05))
    session_id = await pair.session()
    fail = '[[{"kind":"status","status":401}]]'
    statuses: Counter[int] = Counter()
    for _ in range(6):  # places that were given back are there for the next
        answers = await asyncio.gather(
            *(pair.say(n, session_id, f"{fail if n % 3 else ''} message {n}") for n in range(60))
        )
        statuses += Counter(answer.status_code for answer in answers)
    assert statuses[200] == 20 == await pair.used(session_id)
    assert set(statuses) == {200, 409, 502}


async def test_one_key_sent_by_many_at_once_is_asked_once_and_answered_alike(pair: Pair, ai: OpenAIServer) -> None:
    ai.always(Behaviour(delay_s=0.5))
    session_id = await pair.session()
    answers = await asyncio.gather(*(pair.say(n, session_id, "the same", key="one") for n in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in answers}) == 1
    assert ai.total == 1
    assert await pair.used(session_id) == 1


async def test_who_waited_for_a_reply_that_failed_is_told_of_that_failure(pair: Pair, ai: OpenAIServer) -> None:
    ai.script(Behaviour(kind="status", status=401, delay_s=0.5))
    session_id = await pair.session()
    answers = await asyncio.gather(*(pair.say(n, session_id, "the same", key="one") for n in range(10)))
    assert {answer.json().get("code") for answer in answers} == {"provider_rejected_key"}
    assert ai.total == 1
    assert (await pair.say(1, session_id, "the same", key="one")).status_code == 200


async def test_a_reply_of_a_process_that_was_killed_is_made_by_the_other(tmp_path: Path, ai: OpenAIServer) -> None:
    with two_services(tmp_path, ai, "sqlite") as services:
        async with client() as made:
            pair = Pair(services, made)
            ai.script(Behaviour(kind="stall"))
            session_id = await pair.session()
            doomed = asyncio.create_task(pair.say(0, session_id, "hello", key="k"))
            await asyncio.to_thread(ai.wait_until, lambda ai: ai.total == 1)
            waiting = asyncio.create_task(pair.say(1, session_id, "hello", key="k"))
            await asyncio.to_thread(services[0].kill)
            with pytest.raises(httpx.HTTPError):
                await doomed
            answer = await waiting  # the lease of the dead has to run out first
            assert answer.status_code == 200
            assert await pair.used(session_id) == 1
