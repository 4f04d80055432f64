"""Bounds on what a client may ask of a service: the size of a body, the time it takes to arrive, messages a minute."""

import asyncio
from collections import OrderedDict

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit", "RateLimiter"]


class BodyLimit:
    """ASGI middleware: a body over `limit_bytes` is 413, one that takes longer than `arrival_s` to arrive is 408:
    in all, however often a piece of it comes.

    The exceptions rise inside the application, whose handlers make problem documents of them; what is left of the body is
    never kept. limit_bytes >= 0, arrival_s > 0.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, arrival_s: float = 30.0) -> None:
        self.app = app
        self.limit_bytes = limit_bytes
        self.arrival_s = arrival_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        too_large = announced.isdigit() and int(announced[:20]) > self.limit_bytes
        seen_bytes, arrived = 0, False
        deadline_s: float | None = None  # of the whole body, on the loop's clock; begins when it is first asked for

        async def bounded() -> Message:
            nonlocal seen_bytes, arrived, deadline_s
            if arrived:  # what comes now is only the client's going away, which has no deadline
                return await receive()
            if too_large:
                raise _too_large(self.limit_bytes)
            if deadline_s is None:
                deadline_s = asyncio.get_running_loop().time() + self.arrival_s
            try:
                async with asyncio.timeout_at(deadline_s):
                    message = await receive()
            except TimeoutError:
                # 408 tells a client that it may send the same again (RFC 9110, 15.5.9).
                raise HTTPException(408, "The body did not arrive in time.", {"Connection": "close"}) from None
            if message["type"] == "http.request":
                seen_bytes += len(message.get("body", b""))
                if seen_bytes > self.limit_bytes:
                    raise _too_large(self.limit_bytes)
                arrived = not message.get("more_body", False)
            else:
                arrived = True
            return message

        await self.app(scope, bounded, send)


def _too_large(limit_bytes: int) -> HTTPException:
    # Closing the connection spares both sides the rest of the body.
    return HTTPException(413, f"The body is larger than {limit_bytes} bytes.", {"Connection": "close"})


class RateLimiter:
    """How many messages a user may send: `burst` at once, all of them back after `refill_s` seconds.

    One float a user is kept (the time at which the user's allowance is whole again), for at most `max_users` users; when
    there are more, who was quiet for longest is forgotten. Sizes are positive.
    """

    def __init__(self, burst: int, refill_s: float = 60.0, max_users: int = 10_000) -> None:
        self._each_s = refill_s / burst
        # Half a message of slack: adding up burst times refill_s / burst must not miss the last one by a rounding error.
        self._most_s = refill_s + self._each_s / 2
        self._max_users = max_users
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    def take(self, user_id: str, now_s: float) -> float | None:
        """None: go on. Else the seconds until this user's next message would be let through. now_s: monotonic."""
        whole_at = max(self._whole_at.get(user_id, now_s), now_s) + self._each_s
        wait_s = whole_at - now_s - self._most_s
        if wait_s > 0:
            return wait_s
        self._whole_at[user_id] = whole_at
        self._whole_at.move_to_end(user_id)
        if len(self._whole_at) > self._max_users:
            self._whole_at.popitem(last=False)
        return None
