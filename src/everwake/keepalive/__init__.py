"""A WebSocket that keeps a service awake: `KeepAlive` serves it, `everwake.keepalive.client` holds its other end."""

from everwake.keepalive.asgi import KeepAlive, Stats

__all__ = ["KeepAlive", "Stats"]
