"""An application in front of another that goes wrong on purpose: refuses, loses answers, cuts, stalls, answers nonsense."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Trouble", "Troubled"]


@dataclass(slots=True, kw_only=True)
class Trouble:
    """One thing that goes wrong, `times` times (-1: for ever), for requests that `asks` fits, e.g. "POST /deploys$".

    status: answered instead, without asking.   first: the request is carried out all the same, and only then answered so.
    cut: the connection breaks, with no whole answer.   hang: nothing is answered.   body, changed: another body, or one made of
    the true one.   late_s: answered that much later.
    """

    asks: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    first: bool = False
    cut: bool = False
    hang: bool = False
    body: bytes | None = None
    changed: Callable[[Any], Any] | None = None
    late_s: float = 0.0


class Troubled:
    """requests: "METHOD path" of all that were asked, and the time of each by the loop's clock."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.ahead: list[Trouble] = []
        self.requests: list[str] = []
        self.times: list[float] = []

    def asked(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, each)) for each in self.requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        asked = f"{scope.get('method', 'WS')} {scope['path']}"
        self.requests.append(asked)
        self.times.append(asyncio.get_running_loop().time())
        trouble = next((each for each in self.ahead if each.times and re.search(each.asks, asked)), None)
        if trouble is None:
            await self.app(scope, receive, send)
            return
        trouble.times -= 1
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.http.response.start", "status": trouble.status or 503, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        await self._wrong(trouble, scope, receive, send)

    async def _wrong(self, trouble: Trouble, scope: Scope, receive: Receive, send: Send) -> None:
        told: list[Message] = []

        async def kept(message: Message) -> None:
            told.append(message)

        if trouble.first or trouble.changed is not None or trouble.late_s:
            await self.app(scope, receive, kept)
        if trouble.late_s:
            await asyncio.sleep(trouble.late_s)
        if trouble.hang:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        body = b"".join(each.get("body", b"") for each in told) if told and trouble.status is None else b""
        status = trouble.status or (told[0]["status"] if told else 200)
        if trouble.changed is not None:
            body = json.dumps(trouble.changed(json.loads(body) if body else None)).encode()
        elif trouble.body is not None:
            body = trouble.body
        elif trouble.status is not None:
            body = b'{"id":"err-1","message":"trouble"}'
        headers = {"content-type": "application/json", "content-length": str(len(body)), **trouble.headers}
        if trouble.cut:
            headers["content-length"] = str(len(body) + 1_000)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        # A body shorter than it was said to be: the server hangs up.
        await send({"type": "http.response.body", "body": body})
