"""Wait for a message or for a beat, whichever comes first, in one task.

asyncio's own way (`asyncio.wait` over a second task that receives) costs every line that task. Here `receive()` runs
inside the line's own task, step by step, and the task waits for what it waits for, or for a knock. So `send` and
`receive` both see the task and the context that the server started, and a message that was half received is never lost.
"""

import asyncio
import contextvars
import types
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import Any

__all__ = ["Ear", "Event"]

Event = MutableMapping[str, Any]


class Ear:
    """One line's ear. Only its own task may `listen`; ends with `close`.

    To the task this is a future (asyncio.isfuture tells of that contract; `get_loop`, `add_done_callback`, `cancel` and
    `result` are the parts a task uses) that stands before the real one. A message wakes the task as it would without
    us, and a knock in the very moment it comes. Neither takes one more turn of the loop, and that matters: uvicorn
    stops reading a socket until its message was taken, and a turn later the loop would have told the kernel so, and
    would have to tell it again.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_context",
        "_go_on",
        "_loop",
        "_receive",
        "_steps",
        "_waits_for",
        "is_knocked",
    )

    def __init__(self, receive: Callable[[], Awaitable[Event]], loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._receive = receive
        self._steps: Generator[Any, Any, Event] | None = None  # the `receive()` in flight
        self._waits_for: asyncio.Future[Any] | None = None  # what that one waits for
        self._go_on: Callable[[Any], object] | None = None  # wakes the task, while it listens
        self._context: contextvars.Context | None = None
        self.is_knocked = False

    def knock(self) -> None:
        """Make the present or the next `listen` answer None; knocks do not add up.

        Only from a callback of the loop, where no task is running. A line that listens has done what the knock makes it
        do when this returns.
        """
        self.is_knocked = True
        go_on, context, waits_for = self._go_on, self._context, self._waits_for
        # A message that has come but was not taken yet wakes the task by itself; to wake it twice would be wrong.
        if go_on is not None and context is not None and waits_for is not None and not waits_for.done():
            waits_for.remove_done_callback(go_on)
            context.run(go_on, self)

    @types.coroutine
    def listen(self) -> Generator[Any, Any, Event | None]:
        """The next event, or None after a knock. Raises whatever `receive()` raises."""
        thrown: BaseException | None = None
        while True:
            if self.is_knocked and thrown is None:
                self.is_knocked = False
                return None
            waits_for = self._waits_for
            if thrown is not None or waits_for is None or waits_for.done():
                self._waits_for = None
                steps = self._steps
                if steps is None:
                    steps = self._steps = self._receive().__await__()
                try:
                    waits_for = steps.send(None) if thrown is None else steps.throw(thrown)
                except StopIteration as end:
                    self._steps = None
                    return end.value  # type: ignore[no-any-return]
                except BaseException:
                    self._steps = None
                    raise
                thrown = None
                if waits_for is not None:
                    waits_for._asyncio_future_blocking = False  # as a task does with what its coroutine yields
                    self._waits_for = waits_for
            try:
                if waits_for is None:
                    yield  # `asyncio.sleep(0)` and its like
                else:
                    self._asyncio_future_blocking = True
                    yield self
            except BaseException as error:  # a cancellation, or what `waits_for` ended with: `receive()` decides
                thrown = error
            self._go_on = None

    def close(self) -> None:
        """End a `receive()` that is still in flight."""
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, go_on: Callable[[Any], object], *, context: contextvars.Context) -> None:
        assert self._waits_for is not None
        self._go_on, self._context = go_on, context
        self._waits_for.add_done_callback(go_on, context=context)

    def cancel(self, msg: object = None) -> bool:
        return self._waits_for is not None and self._waits_for.cancel(msg)

    def result(self) -> None:
        """What a knock has to say."""
