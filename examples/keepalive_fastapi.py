"""A FastAPI service with a keep-alive line: uvicorn --app-dir examples keepalive_fastapi:app"""

from fastapi import FastAPI
from starlette.routing import WebSocketRoute

from everwake.keepalive import KeepAlive

app = FastAPI()
app.router.routes.append(WebSocketRoute("/ws/keepalive", KeepAlive(service="my_service")))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy", "service": "my_service"}
