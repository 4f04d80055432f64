"""The chatbot: sessions, messages, personalities, health. Composition root; what it decides stands in its neighbours.

Plain Starlette, the half of FastAPI that serves: the other half is 0.15 s of CPU that a waiting user pays for at every cold
start (bench/cold_start.py). chatbot/described.py makes the OpenAPI document when it is asked for.

Redis, Firebase and the provider's SDK are loaded after the port is open, for a waiting user pays for every import. Until
one of them is there, a call that needs it waits a little; a call that does not is answered.
"""

import asyncio
import logging
import re
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.metadata import version
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from chatify.chatbot.bodies import (
    IncomingMessage,
    NewSession,
    checked_history,
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
from chatify.said import checked_message
from chatify.settings import ChatbotSettings
from chatify.web import body_of, dress
from everwake.keepalive import KeepAlive

__all__ = ["create"]

log = logging.getLogger(__name__)

SERVICE, TITLE = "chatify_chatbot", "Chatify Chatbot"
_PORT_OPEN_AFTER_S = 0.01  # the server opens the port right after the lifespan has begun; imports hold the one core
_SIGN_IN_AFTER_S = 1.0
_PURGE_EVERY_S = 3600.0
_PAGE = 100
_ID_LIMIT_CHARACTERS = 200


def create(settings: ChatbotSettings) -> Starlette:
    """The application for these variables; nothing is connected until its lifespan begins.

    Raises:
        BadSettings: when the operator's personalities cannot be read.
    """
    chatbot = _Chatbot(settings)
    app = Starlette(routes=chatbot.routes(), lifespan=chatbot.live)
    app.router.redirect_slashes = False
    dress(app, settings, body_limit_bytes=settings.body_limit)
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
        if self.settings.redis_url is not None:
            await asyncio.sleep(_PORT_OPEN_AFTER_S)
        # In a thread, for Redis' client takes its time to import.
        store = await asyncio.to_thread(store_for, self.settings)
        await store.open()
        return store

    async def _load_sign_in(self) -> SignIn:
        # Last, and not on top of the first reply: one core imports one thing at a time. Who signs in meanwhile does not
        # wait for this: `SignIn.caller` loads by itself.
        await self.is_warm.wait()
        await asyncio.sleep(_SIGN_IN_AFTER_S)
        state = await self.sign_in.load()
        if state != "ok":
            raise RuntimeError(state.removeprefix("broken: "))
        return self.sign_in

    async def _warm(self) -> None:
        """Import what the first reply needs before somebody waits for it."""
        warm = getattr(self.choice.provider, "warm", None)
        await asyncio.sleep(_PORT_OPEN_AFTER_S)
        try:
            if warm is not None:
                await warm()
            await self.store.decided.wait()
        finally:
            self.is_warm.set()

    @asynccontextmanager
    async def live(self, app: Starlette) -> AsyncIterator[None]:
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

    def routes(self) -> list[BaseRoute]:
        """Every path of the contract; chatbot/described.py describes them."""
        base, one = "/api/v1/chatbot", "/api/v1/chatbot/session/{session_id}"
        return [
            Route(
                f"{one}/message", self.send_message, methods=["POST"]
            ),  # the first that matches is taken: the busiest first
            Route("/health", self.health),
            Route("/health/ready", self.ready),
            Route("/openapi.json", self.describe),
            WebSocketRoute("/ws/keepalive", self.keepalive),
            Route(f"{base}/personalities", self.list_personalities),
            Route(f"{base}/session", self.begin_session, methods=["POST"]),
            Route(one, self.show_session),
            Route(one, self.end_session, methods=["DELETE"]),
            Route(f"{one}/messages", self.list_messages),
        ]

    async def describe(self, request: Request) -> Response:
        """The OpenAPI document."""
        described = await asyncio.to_thread(import_module, "chatify.chatbot.described")
        return JSONResponse(described.document(TITLE, self.version))

    async def health(self, request: Request) -> Response:
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

    async def ready(self, request: Request) -> Response:
        """Whether sessions and messages can be had now; looks at the store, within 5 s."""
        await self.store.look()
        known: list[Dependency[Any]] = [self.store, self.firebase] if self.sign_in.is_configured else [self.store]
        failing = [one for one in known if one.required and one.state != "ready"]
        body = {
            "status": "not_ready" if failing else "ready", "service": SERVICE,
            "dependencies": {one.name: {**one.view, "required": one.required} for one in known},
        }  # fmt: skip
        return JSONResponse(body, 503 if failing else 200, {"Retry-After": "5"} if failing else None)

    async def list_personalities(self, request: Request) -> Response:
        """Whom one can talk to."""
        items = [
            {"id": one.id, "name": one.name, "description": one.description, "opening": one.opening}
            for one in self.personalities.values()
        ]
        return JSONResponse({"items": items, "next": None})

    async def begin_session(self, request: Request) -> Response:
        """Begin a conversation."""
        caller = await self._caller(request)
        new = await body_of(request, NewSession)
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

    async def show_session(self, request: Request) -> Response:
        """A session."""
        session = await self._session(request)
        return JSONResponse(session_body(session, self._opening(session)))

    async def end_session(self, request: Request) -> Response:
        """Forget a session and its messages."""
        session = await self._session(request, may_be_over=True)
        store = await self.store.get()
        await self._stored(store.delete(session.id))
        return Response(status_code=204)

    async def list_messages(self, request: Request) -> Response:
        """Finished messages, oldest first."""
        after, limit = request.query_params.get("after"), _page_size(request.query_params.get("limit"))
        session = await self._session(request)
        store = await self.store.get()
        found = await self._stored(store.messages(session.id, after=after, limit=limit + 1))
        page = found[:limit]
        return JSONResponse(
            {"items": [message_body(one) for one in page], "next": page[-1].id if len(found) > limit else None}
        )

    async def send_message(self, request: Request) -> Response:
        """Say something and get the reply; with `Accept: text/event-stream` in pieces."""
        if self.settings.require_sign_in:
            await self._session(request)
        session_id, key = _session_id(request), _idempotency_key(request)
        text = checked_message((await body_of(request, IncomingMessage)).message)
        if "text/event-stream" in request.headers.get("accept", ""):
            return EventStream(await self.replies.stream(session_id, key, text))
        return JSONResponse(await self.replies.answer(session_id, key, text))

    # --- what routes share --------------------------------------------------------------------------------------------

    async def _caller(self, request: Request) -> Caller | None:
        """Who asks; None where nobody has to sign in."""
        if not self.settings.require_sign_in:
            return None
        return await self.sign_in.caller(request.headers.get("authorization"))

    async def _session(self, request: Request, *, may_be_over: bool = False) -> Session:
        """The session of the path, if this caller may see it: who may not is told what one is told who guessed.

        Raises:
            Problem: 401, 404, 410 or 503.
        """
        caller = await self._caller(request)
        session_id = _session_id(request)
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
            self.store.saw_failure(failure.reason, failure.detail)
            raise self.store.problem(failure.reason, failure.retry_after_s) from None
        self.store.saw_success()
        return answer

    def _opening(self, session: Session) -> str | None:
        personality = self.personalities.get(session.personality_id)
        return None if personality is None else personality.opening


def _session_id(request: Request) -> str:
    session_id: str = request.path_params["session_id"]
    if len(session_id) > _ID_LIMIT_CHARACTERS:
        raise Problem(422, "invalid_request", "session_id is longer than any.")
    return session_id


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,200}", key):
        raise Problem(422, "invalid_request", "Idempotency-Key: write 1 to 200 visible ASCII characters.")
    return key


def _page_size(asked: str | None) -> int:
    if asked is None:
        return _PAGE
    if not re.fullmatch(r"[0-9]{1,3}", asked, re.ASCII) or not 1 <= int(asked) <= _PAGE:
        raise Problem(422, "invalid_request", f"limit: write a whole number from 1 to {_PAGE}.")
    return int(asked)


def _personalities(settings: ChatbotSettings) -> Mapping[str, Personality]:
    try:
        return load_personalities(settings.personalities_dir)
    except BadPersonalities as found:
        raise BadSettings(
            tuple(
                Mistake(
                    variable="PERSONALITIES_DIR", problem="bad_file", message=one.message, column=None,
                    found=one.file.name if one.file == settings.personalities_dir
                    else f"{one.file.name}:{one.line}:{one.column}",
                    fix=one.fix,
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
