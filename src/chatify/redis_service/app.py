"""The Redis service: says over HTTP whether Redis answers, and is kept awake."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.routing import WebSocketRoute

from chatify.problems import Problem
from chatify.redis_service.pulse import Pulse, Silent
from chatify.settings import RedisServiceSettings
from chatify.web import create_app, problems
from everwake.keepalive import KeepAlive

__all__ = ["create"]

SERVICE = "redis_service"
_RETRY_AFTER_S = 5


class RedisState(BaseModel):
    """Redis, as it answered."""

    latency_ms: float = Field(description="one PING and back")


class Healthy(BaseModel):
    """Redis answers."""

    status: Literal["healthy"] = "healthy"
    service: Literal["redis_service"] = "redis_service"
    redis: RedisState


class About(BaseModel):
    """Where one can go from here."""

    service: Literal["redis_service"] = "redis_service"
    version: str
    health: str = "/health"
    keepalive: str = "/ws/keepalive"
    docs: str = "/docs"


def create(settings: RedisServiceSettings) -> FastAPI:
    """The application. Nothing is connected before its lifespan, and the port does not wait for Redis."""
    pulse = Pulse(None if settings.redis_url is None else settings.redis_url.get_secret_value())
    keep_alive = KeepAlive(service=SERVICE)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with pulse.beating():
            yield

    app = create_app(title="Redis service", settings=settings, lifespan=lifespan)

    async def health() -> Any:
        """200 while Redis answers PING; else 503 with the reason. Takes 2 s at the most."""
        seen = await pulse.feel()
        if isinstance(seen, Silent):
            raise Problem(
                503, "redis_unavailable", f"Redis does not answer: {seen.reason}.", retry_after_s=_RETRY_AFTER_S,
                more={"health": "unhealthy", "service": SERVICE, "redis": {"reason": seen.reason}},
            )  # fmt: skip
        return Healthy(redis=RedisState(latency_ms=round(seen.latency_s * 1000, 3)))

    async def about() -> Any:
        """What this is."""
        return About(version=app.version)

    for path in ("/health", "/health/ready"):
        app.add_api_route(path, health, methods=["GET"], response_model=Healthy, responses=problems(503))
        app.add_api_route(path, health, methods=["HEAD"], include_in_schema=False)
    app.add_api_route("/", about, methods=["GET"], response_model=About)
    app.router.routes.append(WebSocketRoute("/ws/keepalive", keep_alive))
    return app
