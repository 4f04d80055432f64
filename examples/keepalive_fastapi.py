"""A FastAPI service with a keep-alive line: uvicorn --app-dir examples keepalive_fastapi:app"""

from fastapi import FastAPI

from everwake.keepalive import KeepAlive

app = FastAPI()
app.router.add_websocket_route("/ws/keepalive", KeepAlive(service="my_service"))  # type: ignore[arg-type]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy", "service": "my_service"}
