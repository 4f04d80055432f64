"""Replies from an OpenAI-compatible server, through the official SDK.

The SDK takes 0.3 s of CPU to import on a small machine, so nothing here imports it until `warm` or the first reply does.
"""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chatify.chatbot.providers.port import Chunk, ProviderFailure, Question, Unreadable

if TYPE_CHECKING:
    import openai

__all__ = ["OpenAIProvider", "messages_for"]

T = TypeVar("T")

log = logging.getLogger(__name__)

DEFAULT_URL: Final = "https://api.openai.com/v1"
CONNECT_S: Final = 5.0
CLOSE_S: Final = 2.0
ATTEMPTS: Final = 3
LONGEST_PAUSE_S: Final = 20.0
MAX_REPLY_CHARS: Final = 32_000
MAX_BODY_BYTES: Final = 2 * 1024 * 1024
MAX_HISTORY_CHARS: Final = 60_000
# Not every server and model takes these; one that refuses them is asked again without (o-series models refuse a
# temperature, older servers `stream_options`).
_OPTIONAL: Final = ("stream_options", "temperature")


class OpenAIProvider:
    """The `openai` provider.

    timeout_s: longest wait for a whole reply, all attempts and pauses included.   pause_s: first pause before another try;
    it doubles, with jitter, unless the server said how long (`Retry-After`), and then just that if there is time.
    """

    name = "openai"

    def __init__(
        self, *, api_key: str, base_url: str | None, model: str, timeout_s: float, pause_s: float = 0.5
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url or DEFAULT_URL
        self._model = model
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._sdk: _Sdk | None = None
        self._warming = asyncio.Lock()
        self._refused: frozenset[str] = frozenset()  # optional parameters this server is known not to take

    def __repr__(self) -> str:
        return f"OpenAIProvider(model={self._model!r})"

    async def warm(self) -> None:
        """Import the SDK and build the client in a thread, so that the loop keeps answering. Safe to call again."""
        await self._warmed()

    async def close(self) -> None:
        """Let go of connections."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await sdk.client.close()

    async def _warmed(self) -> "_Sdk":
        async with self._warming:
            if self._sdk is None:
                self._sdk = await asyncio.to_thread(self._load)
            return self._sdk

    def _load(self) -> "_Sdk":
        import ssl
        import urllib.request

        import openai

        from chatify.chatbot.providers import _failures

        http = None
        if self._base_url.startswith("http://") and not urllib.request.getproxies():
            # Reading the system's certificates takes 17-40 ms, for a server that is spoken to without TLS. This
            # context trusts nobody, so a redirect to https fails instead of going unverified.
            http = openai.DefaultAsyncHttpxClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        client = openai.AsyncOpenAI(
            api_key=self._api_key, base_url=self._base_url, max_retries=0, http_client=http,
            timeout=openai.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s)),
        )  # fmt: skip
        client.chat.completions  # noqa: B018 - imports the rest of what a reply needs, here in the thread
        return _Sdk(client, _failures)

    async def reply(self, question: Question, *, stream: bool) -> AsyncGenerator[Chunk]:
        """See `Provider.reply`. A try that failed is repeated only while nothing of its reply was passed on."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._timeout_s
        try:
            sdk = await _by(deadline_s, self._warmed())
        except TimeoutError:
            raise ProviderFailure(
                503, "provider_unavailable", "The AI provider is still being loaded.", retry_after_s=5
            ) from None
        refused, attempt, passed_on = self._refused, 1, False
        while True:
            request = self._request(question, stream=stream, refused=refused)
            pieces = _streamed(sdk.client, request, deadline_s) if stream else _whole(sdk.client, request, deadline_s)
            try:
                async for chunk in pieces:
                    passed_on = True
                    if chunk.done:
                        self._refused = refused
                    yield chunk
                return
            except sdk.failures.KNOWN as error:
                unwanted = None if passed_on else sdk.failures.unwanted(error, request, _OPTIONAL)
                if unwanted is not None:
                    refused |= {unwanted}
                    continue
                verdict = sdk.failures.judge(error, datetime.now(UTC))
                log.warning("provider.failed provider=openai attempt=%d cause=%s", attempt, verdict.cause)
                pause_s = self._pause_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
                pause_s = pause_s if verdict.asked_s is None else verdict.asked_s
                is_last = passed_on or not verdict.is_passing or attempt >= ATTEMPTS
                if is_last or pause_s > LONGEST_PAUSE_S or loop.time() + pause_s >= deadline_s:
                    # `from None`: the SDK's error quotes the provider, and the provider quotes the key.
                    raise verdict.failure from None
            finally:
                await pieces.aclose()
            await asyncio.sleep(pause_s)
            attempt += 1

    def _request(self, question: Question, *, stream: bool, refused: frozenset[str]) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._model, "messages": messages_for(question), "temperature": question.temperature,
        }  # fmt: skip
        if stream:
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        return {name: value for name, value in request.items() if name not in refused}


