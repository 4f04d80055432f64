"""The chatbot: sessions, messages, personalities, health. Composition root; what it decides stands in its neighbours.

Redis, Firebase and the provider's SDK are loaded after the port is open, for a waiting user pays for every import. Until
one of them is there, a call that needs it waits a little; a call that does not is answered.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import WebSocketRoute

from chatify.chatbot.bodies import (
    AnswerBody,
    HealthBody,
    IncomingMessage,
    MessageList,
    NewSession,
    PersonalityList,
    ReadyBody,
    SessionBody,
    checked_history,
    checked_message,
    message_body,
    session_body,
)
from chatify.chatbot.dependencies import Dependency
from chatify.chatbot.personalities import DEFAULT_ID, BadPersonalities, Personality
from chatify.chatbot.personalities import load as load_personalities
from chatify.chatbot.providers import choose
from chatify.chatbot.replies import Replies
from chatify.chatbot.sessions import Message, Session, SessionStore, StoreUnavailable
from chatify.chatbot.stores import store_for
from chatify.chatbot.streaming import EventStream
from chatify.firebase import Caller, SignIn, may_act_for
from chatify.limits import RateLimiter
from chatify.mistakes import BadSettings, Mistake
from chatify.problems import Problem
from chatify.settings import ChatbotSettings
from chatify.web import create_app, problems
from everwake.keepalive import KeepAlive

__all__ = ["create"]

log = logging.getLogger(__name__)

SERVICE = "chatify_chatbot"
_PURGE_EVERY_S = 3600.0
_PAGE = 100

SessionId = Annotated[str, Path(max_length=200)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,200}$", description="1 to 200 visible ASCII characters; the same key, the same reply"
    ),
]
Authorization = Annotated[str | None, Header(include_in_schema=False)]


def create(settings: ChatbotSettings) -> FastAPI:
    """The application for these variables; nothing is connected until its lifespan begins.

    Raises:
        BadSettings: when the operator's personalities cannot be read.
    """
    chatbot = _Chatbot(settings)
    app = create_app(
        title="Chatify Chatbot", settings=settings, lifespan=chatbot.live, body_limit_bytes=settings.body_limit
    )
    chatbot.hang_routes(app)
    return app


class _Chatbot:
    def __init__(self, settings: ChatbotSettings) -> None:
        self.settings = settings
        self.version = version("everwake")
        self.personalities = _personalities(settings)
        self.choice = choose(settings, self.personalities)
        self.keepalive = KeepAlive(service=SERVICE)
        self.is_warm = asyncio.Event()
        self.store = Dependency[SessionStore](
            "store", self._open_store, look=lambda store: store.ping(), required=True,
            said="Redis service initialized" if settings.redis_url else "SQLite sessions initialized",
        )  # fmt: skip
        self.sign_in = SignIn(
            project_id=settings.firebase_project_id, credentials=settings.firebase_credentials,
            credentials_file=settings.firebase_credentials_file, client_email=settings.firebase_client_email,
            private_key=settings.firebase_private_key, service_token=settings.service_token,
        )  # fmt: skip
        self.firebase = Dependency[SignIn](
            "firebase", self._load_sign_in, said="Firebase service initialized", required=settings.require_sign_in
        )
        self.replies = Replies(
            store=self.store,
            provider=self.choice.provider,
            personalities=self.personalities,
            rate=RateLimiter(settings.rate_limit),
            max_replies=settings.max_replies,
            reply_within_s=settings.openai_timeout + 5.0,
        )

    # --- what it leans on ---------------------------------------------------------------------------------------------

    async def _open_store(self) -> SessionStore:
        # In a thread, for Redis' client takes its time to import.
        store = await asyncio.to_thread(store_for, self.settings)
        await store.open()
        return store

    async def _load_sign_in(self) -> SignIn:
        # Last: replies need the store and the provider, and one core imports one thing at a time.
        await self.is_warm.wait()
        state = await self.sign_in.load()
        if state != "ok":
            raise RuntimeError(state.removeprefix("broken: "))
        return self.sign_in

    async def _warm(self) -> None:
        """Import what the first reply needs before somebody waits for it."""
        warm = getattr(self.choice.provider, "warm", None)
        try:
            if warm is not None:
                await warm()
            await self.store.decided.wait()
        finally:
            self.is_warm.set()

    @asynccontextmanager
    async def live(self, app: FastAPI) -> AsyncIterator[None]:
        """Own everything that runs beside the requests."""
        if self.settings.redis_url is None:
            log.info("Redis not configured, using SQLite")
        if not self.sign_in.is_configured:
            log.info("Firebase not configured")
        if self.choice.warning:
            log.warning("%s", self.choice.warning)
        beside: list[Coroutine[Any, Any, None]] = [
            self.store.keep(),
            self._warm(),
            self.replies.keep_leases(),
            self._purge(),
        ]
        if self.sign_in.is_configured:
            beside.append(self.firebase.keep())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_outermost(work)) for work in beside]
            try:
                yield
                # What uvicorn had to cancel still gives its place back.
                await self.replies.settled(within_s=2.0)
            finally:
                for task in tasks:
                    task.cancel()
        await self._close()

    async def _close(self) -> None:
        await self.choice.provider.close()
        await self.sign_in.close()
        if self.store.value is not None:
            await self.store.value.close()

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(_PURGE_EVERY_S)
            if self.store.value is not None:
                await self.store.value.purge(datetime.now(UTC))

    # --- routes -------------------------------------------------------------------------------------------------------

    def hang_routes(self, app: FastAPI) -> None:
        """Every path of the contract."""
        base, one = "/api/v1/chatbot", "/api/v1/chatbot/session/{session_id}"
        app.add_api_route("/health", self.health, methods=["GET"], response_model=HealthBody)
        app.add_api_route("/health", self.health, methods=["HEAD"], include_in_schema=False)
        app.add_api_route(
            "/health/ready",
            self.ready,
            methods=["GET"],
            responses={200: {"model": ReadyBody}, 503: {"model": ReadyBody}},
        )
        app.router.routes.append(WebSocketRoute("/ws/keepalive", self.keepalive))
        app.add_api_route(
            f"{base}/personalities",
            self.list_personalities,
            methods=["GET"],
            responses={200: {"model": PersonalityList}},
        )
        app.add_api_route(
            f"{base}/session",
            self.begin_session,
            methods=["POST"],
            responses={200: {"model": SessionBody}, **problems(401, 403, 422, 503)},
        )
        app.add_api_route(
            one,
            self.show_session,
            methods=["GET"],
            responses={200: {"model": SessionBody}, **problems(401, 404, 410, 422, 503)},
        )
        app.add_api_route(
            one, self.end_session, methods=["DELETE"], status_code=204, responses=problems(401, 404, 422, 503)
        )
        app.add_api_route(
            f"{one}/messages",
            self.list_messages,
            methods=["GET"],
            responses={200: {"model": MessageList}, **problems(401, 404, 410, 422, 503)},
        )
        app.add_api_route(
            f"{one}/message",
            self.send_message,
            methods=["POST"],
            responses={
                200: {"model": AnswerBody, "content": {"text/event-stream": {}}},
                **problems(401, 404, 409, 410, 422, 429, 502, 503),
            },
        )

    async def health(self) -> Response:
        """The process serves. Waits for nothing."""
        choice, stats = self.choice, self.keepalive.stats
        provider: dict[str, Any] = {"name": choice.provider.name, "note": choice.note}
        if self.replies.last_failure is not None:
            provider["last_failure"] = self.replies.last_failure
        off = {"state": "off"}
        is_redis = self.settings.redis_url is not None
        return JSONResponse(
            {
                "status": "healthy", "service": SERVICE, "version": self.version, "provider": provider,
                "store": {"name": "redis" if is_redis else "sqlite", **self.store.view},
                "redis": self.store.view if is_redis else off,
                "firebase": self.firebase.view if self.sign_in.is_configured else off,
                "keepalive": {"lines": stats.lines, "beats": stats.beats, "heard": stats.heard},
            }
        )  # fmt: skip

    async def ready(self) -> Response:
        """Whether sessions and messages can be had now; looks at the store, within 5 s."""
        await self.store.look()
        known: list[Dependency[Any]] = [self.store, self.firebase] if self.sign_in.is_configured else [self.store]
        failing = [one for one in known if one.required and one.state != "ready"]
        body = {
            "status": "not_ready" if failing else "ready", "service": SERVICE,
            "dependencies": {one.name: {**one.view, "required": one.required} for one in known},
        }  # fmt: skip
        return JSONResponse(body, 503 if failing else 200, {"Retry-After": "5"} if failing else None)

    async def list_personalities(self) -> Response:
        """Whom one can talk to."""
        items = [
            {"id": one.id, "name": one.name, "description": one.description, "opening": one.opening}
            for one in self.personalities.values()
        ]
        return JSONResponse({"items": items, "next": None})

    async def begin_session(self, new: NewSession, authorization: Authorization = None) -> Response:
        """Begin a conversation."""
        caller = await self._caller(authorization)
        if caller is not None and not may_act_for(caller, new.user_id):
            raise Problem(403, "forbidden", "user_id is not the signed-in user.")
        personality_id = new.personality_id or DEFAULT_ID
        if personality_id not in self.personalities:
            raise Problem(422, "personality_not_found", "There is no such personality.")
        limit = self.settings.session_response_limit
        checked_history(new.history, limit)
        now = datetime.now(UTC)
        session = Session(
            id=str(uuid.uuid4()), user_id=new.user_id, personality_id=personality_id, response_limit=limit,
            responses_used=len(new.history) // 2, created_at=now, expires_at=now + timedelta(seconds=self.settings.session_ttl),
        )  # fmt: skip
        history = [Message(id=f"{n}", role=past.role, text=past.text, at=now) for n, past in enumerate(new.history)]
        store = await self.store.get()
        await self._stored(store.create(session, history))
        log.info("[SESSION] Created session %s with response limit: %d", session.id, limit)
        return JSONResponse(session_body(session, self._opening(session)))

    async def show_session(self, session_id: SessionId, authorization: Authorization = None) -> Response:
        """A session."""
        session = await self._session(session_id, authorization)
        return JSONResponse(session_body(session, self._opening(session)))

    async def end_session(self, session_id: SessionId, authorization: Authorization = None) -> Response:
        """Forget a session and its messages."""
        await self._session(session_id, authorization, may_be_over=True)
        store = await self.store.get()
        await self._stored(store.delete(session_id))
        return Response(status_code=204)

    async def list_messages(
        self,
        session_id: SessionId,
        after: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE)] = _PAGE,
        authorization: Authorization = None,
    ) -> Response:
        """Finished messages, oldest first."""
        await self._session(session_id, authorization)
        store = await self.store.get()
        found = await self._stored(store.messages(session_id, after=after, limit=limit + 1))
        page = found[:limit]
        return JSONResponse(
            {"items": [message_body(one) for one in page], "next": page[-1].id if len(found) > limit else None}
        )

    async def send_message(
        self,
        request: Request,
        session_id: SessionId,
        incoming: IncomingMessage,
        idempotency_key: IdempotencyKey = None,
        authorization: Authorization = None,
    ) -> Response:
        """Say something and get the reply; with `Accept: text/event-stream` in pieces."""
        text = checked_message(incoming.message)
        if self.settings.require_sign_in:
            await self._session(session_id, authorization)
        if "text/event-stream" in request.headers.get("accept", ""):
            return EventStream(await self.replies.stream(session_id, idempotency_key, text))
        return JSONResponse(await self.replies.answer(session_id, idempotency_key, text))

    # --- what routes share --------------------------------------------------------------------------------------------

    async def _caller(self, authorization: str | None) -> Caller | None:
        """Who asks; None where nobody has to sign in."""
        return await self.sign_in.caller(authorization) if self.settings.require_sign_in else None

    async def _session(self, session_id: str, authorization: str | None, *, may_be_over: bool = False) -> Session:
        """The session, if this caller may see it: who may not is told what one is told who guessed.

        Raises:
            Problem: 401, 404, 410 or 503.
        """
        caller = await self._caller(authorization)
        store = await self.store.get()
        session: Session | None = await self._stored(store.get(session_id))
        if session is None or (caller is not None and not may_act_for(caller, session.user_id)):
            raise Problem(404, "session_not_found", "There is no such session.")
        if session.expires_at <= datetime.now(UTC) and not may_be_over:
            raise Problem(410, "session_expired", "The session is over; begin a new one.")
        return session

    async def _stored(self, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            answer = await call
        except StoreUnavailable as failure:
            self.store.saw_failure(failure.reason)
            raise self.store.problem(failure.reason, failure.retry_after_s) from None
        self.store.saw_success()
        return answer

    def _opening(self, session: Session) -> str | None:
        personality = self.personalities.get(session.personality_id)
        return None if personality is None else personality.opening


def _personalities(settings: ChatbotSettings) -> Mapping[str, Personality]:
    try:
        return load_personalities(settings.personalities_dir)
    except BadPersonalities as found:
        raise BadSettings(
            tuple(
                Mistake(
                    variable="PERSONALITIES_DIR", problem="bad_file", message=one.message, column=None,
                    found=f"{one.file.name}:{one.line}:{one.column}", fix=one.fix,
                )
                for one in found.mistakes
            )
        ) from None  # fmt: skip


async def _outermost(work: Coroutine[Any, Any, None]) -> None:
    """A task that fails must not take the service along; it is logged with its traceback."""
    try:
        await work
    except Exception:
        log.exception("a task beside the requests ended")
