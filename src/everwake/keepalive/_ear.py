"""Wait for a message or for a beat, whichever comes first, in one task.

asyncio's own way (`asyncio.wait` over a second task that receives) costs every line that task. Here `receive()` runs
inside the line's own task, step by step, and the task waits at a gate that either its message or a knock opens. So
`send` and `receive` both see the task and the context that the server started, and a message that was half received is
never lost.
"""

import asyncio
import contextvars
import types
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import Any

__all__ = ["Ear", "Event"]

Event = MutableMapping[str, Any]


class _Gate:
    """What the task waits for: it goes on in the very moment the gate is opened, not one turn of the loop later.

    That turn is what matters: uvicorn stops reading a socket until its message was taken, and one turn later the
    loop has told the kernel so, and must tell it again (two `epoll_ctl` a message, a quarter of the CPU of a beat).
    A task takes anything that keeps the contract of `asyncio.isfuture`; these are the parts of it that a task uses.
    """

    __slots__ = ("_asyncio_future_blocking", "_context", "_go_on", "_is_cancelled", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._go_on: Callable[[_Gate], object] | None = None
        self._context: contextvars.Context | None = None
        self._is_cancelled = False

    def open(self, _: object = None) -> None:
        """Let the task run until it waits again. Only from a callback of the loop, where no task is running."""
        go_on, context = self._go_on, self._context
        if go_on is not None and context is not None:
            self._go_on = None
            context.run(go_on, self)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, go_on: "Callable[[_Gate], object]", *, context: contextvars.Context) -> None:
        self._go_on, self._context = go_on, context

    def cancel(self, msg: object = None) -> bool:
        if self._go_on is None:
            return False
        self._is_cancelled = True
        self._loop.call_soon(self.open)
        return True

    def result(self) -> None:
        if self._is_cancelled:
            self._is_cancelled = False
            raise asyncio.CancelledError


class Ear:
    """One line's ear. Only its own task may `listen`; ends with `close`."""

    __slots__ = ("_gate", "_receive", "_steps", "_waits_for", "is_knocked")

    def __init__(self, receive: Callable[[], Awaitable[Event]], loop: asyncio.AbstractEventLoop) -> None:
        self._receive = receive
        self._gate = _Gate(loop)
        self._steps: Generator[Any, Any, Event] | None = None  # the `receive()` in flight
        self._waits_for: asyncio.Future[Any] | None = None  # what that one waits for
        self.is_knocked = False

    def knock(self) -> None:
        """Make the present or the next `listen` answer None; knocks do not add up.

        Only from a callback of the loop. A line that listens has done what the knock makes it do when this returns.
        """
        self.is_knocked = True
        self._gate.open()

    @types.coroutine
    def listen(self) -> Generator[Any, Any, Event | None]:
        """The next event, or None after a knock. Raises whatever `receive()` raises."""
        stop: asyncio.CancelledError | None = None
        while True:
            if self.is_knocked and stop is None:
                self.is_knocked = False
                return None
            waits_for = self._waits_for
            if stop is not None or waits_for is None or waits_for.done():
                self._waits_for = None
                steps = self._steps
                if steps is None:
                    steps = self._steps = self._receive().__await__()
                try:
                    waits_for = steps.send(None) if stop is None else steps.throw(stop)
                except StopIteration as end:
                    self._steps = None
                    return end.value  # type: ignore[no-any-return]
                except BaseException:
                    self._steps = None
                    raise
                stop = None
                if waits_for is not None:
                    # As a task does with a future that its coroutine yields.
                    waits_for._asyncio_future_blocking = False
                    waits_for.add_done_callback(self._gate.open)
                    self._waits_for = waits_for
            try:
                if waits_for is None:
                    yield  # `asyncio.sleep(0)` and its like
                else:
                    self._gate._asyncio_future_blocking = True
                    yield self._gate
            except asyncio.CancelledError as cancelled:
                stop = cancelled

    def close(self) -> None:
        """End a `receive()` that is still in flight."""
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()
