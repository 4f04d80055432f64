"""A keep-alive line around any ASGI app: uvicorn --app-dir examples keepalive_plain:app"""

from typing import Any

from everwake.keepalive import KeepAlive


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello\n"})


app = KeepAlive(service="my_service").around(hello, path="/ws/keepalive")
