"""`WS /ws/chat/{session_id}`: what happens in a session, told to a page as it happens."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from chatify.backend.hub import Event, Hub, Listener
from chatify.backend.orchestrator import outcome_event
from chatify.backend.outbox import ChatSession, Outbox, OutboxUnavailable
from chatify.backend.waker import Waker
from chatify.problems import Problem

__all__ = ["Lines"]

POLICY, TRY_AGAIN, RESTART = 1008, 1013, 1012
SIGN_IN_WITHIN_S = 10.0
SEND_WITHIN_S = 20.0
# Nothing need be missed, whatever was lost between processes: a page that waits for something has the store read for it.
LOOK_WHEN_WAITING_S = 4.0
LOOK_WHEN_QUIET_S = 30.0
PAGE = 100

Owner = Callable[[str], Awaitable[str | None]]


class Lines:
    """Every open line. owner_of: the user id of an ID token; None where nobody has to sign in.   most: lines at once.

    used: called when a page opens its line and at each of its pings, which only a page that is looked at sends.
    """

    def __init__(
        self,
        outbox: Outbox,
        hub: Hub,
        waker: Waker,
        *,
        owner_of: Callable[[str], Awaitable[str]] | None,
        most: int = 10_000,
        used: Callable[[], None] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._hub = hub
        self._waker = waker
        self._owner_of = owner_of
        self._most = most
        self._used = used
        self._open = 0

    async def serve(self, socket: WebSocket) -> None:
        """One line from its handshake to its end."""
        await socket.accept()
        if self._open >= self._most:
            await socket.close(TRY_AGAIN)
            return
        self._open += 1
        try:
            await self._talk(socket, socket.path_params["session_id"])
        except OutboxUnavailable:
            await self._hang_up(socket, TRY_AGAIN)
        except (WebSocketDisconnect, TimeoutError, OSError):
            await self._hang_up(socket, TRY_AGAIN)
        finally:
            self._open -= 1

    async def _talk(self, socket: WebSocket, session_id: str) -> None:
        user_id = None
        if self._owner_of is not None:
            user_id = await self._signed_in(socket)
            if user_id is None:
                await socket.close(POLICY, "sign in first")
                return
        async with self._hub.listening(session_id) as listener:
            # Read after the listening began: what is not in it comes as an event.
            session = await self._outbox.session(session_id)
            if session is None or (user_id is not None and session.user_id != user_id):
                await socket.close(POLICY, "no such session")
                return
            self._used()
            hello = {"type": "hello", "session_id": session_id, "chatbot": self._waker.standing.value}
            await _send(socket, hello)
            await self._both_ways(socket, session, listener)

    async def _both_ways(self, socket: WebSocket, session: ChatSession, listener: Listener) -> None:
        """Read and write side by side, until either ends."""
        reader = asyncio.create_task(_read(socket, listener, self._used))
        try:
            await self._write(socket, session, listener, reader)
        finally:
            reader.cancel()
            await asyncio.wait({reader})

    async def _write(
        self, socket: WebSocket, session: ChatSession, listener: Listener, reader: "asyncio.Task[None]"
    ) -> None:
        settled, accepted = session.settled, session.accepted
        while not reader.done():
            wait_s = LOOK_WHEN_WAITING_S if accepted > settled else LOOK_WHEN_QUIET_S
            event: Event | None
            try:
                async with asyncio.timeout(wait_s):
                    event = await listener.next()
            except TimeoutError:
                now = await self._outbox.session(session.id)
                if now is None:
                    await socket.close(POLICY, "no such session")
                    return
                accepted = now.accepted
                if now.settled > settled:
                    for event in await self._missed(session.id, settled, now.settled):
                        await _send(socket, event)
                    settled = now.settled
                continue
            if event is None:
                await self._hang_up(socket, TRY_AGAIN)
                return
            if event["type"] == "queued":
                accepted = max(accepted, settled + 1)
            elif event["type"] in ("reply", "failed") and event["number"] == settled + 1:
                settled += 1
            await _send(socket, event)

    async def _missed(self, session_id: str, after: int, until: int) -> list[Event]:
        """Outcomes of the messages numbered over `after` and up to `until`; of very many only the newest."""
        found = await self._outbox.messages(session_id, after=max(after, until - PAGE), limit=PAGE)
        return [
            outcome_event(one.id, one.number, one.status, one.outcome)
            for one in found
            if one.number <= until and one.outcome is not None
        ]

    async def _signed_in(self, socket: WebSocket) -> str | None:
        assert self._owner_of is not None
        async with asyncio.timeout(SIGN_IN_WITHIN_S):
            frame = await _frame(socket)
        if frame is None or frame.get("type") != "sign_in" or not isinstance(frame.get("token"), str):
            return None
        try:
            return await self._owner_of(frame["token"])
        except Problem:
            return None

    @staticmethod
    async def _hang_up(socket: WebSocket, code: int) -> None:
        with suppress(RuntimeError, OSError, TimeoutError, WebSocketDisconnect):  # it is gone already
            async with asyncio.timeout(SEND_WITHIN_S):
                await socket.close(code)


async def _send(socket: WebSocket, event: Event) -> None:
    async with asyncio.timeout(SEND_WITHIN_S):
        await socket.send_text(json.dumps(event))


async def _frame(socket: WebSocket) -> dict[str, Any] | None:
    """The next frame; None for what is no JSON object. Raises `WebSocketDisconnect` at the end."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    try:
        found = json.loads(message.get("text") or "")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


async def _read(socket: WebSocket, listener: Listener, used: Callable[[], None]) -> None:
    """Answer pings; everything else is ignored. Ends the writer when the client goes."""
    try:
        while True:
            frame = await _frame(socket)
            if frame is not None and frame.get("type") == "ping":
                used()
                seq = frame.get("seq")
                answer = {"type": "pong", "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"}
                listener.tell(answer if not isinstance(seq, int) else {**answer, "seq": seq})
    except WebSocketDisconnect:
        listener.drop()
