"""The backend: the chat page, sessions, messages, health. Composition root."""

import asyncio
import logging
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Header, Path, Query, Response
from fastapi.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from chatify.backend.answers import Created, Refused
from chatify.backend.bodies import (
    AnsweredBody,
    HealthBody,
    IncomingMessage,
    MessageList,
    NewSession,
    PersonalityList,
    QueuedBody,
    SessionBody,
    answered_body,
    failed_problem,
    message_body,
    session_body,
)
from chatify.backend.chatbot import Chatbot, Patience
from chatify.backend.hub import Event, Hub
from chatify.backend.keeper import Keeper
from chatify.backend.line import Lines
from chatify.backend.orchestrator import Orchestrator, Pace, made_of, moment
from chatify.backend.outbox import (
    Accepted,
    ChatSession,
    IdReused,
    Message,
    NoSession,
    Outbox,
    OutboxUnavailable,
    TooManyWaiting,
)
from chatify.backend.page import mount
from chatify.backend.personalities import Personalities
from chatify.backend.stores.sqlite import SqliteOutbox
from chatify.limits import RateLimiter
from chatify.problems import Problem
from chatify.said import checked_message
from chatify.settings import BackendSettings
from chatify.web import create_app, problems
from everwake.keepalive import KeepAlive

__all__ = ["create"]

log = logging.getLogger(__name__)
T = TypeVar("T")

SERVICE = "chatify_backend"
DEFAULT_PERSONALITY = "general-assistant"
CREATE_WITHIN_S = 3.0
READY_WITHIN_S = 5.0
STOP_WITHIN_S = 3.0  # uvicorn may have waited 20 s before, and at 24.5 s the process is cut
FIRST_LOOK_S, LOOK_EVERY_S = 0.05, 1.0
OWNERS = 10_000
PAGE, PAGE_LIMIT = 100, 200

SessionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
Authorization = Annotated[str | None, Header(include_in_schema=False)]
UserAgent = Annotated[str, Header(include_in_schema=False)]
# The keeper talks too, to see whether it is answered: it is no user, and nobody is to be kept awake for it.
KEEPERS_AGENT = "everwake"


def create(settings: BackendSettings, *, patience: Patience | None = None, pace: Pace | None = None) -> FastAPI:
    """The application for these variables; nothing is connected until its lifespan begins."""
    backend = _Backend(settings, patience or Patience(), pace or Pace())
    app = create_app(
        title="Chatify Backend", settings=settings, lifespan=backend.live, body_limit_bytes=settings.body_limit
    )
    backend.hang_routes(app)
    mount(app)
    return app


