"""A Starlette service with a keep-alive line: uvicorn --app-dir examples keepalive_starlette:app"""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from everwake.keepalive import KeepAlive

app = Starlette(routes=[WebSocketRoute("/ws/keepalive", KeepAlive(service="my_service"))])