class _Sdk:
    """What is there once the SDK is imported."""

    def __init__(self, client: "openai.AsyncOpenAI", failures: ModuleType) -> None:
        self.client = client
        self.failures = failures


def messages_for(question: Question) -> list[dict[str, str]]:
    """The conversation as the API wants it: system prompt, as much of the newest history as fits, the new message."""
    room, kept = MAX_HISTORY_CHARS - len(question.text), []
    for message in reversed(question.history):
        room -= len(message.text)
        if room < 0:
            break
        kept.append({"role": message.role, "content": message.text})
    if kept and kept[-1]["role"] == "assistant":
        kept.pop()  # an answer whose question did not fit
    return [
        {"role": "system", "content": question.system_prompt},
        *reversed(kept),
        {"role": "user", "content": question.text},
    ]


async def _by(deadline_s: float, work: Awaitable[T]) -> T:
    async with asyncio.timeout_at(deadline_s):
        return await work


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Whatever the parsing of somebody else's bytes raises means that they cannot be read."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from error


async def _whole(client: "openai.AsyncOpenAI", request: Mapping[str, Any], deadline_s: float) -> AsyncGenerator[Chunk]:
    """The reply in one piece. The body is read up to a bound, then parsed by ourselves."""
    body = bytearray()
    async with asyncio.timeout_at(deadline_s):
        async with client.chat.completions.with_streaming_response.create(**request) as response:
            async for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    raise Unreadable("too long")
    with _reading():
        answer = json.loads(body)
        text = answer["choices"][0]["message"]["content"]
        usage = answer.get("usage") or {}
        last = _last(answer.get("model"), usage.get("prompt_tokens"), usage.get("completion_tokens"))
    if not isinstance(text, str) or not text.strip():
        raise Unreadable("empty")
    yield Chunk(text=text[:MAX_REPLY_CHARS])
    yield last


async def _streamed(
    client: "openai.AsyncOpenAI", request: Mapping[str, Any], deadline_s: float
) -> AsyncGenerator[Chunk]:
    """The reply as it comes. Without a finish_reason it was broken off, for [DONE] and a cut look alike in the SDK."""
    room_chars, is_finished, last = MAX_REPLY_CHARS, False, Chunk(done=True)
    held = ""  # blanks are passed on only with what follows, so that an empty reply is one
    stream = await _by(deadline_s, client.chat.completions.create(**request))
    try:
        while room_chars > 0:
            with _reading():
                event = await _by(deadline_s, anext(stream, None))
                if event is None:
                    break
                usage = getattr(event, "usage", None)
                last = _last(
                    getattr(event, "model", None) or last.model,
                    getattr(usage, "prompt_tokens", last.tokens_in),
                    getattr(usage, "completion_tokens", last.tokens_out),
                )
                text = ""
                for choice in (event.choices or [])[:1]:
                    is_finished = is_finished or choice.finish_reason is not None
                    text = held + (getattr(choice.delta, "content", None) or "")
            text = text[:room_chars]
            if text.strip() or room_chars < MAX_REPLY_CHARS:
                room_chars -= len(text)
                held = ""
                if text:
                    yield Chunk(text=text)
            elif text:
                held = text[:100]
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await stream.close()
    if room_chars == MAX_REPLY_CHARS:
        raise Unreadable("empty")
    if not is_finished and room_chars > 0:
        raise Unreadable("broken off")
    yield last


def _last(model: object, tokens_in: object, tokens_out: object) -> Chunk:
    """The closing chunk, out of values that a server may have made anything of."""
    return Chunk(
        done=True,
        model=model[:200] if isinstance(model, str) else None,
        tokens_in=tokens_in if isinstance(tokens_in, int) else None,
        tokens_out=tokens_out if isinstance(tokens_out, int) else None,
    )
