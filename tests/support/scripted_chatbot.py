"""A chatbot, and the edge in front of it, that behave as they are told: asleep, gone, hanging, half a reply, forgetful.

A real HTTP server on loopback in the test's own event loop. It keeps the chatbot's promises (one reply for each
Idempotency-Key, a limit, in order of arrival), so that what a backend did to it can be judged by what it holds.
"""

import asyncio
import json
import secrets
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["ScriptedChatbot"]

LOADING = b"<html><title>Service waking up</title></html>"


@dataclass(slots=True)
class Conversation:
    """What the chatbot holds of one session. turns: (key, text, reply)."""

    user_id: str
    personality_id: str
    restored: list[dict[str, str]]
    turns: list[tuple[str, str, str]] = field(default_factory=list)


class ScriptedChatbot:
    """`async with ScriptedChatbot() as bot:` - answers until told otherwise.

    mode: how every request is met; script: how the next messages are met, one each, before `mode` counts again:
    `answer`; `edge-503`, `edge-502`, `edge-404`, `edge-429`, `edge-200`: an edge in its place; `hang`: nothing comes;
    `reset`: the connection is cut; `half`: a stream that breaks after its first piece; `asleep`: a GET is held until
    `wake`, all else is the edge's 503; `late`: the reply is made and stored, and the connection cut before it is sent;
    `problem:STATUS:CODE[:RETRY_AFTER]`: the chatbot's own refusal.
    """

    def __init__(self, *, limit: int = 1_000_000) -> None:
        self.limit = limit
        self.mode = "answer"
        self.script: deque[str] = deque()
        self.personalities = ["general-assistant", "poet"]
        self.conversations: dict[str, Conversation] = {}
        self.seen: Counter[str] = Counter()  # "GET /health", "session", "message"
        self.at_once = 0
        self.most_at_once = 0
        self.authorizations: set[str | None] = set()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._awake = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the port of last time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a killed process: connections break, new ones are refused."""
        assert self._server is not None
        self._server.close()
        for line in self._lines:
            line.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def sleep(self) -> None:
        """From now on `asleep`."""
        self._awake.clear()
        self.mode = "asleep"

    def wake(self) -> None:
        """Held GETs are answered."""
        self.mode = "answer"
        self._awake.set()

    def forget(self) -> None:
        """The disk is lost."""
        self.conversations.clear()

    def texts(self) -> list[list[str]]:
        """What users said, session by session."""
        return [[text for _, text, _ in one.turns] for one in self.conversations.values()]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._lines.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = first.split(" ")
                self.authorizations.add(headers.get("authorization"))
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    if not await self._answer(writer, method, path, headers, body):
                        return
                finally:
                    self.at_once -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(
        self, writer: asyncio.StreamWriter, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> bool:
        """Answer one request; False: cut the connection."""
        is_message = path.endswith("/message")
        self.seen["message" if is_message else "session" if method == "POST" else f"{method} {path}"] += 1
        mode = self.script.popleft() if is_message and self.script else self.mode
        if mode == "asleep" and method == "GET":
            await self._awake.wait()
            mode = "answer"
        match mode.split(":"):
            case ["asleep"]:
                _send(
                    writer, 503, LOADING, "text/html", "Retry-After: 5\r\nx-render-routing: hibernate-pending-wake\r\n"
                )
                return True
            case ["edge-429"]:
                _send(writer, 429, b"", "text/plain", "Retry-After: 1\r\n")
                return True
            case [edge] if edge.startswith("edge-"):
                _send(writer, int(edge[5:]), LOADING, "text/html")
                return True
            case ["hang"]:
                await asyncio.Event().wait()
            case ["reset"]:
                return False
            case ["problem", status, code, *wait]:
                _problem(writer, int(status), code, f"Retry-After: {wait[0]}\r\n" if wait else "")
                return True
        if path == "/health":
            _json(writer, {"status": "healthy", "service": "chatify_chatbot"})
        elif path.endswith("/personalities"):
            _json(writer, {"items": [{"id": one, "name": one} for one in self.personalities], "next": None})
        elif not is_message:
            self._create(writer, json.loads(body))
        else:
            return await self._reply(writer, mode, path.split("/")[-2], headers, json.loads(body)["message"])
        return True

    def _create(self, writer: asyncio.StreamWriter, asked: dict[str, Any]) -> None:
        personality_id = asked.get("personality_id") or "general-assistant"
        if personality_id not in self.personalities:
            _problem(writer, 422, "personality_not_found")
            return
        session_id, restored = secrets.token_hex(8), asked.get("history", [])
        self.conversations[session_id] = Conversation(asked["user_id"], personality_id, restored)
        _json(
            writer,
            {"session_id": session_id, "personality_id": personality_id, "response_limit": self.limit,
             "responses_used": len(restored) // 2, "opening": "Hello!", "created_at": "2026-01-01T00:00:00Z",
             "expires_at": "2027-01-01T00:00:00Z"},
        )  # fmt: skip

    async def _reply(
        self, writer: asyncio.StreamWriter, mode: str, session_id: str, headers: dict[str, str], text: str
    ) -> bool:
        conversation = self.conversations.get(session_id)
        if conversation is None:
            _problem(writer, 404, "session_not_found")
            return True
        is_streamed = "text/event-stream" in headers["accept"]
        if mode == "half":
            _stream(writer, [("delta", {"text": "half a "})])
            await writer.drain()
            return False
        key, offset = headers["idempotency-key"], len(conversation.restored) // 2
        place = next((n for n, turn in enumerate(conversation.turns) if turn[0] == key), None)
        if place is None:
            if len(conversation.turns) + offset >= self.limit:
                _problem(writer, 409, "response_limit_reached")
                return True
            place = len(conversation.turns)
            conversation.turns.append((key, text, f"reply to {text}"))
        if mode == "late":
            return False
        reply, used = conversation.turns[place][2], place + 1 + offset
        done = {"session_id": session_id, "message_id": key, "response": reply, "responses_used": used,
                "responses_left": self.limit - used, "provider": "scripted"}  # fmt: skip
        if is_streamed:
            _stream(writer, [("delta", {"text": reply[:6]}), ("delta", {"text": reply[6:]}), ("done", done)])
            writer.write(b"0\r\n\r\n")
        else:
            _json(writer, done)
        return True


def _send(writer: asyncio.StreamWriter, status: int, body: bytes, kind: str, more: str = "") -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    writer.write(head.encode() + body)


def _json(writer: asyncio.StreamWriter, body: Any) -> None:
    _send(writer, 200, json.dumps(body).encode(), "application/json")


def _problem(writer: asyncio.StreamWriter, status: int, code: str, more: str = "") -> None:
    body = {"type": f"urn:everwake:problem:{code}", "title": code, "status": status, "code": code, "detail": code}
    _send(writer, status, json.dumps(body).encode(), "application/problem+json", more)


def _stream(writer: asyncio.StreamWriter, events: list[tuple[str, Any]]) -> None:
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(event), event)
        for event in (f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in events)
    )
    writer.write(head.encode() + chunks)
