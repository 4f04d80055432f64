"""A scripted backend: the routes of docs/backend.md over real HTTP and WebSocket on loopback, doing just what a test says.

The chat page cannot tell it from the real one, and it can do what the real one does only on a bad day: drop lines, answer
twice, lose its answers, refuse. Everything a test needs to see (who posted what, how often) is kept in plain attributes.
"""

import asyncio
import contextlib
import socket
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from chatify.backend.page import mount
from chatify.problems import Problem

PERSONALITIES = [
    {"id": "general-assistant", "name": "General assistant", "description": "Helps with whatever you bring, plainly.",
     "opening": "Hello! What is on your mind?"},
    {"id": "patient-tutor", "name": "Patient tutor", "description": "Explains step by step and checks that it landed.",
     "opening": "What would you like to understand today?"},
    {"id": "code-reviewer", "name": "Code reviewer", "description": "Reads your code closely and says what matters first.",
     "opening": "Paste the code and tell me what it should do."},
    {"id": "story-teller", "name": "Story teller", "description": "Spins short tales out of anything you name.",
     "opening": "Give me a place, a person and a worry."},
    {"id": "travel-companion", "name": "Travel companion", "description": "Plans routes, packs light, knows the trains.",
     "opening": "Where to, and how many days?"},
    {"id": "quiet-listener", "name": "Quiet listener", "description": "Asks little, listens well, never hurries.",
     "opening": "I am here. Take your time."},
]  # fmt: skip


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class Turn:
    """One message and what became of it."""

    message_id: str
    message: str
    status: str = "queued"
    response: str | None = None
    provider: str | None = None
    problem: dict[str, Any] | None = None
    responses_used: int | None = None
    responses_left: int | None = None
    created_at: str = field(default_factory=now)
    answered_at: str | None = None


@dataclass
class Session:
    session_id: str
    user_id: str | None
    personality_id: str
    response_limit: int | None
    turns: dict[str, Turn] = field(default_factory=dict)
    lines: list[WebSocket] = field(default_factory=list)

    @property
    def used(self) -> int:
        return sum(turn.status == "answered" for turn in self.turns.values())


