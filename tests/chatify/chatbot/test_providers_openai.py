"""The openai provider against real servers that behave badly."""

import asyncio
import gc
import logging
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatify.chatbot.providers import _failures
from chatify.chatbot.providers.openai import (
    MAX_HISTORY_CHARS,
    MAX_REPLY_CHARS,
    OpenAIProvider,
    messages_for,
)
from chatify.chatbot.providers.port import Chunk, ProviderFailure, Question
from chatify.chatbot.sessions import Message
from tests.support.openai_server import OK, Behaviour, OpenAIServer

KEY = "sk-live-4f9Qz81LmRt7Yw2Vb6Nx3Kc5"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def question(text: str = "Hello there", history: tuple[Message, ...] = ()) -> Question:
    return Question(
        personality_id="general-assistant", system_prompt="You are kind.", temperature=0.7, history=history, text=text,
        user_id="ada",
    )  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(running: OpenAIServer) -> OpenAIServer:
    running.forget()
    return running


@pytest.fixture
async def provider(server: OpenAIServer) -> AsyncIterator[OpenAIProvider]:
    provider = make(server)
    yield provider
    await provider.close()


def make(server: OpenAIServer, timeout_s: float = 10.0, pause_s: float = 0.01) -> OpenAIProvider:
    return OpenAIProvider(
        api_key=KEY, base_url=server.base_url, model="test-model", timeout_s=timeout_s, pause_s=pause_s
    )


async def ask(provider: OpenAIProvider, *, stream: bool = False, asked: Question | None = None) -> list[Chunk]:
    return [chunk async for chunk in provider.reply(asked or question(), stream=stream)]


async def failure_of(provider: OpenAIProvider, *, stream: bool = False) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        await ask(provider, stream=stream)
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_arrives_whole_with_the_tokens_it_took(provider: OpenAIProvider, stream: bool) -> None:
    chunks = await ask(provider, stream=stream)
    assert "".join(c.text for c in chunks) == "You said: Hello there"
    assert [c.done for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert (chunks[-1].model, chunks[-1].tokens_in, chunks[-1].tokens_out) == ("test-model", 5, 4)
    assert (len(chunks) > 2) is stream


async def test_the_server_is_sent_the_personality_the_history_and_the_message(
    provider: OpenAIProvider, server: OpenAIServer
) -> None:
    history = (
        Message(id="1-q", role="user", text="I am Ada", at=NOW),
        Message(id="1", role="assistant", text="Hello Ada", at=NOW),
    )
    await ask(provider, asked=question("Who am I?", history))
    body = server.calls[-1].body
    assert body["model"] == "test-model"
    assert body["temperature"] == 0.7
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("system", "You are kind."), ("user", "I am Ada"), ("assistant", "Hello Ada"), ("user", "Who am I?"),
    ]  # fmt: skip
    assert server.calls[-1].headers["authorization"] == f"Bearer {KEY}"


STATUSES = [
    (401, None, 502, "provider_rejected_key", 1),
    (403, None, 502, "provider_rejected_key", 1),
    (404, "model_not_found", 503, "provider_unavailable", 1),
    (400, "context_length_exceeded", 503, "provider_unavailable", 1),
    (409, None, 503, "provider_unavailable", 3),
    (429, "insufficient_quota", 503, "provider_unavailable", 1),
    (429, "rate_limit_exceeded", 503, "provider_unavailable", 3),
    (408, None, 503, "provider_unavailable", 3),
    (418, None, 503, "provider_unavailable", 1),
    (500, None, 503, "provider_unavailable", 3),
    (503, None, 503, "provider_unavailable", 3),
    (529, None, 503, "provider_unavailable", 3),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "code", "told_status", "told_code", "calls"), STATUSES)
