"""A backend on a real port in the test's own event loop, so that its patience can be an argument."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr

from chatify.backend.app import create
from chatify.backend.chatbot import Patience
from chatify.backend.orchestrator import Pace
from chatify.settings import BackendSettings

__all__ = ["Backend", "serving", "until"]

QUICK = Patience(connect_s=2, silence_s=1, quiet_s=1, reply_s=20, create_s=2, wake_s=20)
BRISK = Pace(lease_s=1.5, waking_after_s=0.2, poll_s=0.2, tidy_s=0.2)


class Backend:
    """What a page does with it."""

    def __init__(self, port: int, client: httpx.AsyncClient) -> None:
        self.port = port
        self.client = client

    async def begin(self, user_id: str = "u", **more: Any) -> str:
        """A new session's id."""
        answer = await self.client.post("/api/v1/chat/sessions", json={"user_id": user_id, **more})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["session_id"])

    async def say(self, session_id: str, text: str, message_id: str | None = None) -> httpx.Response:
        """POST one message."""
        body = {"message": text} if message_id is None else {"message": text, "message_id": message_id}
        return await self.client.post(f"/api/v1/chat/sessions/{session_id}/messages", json=body)

    async def messages(self, session_id: str) -> list[dict[str, Any]]:
        """Every message of a session."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = (await self.client.get(f"/api/v1/chat/sessions/{session_id}/messages{after}")).json()
            found += page["items"]
            if page["next"] is None:
                return found
            after = f"?after={page['next']}"

    async def settled(self, session_id: str, count: int, within_s: float = 20.0) -> list[dict[str, Any]]:
        """Wait until `count` messages of a session are settled."""
        async with asyncio.timeout(within_s):
            while True:
                found = await self.messages(session_id)
                if sum(one["status"] != "queued" for one in found) >= count:
                    return found
                await asyncio.sleep(0.02)


async def until(is_so: Any, within_s: float = 10.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(
    folder: Path,
    chatbot_url: str,
    *,
    redis_url: str | None = None,
    patience: Patience = QUICK,
    pace: Pace = BRISK,
    **settings: Any,
) -> AsyncIterator[Backend]:
    """A backend that answers, ended in order at the end."""
    app = create(
        BackendSettings(
            chatbot_url=chatbot_url, data_dir=folder, redis_url=SecretStr(redis_url) if redis_url else None,
            **{"reply_wait": 5.0, **settings},
        ),
        patience=patience,
        pace=pace,
    )  # fmt: skip
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, ws="websockets-sansio", ws_per_message_deflate=False, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    try:
        await until(lambda: server.started or task.done())
        if task.done():
            task.result()
        port = listener.getsockname()[1]
        limits = httpx.Limits(max_connections=500)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits) as client:
            yield Backend(port, client)
    finally:
        server.should_exit = True
        async with asyncio.timeout(30):
            await task
        listener.close()


def frames(raw: str | bytes) -> dict[str, Any]:
    """A WebSocket frame."""
    found: dict[str, Any] = json.loads(raw)
    return found
