"""Is it ready? One look at an HTTP service and one at a Redis, on loopback, without a client library."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Ready", "document", "http", "listens", "redis", "status"]

LOOK_S = 2.0

Ready = Callable[[], Awaitable[bool]]


async def _ask(host: str, port: int, request: bytes, enough: Callable[[bytes], bool]) -> bytes:
    """What the server answered so far when it was `enough`, at most 4 KiB; nothing when it could not be reached in time."""
    heard = b""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(LOOK_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                while not enough(heard) and len(heard) < 4096:
                    more = await reader.read(4096)
                    if not more:
                        break
                    heard += more
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    return heard


def http(url: str) -> Ready:
    """Does GET `url` (http://host:port/path) answer 200?"""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()

    async def look() -> bool:
        answer = await _ask(host, port, request, lambda heard: b"\r\n" in heard)
        return answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 "))

    return look


async def document(url: str) -> dict[str, Any]:
    """The JSON object that GET `url` answers (2 KiB or less of body); empty when it does not."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    request = f"GET {parts.path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode()
    answer = await _ask(host, port, request, lambda heard: False)
    with suppress(ValueError):
        found = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found if isinstance(found, dict) else {}
    return {}


async def listens(host: str, port: int) -> bool:
    """Does something accept a connection there?"""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(LOOK_S):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        return True
    return False


async def status(host: str, port: int, path: str, named: str, within_s: float) -> int | None:
    """Status of GET `path` with the Host header `named`; None when no answer began within the time, or it was none."""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {named}\r\nUser-Agent: Render/1.0\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    head = b""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request.encode("ascii", "replace"))
                while b"\r\n" not in head and len(head) < 1024:
                    more = await reader.read(1024)
                    if not more:
                        break
                    head += more
            finally:
                writer.close()
    version, _, rest = head.partition(b" ")
    return int(rest[:3]) if version.startswith(b"HTTP/1.") and rest[:3].isdigit() else None


def redis(host: str, port: int, password: str) -> Ready:
    """Does the Redis let us in and answer PING?"""
    request = f"*2\r\n$4\r\nAUTH\r\n${len(password)}\r\n{password}\r\n*1\r\n$4\r\nPING\r\n".encode()

    async def look() -> bool:
        answer = await _ask(host, port, request, lambda heard: heard.count(b"\r\n") >= 2 or heard.startswith(b"-"))
        return answer.startswith(b"+OK\r\n+PONG")

    return look