async def test_each_status_becomes_its_problem_and_only_passing_ones_are_tried_again(
    provider: OpenAIProvider, server: OpenAIServer, status: int, code: str | None, told_status: int, told_code: str,
    calls: int, stream: bool, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG, "chatify")
    server.always(Behaviour(kind="status", status=status, code=code))
    failure = await failure_of(provider, stream=stream)
    assert (failure.status, failure.code) == (told_status, told_code)
    assert (failure.retry_after_s is not None) is (told_status == 503)
    # A refused optional parameter is left out once, which is a further call but no further attempt.
    further = 1 if stream and status == 400 else 0
    assert server.total == calls + further
    # The server quotes the key in its message: neither user, nor log, nor the exception's chain may show it.
    assert KEY not in f"{failure}{failure.detail}{failure.__cause__!r}{caplog.text}"
    assert failure.__suppress_context__


BROKEN = ["truncate", "half", "stall_midway", "error_event", "garbage", "empty", "blank", "reset"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_answer_is_never_taken_for_a_reply(server: OpenAIServer, kind: str, stream: bool) -> None:
    server.always(Behaviour(kind=kind))  # type: ignore[arg-type]
    provider = make(server, timeout_s=1.0)
    failure = await failure_of(provider, stream=stream)
    assert (failure.status, failure.code) == (503, "provider_unavailable")
    assert failure.retry_after_s
    await provider.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_recovers_is_asked_again(
    provider: OpenAIProvider, server: OpenAIServer, stream: bool
) -> None:
    server.script(Behaviour(kind="reset"), Behaviour(kind="status", status=500), OK)
    chunks = await ask(provider, stream=stream)
    assert "".join(c.text for c in chunks) == "You said: Hello there"
    assert server.total == 3


async def test_nothing_is_tried_again_once_a_part_was_passed_on(provider: OpenAIProvider, server: OpenAIServer) -> None:
    server.script(Behaviour(kind="truncate"), OK)
    seen: list[str] = []

    async def listen() -> None:
        async for chunk in provider.reply(question(), stream=True):
            seen.append(chunk.text)

    with pytest.raises(ProviderFailure):
        await listen()
    assert "".join(seen) == "You said: "
    assert server.total == 1


async def test_the_wait_the_server_asks_for_is_kept(provider: OpenAIProvider, server: OpenAIServer) -> None:
    server.script(Behaviour(kind="status", status=429, retry_after="1"), OK)
    began = time.monotonic()
    await ask(provider)
    assert 0.95 <= time.monotonic() - began < 3.0


@pytest.mark.parametrize("asked", ["30", "86400"])
async def test_a_wait_longer_than_there_is_time_is_told_to_the_client_at_once(
    provider: OpenAIProvider, server: OpenAIServer, asked: str
) -> None:
    server.always(Behaviour(kind="status", status=429, retry_after=asked))
    began = time.monotonic()
    failure = await failure_of(provider)
    assert time.monotonic() - began < 2.0
    assert failure.retry_after_s == min(int(asked), 600)
    assert server.total == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_silent_server_costs_no_more_than_the_timeout(server: OpenAIServer, stream: bool) -> None:
    server.always(Behaviour(kind="stall"))
    provider = make(server, timeout_s=0.6)
    await provider.warm()
    began = time.monotonic()
    failure = await failure_of(provider, stream=stream)
    assert time.monotonic() - began < 2.5
    assert failure.code == "provider_unavailable"
    await provider.close()


async def test_the_timeout_is_for_all_tries_together(server: OpenAIServer) -> None:
    server.always(Behaviour(kind="status", status=500, delay_s=0.35))
    provider = make(server, timeout_s=0.6)
    await provider.warm()
    began = time.monotonic()
    await failure_of(provider)
    assert time.monotonic() - began < 2.5
    assert server.total <= 2
    await provider.close()


async def test_nobody_listening_is_told_as_unavailable() -> None:
    provider = OpenAIProvider(api_key=KEY, base_url="http://127.0.0.1:1/v1", model="m", timeout_s=5.0, pause_s=0.01)
    failure = await failure_of(provider)
    assert failure.code == "provider_unavailable"
    await provider.close()


async def test_a_client_that_leaves_closes_the_call(provider: OpenAIProvider, server: OpenAIServer) -> None:
    server.always(Behaviour(text="word " * 200, chunk_delay_s=0.05))
    pieces = provider.reply(question(), stream=True)
    await anext(pieces)
    await pieces.aclose()
    await asyncio.to_thread(server.wait_until, lambda s: s.running == 0)
    assert server.calls[-1].client_left


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_reply_closes_the_call(provider: OpenAIProvider, server: OpenAIServer, stream: bool) -> None:
    server.always(Behaviour(kind="stall"))
    asking = asyncio.create_task(ask(provider, stream=stream))
    await asyncio.to_thread(server.wait_until, lambda s: s.running == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.to_thread(server.wait_until, lambda s: s.running == 0)
    assert server.calls[-1].client_left


async def test_a_server_without_usage_in_streams_is_asked_without_it_and_remembered(
    provider: OpenAIProvider, server: OpenAIServer
) -> None:
    server.always(Behaviour(refuses_usage=True))
    for _ in range(2):
        chunks = await ask(provider, stream=True)
        assert "".join(c.text for c in chunks) == "You said: Hello there"
        assert chunks[-1].tokens_in is None
    assert [("stream_options" in c.body) for c in server.calls] == [True, False, False]


async def test_a_reply_without_end_is_cut_and_the_call_closed(provider: OpenAIProvider, server: OpenAIServer) -> None:
    server.always(Behaviour(text="x" * (MAX_REPLY_CHARS * 3), chunk_chars=1000, chunk_delay_s=0.0001))
    chunks = await ask(provider, stream=True)
    assert sum(len(c.text) for c in chunks) == MAX_REPLY_CHARS
    assert chunks[-1].done
    await asyncio.to_thread(server.wait_until, lambda s: s.running == 0)


async def test_a_whole_reply_is_cut_and_an_endless_body_refused(provider: OpenAIProvider, server: OpenAIServer) -> None:
    server.script(Behaviour(text="x" * (MAX_REPLY_CHARS * 3)))
    assert len((await ask(provider))[0].text) == MAX_REPLY_CHARS
    server.always(Behaviour(text="x" * 3_000_000))
    assert (await failure_of(provider)).code == "provider_unavailable"


async def test_many_replies_run_side_by_side(provider: OpenAIProvider, server: OpenAIServer) -> None:
    server.always(Behaviour(delay_s=0.2))
    await provider.warm()
    began = time.monotonic()
    replies = await asyncio.gather(*(ask(provider) for _ in range(50)))
    assert all(r[0].text for r in replies)
    assert server.most_running > 10
    assert time.monotonic() - began < 5.0


async def test_a_closed_provider_leaves_nothing_behind(server: OpenAIServer) -> None:
    for _ in range(3):
        provider = make(server)
        await ask(provider)
        await provider.close()
        await provider.close()
    gc.collect()  # an unclosed transport would warn here, and warnings are errors


def test_neither_key_nor_url_is_in_the_repr() -> None:
    provider = OpenAIProvider(api_key=KEY, base_url="http://user:pass@host/v1", model="m", timeout_s=1.0)
    assert repr(provider) == "OpenAIProvider(model='m')"


def test_importing_the_provider_does_not_import_the_sdk() -> None:
    code = "import sys, chatify.chatbot.providers.openai; print(sorted({'openai', 'httpx2'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "[]\n"


# --- the conversation as it is sent ----------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 30_000), max_size=12), st.integers(0, 20_000))
def test_what_is_sent_is_bounded_newest_first_and_begins_with_a_question(sizes: list[int], asked: int) -> None:
    history = tuple(
        Message(id=str(n), role="assistant" if n % 2 else "user", text=f"{n}:".ljust(size, "x"), at=NOW)
        for n, size in enumerate([*sizes, *sizes[: len(sizes) % 2]])
    )
    messages = messages_for(question("q" * asked, history))
    assert messages[0]["role"] == "system"
    assert messages[-1] == {"role": "user", "content": "q" * asked}
    assert sum(len(m["content"]) for m in messages[1:]) <= MAX_HISTORY_CHARS + 100
    kept = [m["content"] for m in messages[1:-1]]
    assert kept == [m.text for m in history[len(history) - len(kept) :]]
    assert not kept or messages[1]["role"] == "user"


# --- failures ---------------------------------------------------------------------------------------------------------


def _exceptions_of(module: object) -> set[type[BaseException]]:
    public = (getattr(module, name) for name in dir(module) if not name.startswith("_"))
    return {
        kind for kind in public
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning)
    }  # fmt: skip


def test_every_exception_of_the_sdk_and_its_http_library_is_in_the_table() -> None:
    known = _exceptions_of(openai) | _exceptions_of(httpx2)
    assert len(known) > 40
    assert known - set(_failures.RULES) == set()


def test_every_exception_becomes_a_failure_with_words_of_our_own() -> None:
    request = httpx2.Request("POST", "http://host/v1")
    response = httpx2.Response(500, request=request)
    for kind in _exceptions_of(openai):
        if issubclass(kind, openai.OAuthError):
            error = kind(response=response, body={"error_description": KEY})
        elif issubclass(kind, openai.APIStatusError):
            error = kind(f"bad {KEY}", response=response, body={"code": KEY})
        elif issubclass(kind, openai.APITimeoutError):
            error = kind(request)
        elif issubclass(kind, openai.APIConnectionError):
            error = kind(message=KEY, request=request)
        else:
            error = kind.__new__(kind, KEY)
        verdict = _failures.judge(error, NOW)
        assert verdict.failure.status in {502, 503}
        assert KEY not in f"{verdict}{verdict.failure}{verdict.failure.detail}"


@given(st.text(max_size=60))
def test_any_retry_after_is_read_or_left(value: str) -> None:
    wait_s = _failures.retry_after_s({"retry-after": value}, NOW)
    assert wait_s is None or 0 <= wait_s < float("inf")


def test_retry_after_is_read_in_all_its_spellings() -> None:
    assert _failures.retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}, NOW) == 1.5
    assert _failures.retry_after_s({"retry-after": "7"}, NOW) == 7.0
    at = (NOW + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert _failures.retry_after_s({"retry-after": at}, NOW) == 90.0
    assert _failures.retry_after_s({"retry-after": "soon"}, NOW) is None
    assert _failures.retry_after_s({}, NOW) is None


# --- somebody else's server -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mockllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mockllm` from PyPI as a process of its own. Its own command always reloads, so its app is run under uvicorn."""
    folder: Path = tmp_path_factory.mktemp("mockllm")
    answers = folder / "responses.yml"
    # Streaming, mockllm 0.0.8 looks its own answer up again, so the answer must answer itself.
    answers.write_text('responses:\n  "ping": "pong from mockllm"\n  "pong from mockllm": "pong from mockllm"\n')
    code = (
        "import socket, uvicorn\n"
        "s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
        "uvicorn.Server(uvicorn.Config('mockllm.server:app', log_level='error')).run(sockets=[s])\n"
    )
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, "MOCKLLM_RESPONSES_FILE": str(answers)},
        )  # fmt: skip
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        deadline_s = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"{url}/openapi.json", timeout=5):
                    break
            except OSError:
                assert time.monotonic() < deadline_s, (folder / "log.txt").read_text()
                assert process.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.05)
        yield f"{url}/v1"
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("stream", [False, True])
async def test_mockllm_answers(mockllm: str, stream: bool) -> None:
    # A model tiktoken does not know, for it would fetch the encoding of one that it knows.
    provider = OpenAIProvider(api_key=KEY, base_url=mockllm, model="local-model", timeout_s=20.0)
    chunks = await ask(provider, stream=stream, asked=question("ping"))
    assert "".join(c.text for c in chunks) == "pong from mockllm"
    await provider.close()