class FakeBackend:
    """replies: what a POST is answered with at once, None = 202 and the test decides later.

    refusals: problems for the next POSTs of messages, first in first out.   is_waking: the chatbot is asleep.
    has_lines: WebSockets are taken.   loses_answers: the next so many POSTs are kept, but their answers never arrive.
    token: when set, whoever calls needs it.
    """

    def __init__(self) -> None:
        self.replies: Callable[[str], str] | None = lambda text: f"You said: {text}"
        self.provider = "openai"
        self.refusals: deque[Problem] = deque()
        self.is_waking = False
        self.waking_since = now()
        self.has_lines = True
        self.loses_answers = 0
        self.token: str | None = None
        self.response_limit: int | None = 20
        self.page_limit = 200
        self.sessions: dict[str, Session] = {}
        self.posts: list[tuple[str, str]] = []
        self.list_calls = 0
        self.personalities: list[dict[str, Any]] = PERSONALITIES
        self.is_stale = False
        self.sign_ins: list[Any] = []
        self.app = self._routes()
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.port = 0

    # --- what a test says ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def session(self) -> Session:
        """The newest session."""
        return list(self.sessions.values())[-1]

    @property
    def turn(self) -> Turn:
        """The newest turn of the newest session."""
        return list(self.session.turns.values())[-1]

    async def tell(self, session: Session, **event: Any) -> None:
        for line in list(session.lines):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await line.send_json(event)

    def finish(self, session: Session, turn: Turn, text: str) -> dict[str, Any]:
        """Store the reply; the event that tells of it."""
        turn.status, turn.response, turn.provider, turn.answered_at = "answered", text, self.provider, now()
        turn.responses_used = session.used
        if session.response_limit is not None:
            turn.responses_left = session.response_limit - session.used
        return {"type": "reply", "message_id": turn.message_id, "response": text, "provider": turn.provider,
                "responses_used": turn.responses_used, "responses_left": turn.responses_left}  # fmt: skip

    async def answer(self, text: str, *, times: int = 1, turn: Turn | None = None) -> None:
        session = self.session
        event = self.finish(session, turn or self.turn, text)
        for _ in range(times):
            await self.tell(session, **event)

    async def delta(self, text: str) -> None:
        await self.tell(self.session, type="delta", message_id=self.turn.message_id, text=text)

    async def fail(self, problem: Problem) -> None:
        turn = self.turn
        turn.status, turn.problem = "failed", {**problem.body, "message_id": turn.message_id}
        await self.tell(self.session, type="failed", message_id=turn.message_id, problem=turn.problem)

    async def sleep(self, *, for_s: float = 0.0) -> None:
        self.is_waking = True
        self.waking_since = (datetime.now(UTC) - timedelta(seconds=for_s)).isoformat()
        for session in self.sessions.values():
            await self.tell(session, type="waking", since=self.waking_since)

    async def wake(self) -> None:
        self.is_waking = False
        for session in self.sessions.values():
            await self.tell(session, type="awake")

    async def drop_lines(self) -> None:
        for session in self.sessions.values():
            for line in list(session.lines):
                with contextlib.suppress(RuntimeError):
                    await line.close(1012)

    # --- routes -------------------------------------------------------------------------------------------------------

    def _check(self, request: Request) -> None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            raise Problem(401, "unauthorized", "Sign in first.")

    def _find(self, session_id: str) -> Session:
        if session_id not in self.sessions:
            raise Problem(404, "session_not_found", "There is no such session.")
        return self.sessions[session_id]

    def _body(self, session: Session) -> dict[str, Any]:
        known = next((one for one in self.personalities if one["id"] == session.personality_id), {})
        return {
            "session_id": session.session_id, "personality_id": session.personality_id,
            "status": "waking" if self.is_waking else "ready",
            "response_limit": None if self.is_waking else session.response_limit,
            "opening": None if self.is_waking else known.get("opening"), "created_at": now(), "expires_at": None,
            "responses_used": session.used,
        }  # fmt: skip

    async def _post(self, session: Session, message_id: str, message: str) -> Response:
        self.posts.append((message_id, message))
        if self.refusals:
            raise self.refusals.popleft()
        turn = session.turns.get(message_id)
        if turn is None:
            turn = session.turns[message_id] = Turn(message_id, message)
            await self.tell(session, type="queued", message_id=message_id)
        event: dict[str, Any] | None = None
        if turn.status == "queued" and self.replies and not self.is_waking:
            event = self.finish(session, turn, self.replies(message))
        if self.loses_answers:
            self.loses_answers -= 1
            return Response(status_code=502, content=b"<html>Bad gateway</html>", media_type="text/html")
        if event:
            await self.tell(session, **event)
        if turn.problem:
            return JSONResponse(turn.problem, turn.problem["status"], media_type="application/problem+json")
        if turn.status == "answered":
            return JSONResponse({"session_id": session.session_id, "status": "answered", **vars(turn)})
        if self.is_waking:
            await self.tell(session, type="waking", since=self.waking_since, message_id=message_id)
        body = {"session_id": session.session_id, "message_id": message_id, "status": "queued",
                "chatbot": "waking" if self.is_waking else "awake"}  # fmt: skip
        return JSONResponse(body, 202)

    def _routes(self) -> FastAPI:
        app = FastAPI()
        mount(app)

        @app.exception_handler(Problem)
        async def told(request: Request, problem: Problem) -> Response:
            return JSONResponse(problem.body, problem.status, problem.headers, "application/problem+json")

        @app.get("/health")
        async def health() -> dict[str, Any]:
            chatbot = {"state": "waking" if self.is_waking else "awake", "since": self.waking_since}
            return {"status": "healthy", "service": "chatify_backend", "chatbot": chatbot}

        @app.get("/api/v1/chat/personalities")
        async def personalities() -> dict[str, Any]:
            return {"items": self.personalities, "next": None, "stale": self.is_stale}

        @app.post("/api/v1/chat/sessions")
        async def open_session(request: Request, body: dict[str, Any]) -> dict[str, Any]:
            self._check(request)
            session = Session(str(uuid.uuid4()), body.get("user_id"), body.get("personality_id") or "general-assistant",
                              self.response_limit)  # fmt: skip
            self.sessions[session.session_id] = session
            return self._body(session)

        @app.get("/api/v1/chat/sessions/{session_id}")
        async def read_session(request: Request, session_id: str) -> dict[str, Any]:
            self._check(request)
            return self._body(self._find(session_id))

        @app.post("/api/v1/chat/sessions/{session_id}/messages")
        async def post(request: Request, session_id: str, body: dict[str, Any]) -> Response:
            self._check(request)
            return await self._post(self._find(session_id), body["message_id"], body["message"])

        @app.get("/api/v1/chat/sessions/{session_id}/messages")
        async def messages(request: Request, session_id: str, after: int = 0, limit: int = 100) -> dict[str, Any]:
            self._check(request)
            self.list_calls += 1
            turns = list(self._find(session_id).turns.values())
            end = after + min(limit, self.page_limit)
            return {"items": [vars(turn) for turn in turns[after:end]], "next": str(end) if end < len(turns) else None}

        @app.websocket("/ws/chat/{session_id}")
        async def line(websocket: WebSocket, session_id: str) -> None:
            session = self.sessions.get(session_id)
            if not self.has_lines:
                return await websocket.close()
            await websocket.accept()
            if session is None:
                return await websocket.close(1008)
            with contextlib.suppress(WebSocketDisconnect):
                if self.token:
                    self.sign_ins.append(await websocket.receive_json())
                await websocket.send_json({"type": "hello", "session_id": session_id,
                                           "chatbot": "waking" if self.is_waking else "awake"})  # fmt: skip
                session.lines.append(websocket)
                try:
                    while True:
                        if (await websocket.receive_json()).get("type") == "ping":
                            await websocket.send_json({"type": "pong", "timestamp": now()})
                finally:
                    session.lines.remove(websocket)

        return app

    # --- a real server ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen; the second time on the same port as before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self.app, log_level="critical", ws="websockets-sansio", timeout_graceful_shutdown=1,
                                lifespan="off")  # fmt: skip
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve([listener]))
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        assert self._server
        assert self._task
        self._server.should_exit = True
        await self.drop_lines()
        await self._task


class _Server(uvicorn.Server):
    """Signals belong to the test runner."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def fake_backend() -> AsyncGenerator[FakeBackend]:
    backend = FakeBackend()
    await backend.start()
    try:
        yield backend
    finally:
        await backend.stop()


__all__ = ["PERSONALITIES", "FakeBackend", "Session", "Turn", "fake_backend"]
