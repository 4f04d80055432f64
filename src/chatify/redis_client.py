"""The one place that talks to Redis: a client from REDIS_URL that never hangs, and errors with a reason.

`redis` costs 90 ms to import (measured 2026-11), so it is imported by the first call, in a thread. Every call has a deadline
over all else: a place in the pool, connecting, TLS, signing in, retries, the answer. A Redis that is frozen, gone or
half-open therefore costs a caller that deadline and no more, and the next call tries anew.
"""

import asyncio
import hashlib
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from chatify.masking import mask

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["Reason", "RedisLink", "RedisUnavailable", "Script"]

T = TypeVar("T")
Reason = Literal[
    "not_configured", "refused", "unreachable", "dns", "timeout", "tls", "auth", "loading", "read_only", "full",
    "disconnected", "bad_url", "error",
]  # fmt: skip

_log = logging.getLogger(__name__)

_CONNECTIONS = 32
# What a URL may say beside host, user, password and number; timeouts are ours, so that no URL can make a call hang.
_FROM_URL = {"db", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs",
             "ssl_check_hostname"}  # fmt: skip


class RedisUnavailable(Exception):  # noqa: N818
    """Redis did not do what was asked. reason: for programs; detail: for people, masked.

    With `timeout` and `disconnected` it is unknown whether the command ran.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


class Script:
    """A Lua script: sent by its hash, as a whole where Redis does not know it yet."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self.sha: Final = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisLink:
    """A bounded pool of connections to one Redis.

    deadline_s: the longest any call takes. A command is sent again when its connection had died meanwhile or says nothing,
    so what must not happen twice belongs into a script that can tell.
    probe_after_s: a connection that idled so long is asked with a PING before it is used; 0: never.
    """

    def __init__(
        self, url: str, *, deadline_s: float = 5.0, connections: int = _CONNECTIONS, probe_after_s: int = 30
    ) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._connections = connections
        self._probe_after_s = probe_after_s
        self._client: Redis | None = None
        self._making: asyncio.Lock = asyncio.Lock()

    async def call(self, run: "Callable[[Redis], Awaitable[T]]") -> T:
        """`await run(client)` within the deadline.

        Raises:
            RedisUnavailable: for everything Redis, the network or TLS may answer.
        """
        client = self._client or await self._made()
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._again_on_a_fresh_line(client, run)
            _still_wanted()
            return answer
        except TimeoutError as error:
            raise RedisUnavailable("timeout", f"no answer within {self._deadline_s:g} s") from error
        except Exception as error:
            reason = _reason(error)
            if reason is None:  # a mistake of ours
                raise
            raise RedisUnavailable(reason, mask(str(error) or type(error).__name__, 200)) from error

    async def _again_on_a_fresh_line(self, client: "Redis", run: "Callable[[Redis], Awaitable[T]]") -> T:
        from redis.exceptions import TimeoutError as Silent

        try:
            return await run(client)
        except Silent:
            # A router that forgot an idle connection drops what is sent on it without a word, and the pool may hold many.
            await client.connection_pool.disconnect(inuse_connections=False)
            return await run(client)

    async def run(self, script: Script, key: str, *args: str | bytes | int) -> Any:
        """The script's answer, on the one key it may touch.

        Raises:
            RedisUnavailable
        """

        async def send(client: "Redis") -> Any:
            from redis.exceptions import NoScriptError

            try:
                return await client.evalsha(script.sha, 1, key, *args)
            except NoScriptError:
                return await client.eval(script.text, 1, key, *args)

        return await self.call(send)

    async def ping(self) -> float:
        """Seconds of one round trip.

        Raises:
            RedisUnavailable
        """
        started = time.perf_counter()
        await self.call(lambda client: client.ping())
        return time.perf_counter() - started

    async def close(self) -> None:
        """Let go of every connection; a later call connects anew."""
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(1):
                    await client.aclose()
            except (TimeoutError, OSError):
                _log.debug("redis.close was cut short")

    async def _made(self) -> "Redis":
        async with self._making:
            if self._client is None:
                await asyncio.to_thread(_import)
                try:
                    self._client = _client(self._url, self._deadline_s, self._connections, self._probe_after_s)
                except ValueError as error:
                    raise RedisUnavailable("bad_url", mask(str(error))) from None
            return self._client


def _import() -> None:
    import redis.asyncio  # noqa: F401


def _client(url: str, deadline_s: float, connections: int, probe_after_s: int) -> "Redis":
    """A client that has not connected yet. UTF-8 in, bytes out."""
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.exceptions import ConnectionError as Disconnected

    parts = urlsplit(url)
    asked = parse_qsl(parts.query)
    ignored = sorted({name for name, _ in asked} - _FROM_URL)
    if ignored:
        _log.warning("REDIS_URL: ignored %s", ", ".join(name[:40] for name in ignored))
    options: dict[str, Any] = {}
    if parts.scheme == "rediss":
        options = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
        if ("ssl_cert_reqs", "none") in asked:
            _log.warning("REDIS_URL: ssl_cert_reqs=none, so anybody may pose as your Redis")
    pool = BlockingConnectionPool.from_url(
        parts._replace(query=urlencode([(name, value) for name, value in asked if name in _FROM_URL])).geturl(),
        max_connections=connections,
        timeout=deadline_s,
        # Less than the deadline, so that a second try on another connection still fits.
        socket_timeout=deadline_s * 0.4,
        socket_connect_timeout=deadline_s,
        socket_keepalive=True,
        health_check_interval=probe_after_s,
        retry=Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.02), 1, supported_errors=(Disconnected,)),
        # RESP2 and no CLIENT SETINFO: what 6.2, 7, Upstash and stand-ins all speak.
        protocol=2,
        driver_info=None,
        **options,
    )
    return Redis.from_pool(pool)  # closing it closes the pool


def _reason(error: BaseException) -> Reason | None:
    """Why, by the classes in the chain of causes; None when the error is none of Redis' or the network's."""
    from redis import exceptions as theirs

    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(chain) < 10:
        chain.append(link)
        link = link.__cause__ or link.__context__
    by_class: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Reason], ...] = (
        ((theirs.AuthenticationError, theirs.AuthorizationError, theirs.NoPermissionError,
          theirs.AuthenticationWrongNumberOfArgsError), "auth"),
        (theirs.BusyLoadingError, "loading"),
        (theirs.ReadOnlyError, "read_only"),
        (theirs.OutOfMemoryError, "full"),
        (ssl.SSLError, "tls"),
        (socket.gaierror, "dns"),
        (ConnectionRefusedError, "refused"),
        ((TimeoutError, theirs.TimeoutError), "timeout"),
        ((ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError), "disconnected"),
        (OSError, "unreachable"),
        (theirs.ConnectionError, "disconnected"),
        (theirs.RedisError, "error"),
    )  # fmt: skip
    if not isinstance(error, theirs.RedisError | OSError):
        return None
    return next((reason for kinds, reason in by_class if any(isinstance(each, kinds) for each in chain)), "error")


def _still_wanted() -> None:
    """Raise the cancellation that a call swallowed.

    redis-py 8.1 loses about 2 % of the cancellations that meet a call (measured 2026-11: 38 of 2,000), and a loop would
    then never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
