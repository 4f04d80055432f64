"""How the one wake-up paces its looks, on a clock that does not wait."""

import asyncio
import selectors
from itertools import pairwise
from typing import Any, cast

from chatify.backend.answers import NotThere
from chatify.backend.outbox import Outbox
from chatify.backend.waker import Waker


class Skipping(selectors.DefaultSelector):
    """Instead of waiting for a time, it lets it pass."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout:
            self.passed_s += timeout
        return found


class SkippingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return super().time() + self._skipping.passed_s


class Alone:
    """An outbox that nobody else holds a lease of."""

    async def take_lease(self, *_: object, **__: object) -> bool:
        return True

    async def drop_lease(self, *_: object) -> None: ...


class Missing:
    """A chatbot that is looked for in vain; when, in seconds."""

    def __init__(self, miss: NotThere, times: int) -> None:
        self.miss, self.times = miss, times
        self.seen_at: list[float] = []

    async def health(self) -> NotThere | None:
        self.seen_at.append(asyncio.get_running_loop().time())
        return self.miss if len(self.seen_at) <= self.times else None


def pauses_s(miss: NotThere, times: int) -> list[float]:
    """Between the looks of one wake-up."""
    sleeper = Missing(miss, times)

    async def wake() -> None:
        loop = asyncio.get_running_loop()
        waker = Waker(
            sleeper, cast(Outbox, Alone()), most=4, waking_after_s=2.0, on_news=lambda _: None, monotonic=loop.time
        )
        waker.knock()
        await waker.look()
        assert waker.is_open()

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        runner.run(wake())
    seen_at = sleeper.seen_at
    return [later - sooner for sooner, later in pairwise(seen_at)]


def test_a_port_that_refuses_is_looked_at_every_three_seconds() -> None:
    pauses = pauses_s(NotThere(why="refused"), 40)
    assert len(pauses) == 40
    assert max(pauses) < 3.5
    assert pauses[0] < 0.5


def test_an_edge_is_left_more_and_more_alone() -> None:
    for miss in (NotThere(why="edge", status=503), NotThere(why="timeout")):
        pauses = pauses_s(miss, 14)
        assert max(pauses) >= 15
        assert max(pauses) < 31