class _Backend:
    def __init__(self, settings: BackendSettings, patience: Patience, pace: Pace) -> None:
        self.settings = settings
        self.version = version("everwake")
        self.outbox, self.hub = _outbox(settings, pace)
        token = settings.service_token
        self.chatbot = Chatbot(
            settings.chatbot_url,
            token=token.get_secret_value() if token else None,
            most=pace.most + 16,
            patience=patience,
        )
        self.orchestrator = Orchestrator(self.outbox, self.chatbot, self.hub, pace)
        self.waker = self.orchestrator.waker
        self.personalities = Personalities(self.chatbot, self.waker, self.outbox)
        self.sign_in: Any = None
        self.keeper = _keeper(settings)
        self.lines = Lines(
            self.outbox, self.hub, self.waker, owner_of=self._verified if settings.require_sign_in else None,
            used=self._used,
        )  # fmt: skip
        self.keepalive = KeepAlive(service=SERVICE)
        self.rate = RateLimiter(settings.rate_limit)
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._outbox_state = "unknown"

    @asynccontextmanager
    async def live(self, app: FastAPI) -> AsyncIterator[None]:
        """Own everything that runs beside the requests."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.orchestrator.run()), group.create_task(self.hub.run())]
            if self.keeper is not None:
                tasks.append(group.create_task(self.keeper.run()))
            if self.settings.require_sign_in:
                tasks.append(group.create_task(self._load_sign_in()))
            try:
                yield
                await self.orchestrator.stop(STOP_WITHIN_S)
            finally:
                for task in tasks:
                    task.cancel()
        await self.chatbot.close()
        with suppress(OutboxUnavailable):
            await self.outbox.close()
        if self.sign_in is not None:
            await self.sign_in.close()

    async def _load_sign_in(self) -> None:
        await (await self._sign_in()).load()

    async def _sign_in(self) -> Any:
        if self.sign_in is None:
            # In a thread: firebase-admin takes its time to import.
            module = await asyncio.to_thread(import_module, "chatify.firebase")
            settings = self.settings
            self.sign_in = self.sign_in or module.SignIn(
                project_id=settings.firebase_project_id,
                credentials=settings.firebase_credentials,
                credentials_file=settings.firebase_credentials_file,
                client_email=settings.firebase_client_email,
                private_key=settings.firebase_private_key,
            )
        return self.sign_in

    async def _verified(self, token: str) -> str:
        return str(await (await self._sign_in()).verify(token))

    # --- routes -------------------------------------------------------------------------------------------------------

    def hang_routes(self, app: FastAPI) -> None:
        """Every path of docs/backend.md but the page's."""
        base, one = "/api/v1/chat", "/api/v1/chat/sessions/{session_id}"
        app.add_api_route("/health", self.health, methods=["GET"], response_model=HealthBody)
        app.add_api_route("/health", self.health, methods=["HEAD"], include_in_schema=False)
        app.add_api_route("/health/ready", self.ready, methods=["GET"], responses=problems(503))
        app.router.routes.append(WebSocketRoute("/ws/keepalive", self.keepalive))
        app.router.routes.append(WebSocketRoute("/ws/chat/{session_id}", self._line))
        app.add_api_route(
            f"{base}/personalities",
            self.list_personalities,
            methods=["GET"],
            responses={200: {"model": PersonalityList}},
        )
        app.add_api_route(
            f"{base}/sessions",
            self.begin_session,
            methods=["POST"],
            responses={200: {"model": SessionBody}, **problems(401, 403, 413, 422, 429, 503)},
        )
        app.add_api_route(
            one,
            self.show_session,
            methods=["GET"],
            responses={200: {"model": SessionBody}, **problems(401, 404, 422, 503)},
        )
        app.add_api_route(
            f"{one}/messages",
            self.send_message,
            methods=["POST"],
            responses={
                200: {"model": AnsweredBody},
                202: {"model": QueuedBody},
                **problems(401, 404, 409, 410, 413, 422, 429, 500, 502, 503, 504),
            },
        )
        app.add_api_route(
            f"{one}/messages",
            self.list_messages,
            methods=["GET"],
            responses={200: {"model": MessageList}, **problems(401, 404, 422, 503)},
        )

    async def health(self) -> Response:
        """The process serves. Waits for nothing; the chatbot's last known state stands beside."""
        stats = self.keepalive.stats
        return JSONResponse(
            {
                "status": "healthy", "service": SERVICE, "version": self.version,
                "chatbot": {"state": self.waker.standing.value, "since": moment(self.waker.since),
                            "detail": self.waker.detail},
                "outbox": {"store": self.outbox.name, "state": self._outbox_state},
                "keepalive": {"lines": stats.lines, "beats": stats.beats, "heard": stats.heard},
            }
        )  # fmt: skip

    async def ready(self) -> Response:
        """Whether messages can be accepted now; looks at the outbox. A sleeping chatbot is no hindrance: messages wait."""
        await self._stored(self.outbox.ping())
        body = {"status": "ready", "service": SERVICE, "outbox": self.outbox.name}
        if self.settings.require_sign_in:
            body["sign_in"] = await (await self._sign_in()).load()
            if body["sign_in"] != "ok":
                detail = f"Nobody can sign in: {body['sign_in']}."
                raise Problem(503, "sign_in_unavailable", detail, retry_after_s=60)
        return JSONResponse(body)

    async def list_personalities(self) -> Response:
        """Whom one can talk to."""
        self._used()
        items, is_stale = await self.personalities.offered()
        return JSONResponse({"items": items, "next": None, "stale": is_stale})

    async def begin_session(
        self, new: NewSession, authorization: Authorization = None, user_agent: UserAgent = ""
    ) -> Response:
        """Begin a conversation; answered at once, also while the chatbot sleeps."""
        user_id = await self._user(authorization, new.user_id)
        self._take(user_id)
        self._used(user_agent)
        personality_id = new.personality_id or DEFAULT_PERSONALITY
        made = await self.orchestrator.make(user_id, personality_id, CREATE_WITHIN_S)
        is_known: bool | None = None
        if isinstance(made, Refused) and made.status == 422:
            raise Problem(422, made.code, str(made.problem.get("detail", "")))
        if not isinstance(made, Created):
            is_known = await self.personalities.knows(personality_id)
        if is_known is False:
            raise Problem(422, "personality_not_found", "There is no such personality.")
        session = ChatSession(
            id=secrets.token_urlsafe(18), user_id=user_id, personality_id=personality_id, created_at=time.time(),
            made=made_of(made) if isinstance(made, Created) else None,
        )  # fmt: skip
        await self._stored(self.outbox.add(session))
        return JSONResponse(session_body(session))

    async def show_session(self, session_id: SessionId, authorization: Authorization = None) -> Response:
        """A session."""
        return JSONResponse(session_body(await self._session(session_id, authorization)))

    async def list_messages(
        self,
        session_id: SessionId,
        after: Annotated[str | None, Query(pattern=r"^[0-9]{1,12}$")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE,
        authorization: Authorization = None,
    ) -> Response:
        """Messages and what became of them, oldest first."""
        session = await self._session(session_id, authorization)
        found = await self._stored(self.outbox.messages(session_id, after=int(after or 0), limit=limit))
        is_more = bool(found) and found[-1].number < session.accepted
        return JSONResponse(
            {"items": [message_body(one) for one in found], "next": str(found[-1].number) if is_more else None}
        )

    async def send_message(
        self, session_id: SessionId, incoming: IncomingMessage, authorization: Authorization = None,
        user_agent: UserAgent = "",
    ) -> Response:  # fmt: skip
        """Say something. 200 with the reply if it is there within REPLY_WAIT; else 202, and it comes later."""
        text = checked_message(incoming.message)
        self._take(await self._owner(session_id, authorization))
        self._used(user_agent)
        message_id = incoming.message_id or secrets.token_urlsafe(12)
        with self.hub.waiting(session_id, message_id) as told:
            match await self._stored(self.orchestrator.accept(session_id, message_id, text)):
                case NoSession():
                    raise _no_session()
                case IdReused():
                    raise Problem(422, "message_id_reused", "This message_id stands for another message.")
                case TooManyWaiting():
                    detail = "Too many messages of this session wait for their replies."
                    raise Problem(429, "too_many_waiting", detail, retry_after_s=5)
                case Accepted(message=message, claim=claim):
                    outcome = await self._outcome(session_id, message, told, is_here=claim is not None)
        if outcome is None:
            body = {"session_id": session_id, "message_id": message_id, "status": "queued",
                    "chatbot": self.waker.standing.value}  # fmt: skip
            return JSONResponse(body, 202)
        if "problem" in outcome:
            raise failed_problem(message_id, outcome["problem"])
        return JSONResponse(answered_body(session_id, message_id, outcome))

    async def _outcome(
        self, session_id: str, message: Message | None, told: "asyncio.Future[Event]", *, is_here: bool
    ) -> dict[str, Any] | None:
        """What became of the message, if it becomes known in time. is_here: this process works on it."""
        until = time.monotonic() + self.settings.reply_wait
        pause_s = LOOK_EVERY_S if is_here else FIRST_LOOK_S
        while message is not None:
            if message.outcome is not None:
                return message.outcome
            left_s = until - time.monotonic()
            if left_s > 0:
                await asyncio.wait({told}, timeout=min(left_s, pause_s))
            pause_s = min(2 * pause_s, LOOK_EVERY_S)
            if told.done():
                return dict(told.result())
            # Another process may have answered it; and the last look is always at the store.
            message = await self._stored(self.outbox.message(session_id, message.id))
            if left_s <= 0:
                return message.outcome if message else None
        return None

    async def _line(self, socket: WebSocket) -> None:
        await self.orchestrator.ready(READY_WITHIN_S)
        await self.lines.serve(socket)

    # --- what routes share --------------------------------------------------------------------------------------------

    async def _user(self, authorization: str | None, claimed: str | None) -> str:
        """Who this is.

        Raises:
            Problem: 401 or 503 of the sign-in; 403 for somebody else's user_id; 422 without any.
        """
        if not self.settings.require_sign_in:
            if claimed is None:
                raise Problem(422, "invalid_request", "body.user_id: Field required")
            return claimed
        signed_in = await (await self._sign_in()).caller(authorization)
        if claimed is not None and claimed != signed_in.id:
            raise Problem(403, "forbidden", "user_id is not the signed-in user.")
        return str(signed_in.id)

    async def _session(self, session_id: str, authorization: str | None) -> ChatSession:
        """The session, if this caller may see it: who may not is told what one is told who guessed."""
        user_id = await self._user(authorization, None) if self.settings.require_sign_in else None
        session: ChatSession | None = await self._stored(self.outbox.session(session_id))
        if session is None or (user_id is not None and session.user_id != user_id):
            raise _no_session()
        return session

    async def _owner(self, session_id: str, authorization: str | None) -> str:
        """Whose session it is, from memory where it was asked before: that never changes."""
        owner = self._owners.get(session_id)
        if owner is None:
            owner = (await self._session(session_id, authorization)).user_id
            self._owners[session_id] = owner
            if len(self._owners) > OWNERS:
                self._owners.popitem(last=False)
        elif self.settings.require_sign_in and await self._user(authorization, None) != owner:
            raise _no_session()
        return owner

    def _used(self, agent: str = "") -> None:
        """Somebody is there: the keeper is told, and nobody waits for that. agent: who it is, as it calls itself."""
        if self.keeper is not None and not agent.lower().startswith(KEEPERS_AGENT):
            self.keeper.used()

    def _take(self, user_id: str) -> None:
        wait_s = self.rate.take(user_id, time.monotonic())
        if wait_s is not None:
            raise Problem(429, "rate_limited", "Too many messages at once.", retry_after_s=math.ceil(wait_s))

    async def _stored(self, call: Awaitable[T]) -> T:
        await self.orchestrator.ready(READY_WITHIN_S)
        try:
            answer = await call
        except OutboxUnavailable as failure:
            self._outbox_state = "unavailable"
            detail = "Messages cannot be kept just now."
            raise Problem(503, "store_unavailable", detail, retry_after_s=failure.retry_after_s) from None
        self._outbox_state = "ok"
        return answer


def _keeper(settings: BackendSettings) -> Keeper | None:
    if settings.keeper_url is None:
        return None
    token = settings.keeper_token
    return Keeper(
        str(settings.keeper_url), str(settings.chatbot_url), token=token.get_secret_value() if token else None
    )


def _outbox(settings: BackendSettings, pace: Pace) -> tuple[Outbox, Hub]:
    if settings.redis_url is None:
        return SqliteOutbox(settings.data_dir / "backend.db"), Hub()
    from chatify.backend.stores.redis import RedisOutbox
    from chatify.backend.stores.redis_wire import RedisWire

    outbox = RedisOutbox(settings.redis_url.get_secret_value(), retention_s=pace.retention_s)
    return outbox, Hub(RedisWire(outbox))


def _no_session() -> Problem:
    return Problem(404, "session_not_found", "There is no such session.")
