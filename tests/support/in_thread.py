"""A real uvicorn on a free loopback port, in a thread and event loop of its own: quick to start, unlike a process."""

import threading
import time
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn
from starlette.types import ASGIApp

__all__ = ["InThread"]


class InThread:
    """`with InThread(app) as server:` - `server.client` talks to it; its lifespan has ended when the block has."""

    def __init__(self, app: ASGIApp, *, config: uvicorn.Config | None = None) -> None:
        config = config or uvicorn.Config(
            app, port=0, ws="websockets-sansio", log_config=None, access_log=False, timeout_graceful_shutdown=3
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="in-thread", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 15
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise TimeoutError("uvicorn did not start")
            time.sleep(0.005)
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=20)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(20)

    # --- what most tests of the chatbot begin with --------------------------------------------------------------------

    def session(self, **body: Any) -> str:
        """The id of a new session."""
        answer = self.client.post("/api/v1/chatbot/session", json={"user_id": "ada", **body})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["session_id"])

    def say(self, session_id: str, text: str, key: str | None = None, **headers: str) -> httpx.Response:
        """Send one message."""
        sent = {"Idempotency-Key": key, **headers} if key else headers
        return self.client.post(f"/api/v1/chatbot/session/{session_id}/message", json={"message": text}, headers=sent)
