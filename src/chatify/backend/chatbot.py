"""Calls to the chatbot over HTTP. Whatever goes wrong on the way comes back as a value (`NotThere`), never as an exception.

aiohttp is imported when the first call is made, after the port is open: a cold start does not pay for it.
"""

import hashlib
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from chatify.backend.answers import (
    NO_SUCH_HOST,
    Answered,
    Created,
    EventStream,
    NotThere,
    Refused,
    Reply,
    TooMuch,
    read_answer,
    read_created,
    read_event,
)

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["Chatbot", "Patience"]

log = logging.getLogger(__name__)

T = TypeVar("T")
BODY_LIMIT_BYTES = 1_048_576
JSON = "application/json"
STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Deadlines in seconds.

    silence_s: of a stream; three of the comments with which the chatbot says that it is still at it. quiet_s: of an answer
    that comes in one piece; longer than a provider may take by default. Who asks again later gets the reply made meanwhile.
    """

    connect_s: float = 10.0
    silence_s: float = 45.0
    quiet_s: float = 90.0
    reply_s: float = 660.0
    create_s: float = 30.0
    wake_s: float = 180.0


class Chatbot:
    """One chatbot at `url`. token: lets the backend act for its users.   most: connections at once."""

    def __init__(self, url: str, *, token: str | None, most: int, patience: Patience) -> None:
        self._url = url.rstrip("/")
        self._most = most
        self._patience = patience
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: ClientSession | None = None
        self._is_nowhere = False

    @property
    def place(self) -> str:
        """The same for all who look at the same address, and nothing that tells it."""
        return hashlib.sha256(self._url.encode()).hexdigest()[:12]

    async def close(self) -> None:
        """Drop every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def health(self) -> NotThere | None:
        """One long, polite look: edges hold a GET for JSON while they wake the service. None: it is awake."""

        async def read(response: "ClientResponse") -> NotThere | None:
            body = await _body(response)
            found = _object(body)
            if response.status == 200 and found is not None and found.get("status") == "healthy":
                return None
            answer = read_answer(response.status, response.headers, body, time.time())
            return answer if isinstance(answer, NotThere) else NotThere(why="unhealthy", status=response.status)

        return await self._call("GET", "/health", read, accept=JSON, within_s=self._patience.wake_s, silence_s=None)

    async def personalities(self, within_s: float) -> list[dict[str, Any]] | NotThere:
        """What it offers."""

        async def read(response: "ClientResponse") -> list[dict[str, Any]] | NotThere:
            found = _object(await _body(response))
            items = found.get("items") if found else None
            if response.status != 200 or not isinstance(items, list) or not items:
                return NotThere(why="not_ours", status=response.status)
            kept = [item for item in items[:200] if isinstance(item, dict) and isinstance(item.get("id"), str)]
            return kept or NotThere(why="not_ours", status=response.status)

        path = "/api/v1/chatbot/personalities"
        return await self._call("GET", path, read, accept=JSON, within_s=within_s, silence_s=None)

    async def create(
        self,
        user_id: str,
        personality_id: str | None,
        history: Sequence[Mapping[str, str]],
        within_s: float | None = None,
    ) -> Created | Refused | NotThere:
        """Make a session; history: what was said in the one that it lost."""

        async def read(response: "ClientResponse") -> Created | Refused | NotThere:
            return read_created(response.status, response.headers, await _body(response), time.time())

        body: dict[str, Any] = {"user_id": user_id}
        if personality_id is not None:
            body["personality_id"] = personality_id
        if history:
            body["history"] = list(history)
        return await self._call(
            "POST", "/api/v1/chatbot/session", read, accept=JSON, body=body,
            within_s=within_s or self._patience.create_s, silence_s=None,
        )  # fmt: skip

    async def say(
        self, session_id: str, message_id: str, text: str, *, on_delta: Callable[[str], None] | None
    ) -> Reply:
        """Send one message. on_delta: called with each piece of the reply; None: nobody watches, so nothing is streamed."""
        is_streamed = on_delta is not None

        async def read(response: "ClientResponse") -> Reply:
            if response.content_type != STREAM:
                return read_answer(response.status, response.headers, await _body(response), time.time())
            return await _streamed(response, on_delta)

        path = f"/api/v1/chatbot/session/{quote(session_id, safe='')}/message"
        return await self._call(
            "POST", path, read, accept=STREAM if is_streamed else JSON, body={"message": text},
            headers={"Idempotency-Key": message_id}, within_s=self._patience.reply_s,
            silence_s=self._patience.silence_s if is_streamed else self._patience.quiet_s,
        )  # fmt: skip

    async def _call(
        self,
        method: str,
        path: str,
        read: "Callable[[ClientResponse], Awaitable[T]]",
        *,
        accept: str,
        within_s: float,
        silence_s: float | None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T | NotThere:
        """The only place where the library's exceptions become `NotThere`."""
        import aiohttp

        sent = {**self._headers, "Accept": accept, **(headers or {})}
        data = None
        if body is not None:
            sent["Content-Type"] = JSON
            data = json.dumps(body).encode()
        limits = aiohttp.ClientTimeout(total=within_s, sock_connect=self._patience.connect_s, sock_read=silence_s)
        try:
            async with (await self._open()).request(
                method, self._url + path, data=data, headers=sent, timeout=limits, allow_redirects=False
            ) as response:
                return self._found(await read(response))
        except TimeoutError:
            return NotThere(why="timeout")
        except TooMuch:
            return NotThere(why="too_much")
        except aiohttp.ClientConnectorDNSError as nobody:
            # A resolver in trouble is not the same as one that knows for sure.
            is_sure = getattr(nobody.os_error, "errno", None) == socket.EAI_NONAME
            return self._found(NotThere(why=NO_SUCH_HOST if is_sure else "refused"))
        except aiohttp.ClientConnectorError:
            return NotThere(why="refused")
        except (aiohttp.ClientError, OSError, ValueError):
            # ValueError: a chunk or a header that is none (aiohttp lets some of them through).
            return NotThere(why="broken")

    def _found(self, answer: T) -> T:
        """Say once that its address leads to nobody: then it does not sleep, and no waiting helps."""
        is_nowhere = isinstance(answer, NotThere) and answer.why == NO_SUCH_HOST
        if is_nowhere and not self._is_nowhere:
            parts = urlsplit(self._url)
            where = f"{parts.scheme}://{parts.hostname}"
            log.warning("[AI_ORCHESTRATOR] call to %s answered: no-server. CHATBOT_URL leads to nobody", where)
        self._is_nowhere = is_nowhere
        return answer

    async def _open(self) -> "ClientSession":
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(
                limit=self._most,
                # uvicorn hangs up after 5 s of silence; a POST that meets that moment would look like a lost chatbot.
                keepalive_timeout=4.0,
                # A restarted service may be elsewhere.
                ttl_dns_cache=10,
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True,
                skip_auto_headers=("User-Agent",), headers={"User-Agent": "chatify-backend"},
            )  # fmt: skip
        return self._session


async def _body(response: "ClientResponse") -> bytes:
    """The whole body. Raises `TooMuch` over the limit."""
    if (response.content_length or 0) > BODY_LIMIT_BYTES:
        raise TooMuch
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > BODY_LIMIT_BYTES:
            raise TooMuch
        chunks.append(chunk)
    return b"".join(chunks)


async def _streamed(response: "ClientResponse", on_delta: Callable[[str], None] | None) -> Reply:
    stream, size = EventStream(), 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > 4 * BODY_LIMIT_BYTES:
            raise TooMuch
        for name, data in stream.feed(chunk):
            seen = read_event(name, data)
            if isinstance(seen, str):
                if on_delta is not None:
                    on_delta(seen)
            elif isinstance(seen, Answered | Refused):
                return seen
    return NotThere(why="broken")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
