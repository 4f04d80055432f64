"""libcurl's multi interface on an event loop: all transfers of one keeper, side by side, in one place."""

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from math import inf
from time import monotonic
from typing import Any, Final

import pycurl  # type: ignore[import-untyped,unused-ignore]

from everwake.checks import _failures
from everwake.checks._sockets import Watch, watch_for
from everwake.checks._transfer import Answer, Manner, Slot, answer_of, authorities
from everwake.model import Failure, FailureKind, Phase

__all__ = ["Looker"]

WAITING_MOST: Final = 50_000
POOL_MOST: Final = 512  # 5.5 KB each; making one costs as much as a third of a look
SWEEP_S: Final = 0.2


def most_at_once() -> int:
    """How many transfers this process can have under way: half of the files it may open, from 64 to 10,000."""
    if sys.platform == "win32":
        return 400  # select() takes 512 sockets there
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 10_000 if soft == resource.RLIM_INFINITY else max(64, min(10_000, (soft - 128) // 2))


class Looker:
    """All HTTP of one keeper. Made inside a running loop; `close` ends what is under way and releases everything.

    allow_private: whether private addresses may be connected to.   at_once: transfers at a time, more of them wait their turn;
    None takes what this process may open.
    watch: how sockets are watched. A loop that cannot watch sockets (Windows' proactor) is served from a thread with one
    that can.
    """

    def __init__(
        self,
        *,
        allow_private: bool = True,
        at_once: int | None = None,
        watch: Callable[[asyncio.AbstractEventLoop, Callable[[list[tuple[int, int]]], None]], Watch] = watch_for,
        in_thread: bool | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        proactor = getattr(asyncio, "ProactorEventLoop", None)
        if in_thread is None:
            in_thread = proactor is not None and isinstance(self._loop, proactor)
        self._engine_loop = _loop_in_thread() if in_thread else self._loop
        self._engine = _Engine(
            self._engine_loop, allow_private=allow_private, at_once=most_at_once() if at_once is None else at_once
        )
        self._in_thread = in_thread
        self._arrived: list[tuple[Callable[[Answer], None], Answer]] = []
        self._is_closed = False
        if in_thread:
            self._engine_loop.call_soon_threadsafe(self._engine.open, watch)
        else:
            self._engine.open(watch)

    def start(self, url: str, manner: Manner, timeout_s: float, done: Callable[[Answer], None]) -> Callable[[], None]:
        """Ask; `done` is called from the loop, once, within `timeout_s`. The answer cancels it: then it is not called."""
        if self._is_closed:
            raise RuntimeError("the looker is closed")
        if not self._in_thread:
            return self._engine.start(url, manner, timeout_s, done)
        ticket = _Ticket(done)
        self._engine_loop.call_soon_threadsafe(
            self._engine.start_for, ticket, url, manner, timeout_s, lambda answer: self._hand_over(ticket, answer)
        )
        return lambda: self._withdraw(ticket)

    async def ask(self, url: str, manner: Manner, timeout_s: float) -> Answer:
        """Ask and wait for the answer. Cancelling it ends the transfer."""
        future: asyncio.Future[Answer] = self._loop.create_future()

        def done(answer: Answer) -> None:
            if not future.done():  # between being cancelled and hearing of it the answer may still come
                future.set_result(answer)

        cancel = self.start(url, manner, timeout_s, done)
        try:
            return await future
        except asyncio.CancelledError:
            cancel()
            raise

    async def close(self) -> None:
        """End every transfer without an answer and release handles, sockets and the thread."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._in_thread:
            self._engine.close()
            return
        gone = asyncio.Event()

        def leave() -> None:
            self._engine.close()
            self._engine_loop.stop()
            self._loop.call_soon_threadsafe(gone.set)

        self._engine_loop.call_soon_threadsafe(leave)
        await gone.wait()

    # Both sides of the thread: answers come over in batches, one wake-up of the loop for all that arrived meanwhile.

    def _hand_over(self, ticket: "_Ticket", answer: Answer) -> None:
        self._arrived.append((ticket.finish, answer))
        if len(self._arrived) == 1:
            self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        arrived, self._arrived = self._arrived, []
        for finish, answer in arrived:
            finish(answer)

    def _withdraw(self, ticket: "_Ticket") -> None:
        ticket.done = None
        if not self._is_closed:
            self._engine_loop.call_soon_threadsafe(ticket.cancel)


class _Ticket:
    """One look whose transfer is in the other thread. `done` belongs to the asking thread, `stop` to the asked one."""

    __slots__ = ("done", "stop")

    def __init__(self, done: Callable[[Answer], None]) -> None:
        self.done: Callable[[Answer], None] | None = done
        self.stop: Callable[[], None] | None = None

    def finish(self, answer: Answer) -> None:
        if self.done is not None:
            self.done(answer)

    def cancel(self) -> None:
        if self.stop is not None:
            self.stop()


def _loop_in_thread() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()

    def work() -> None:
        loop.run_forever()
        loop.close()

    threading.Thread(target=work, name="everwake-looks", daemon=True).start()
    return loop


class _Engine:
    """libcurl's multi interface on one loop. Every method is called from that loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, allow_private: bool, at_once: int) -> None:
        self._loop = loop
        self._guards, self._at_once = not allow_private, at_once
        self._ca_file = authorities()
        self._pool: list[Slot] = []
        self._flying: dict[Any, Slot] = {}
        self._waiting: deque[tuple[str, Manner, float, Callable[[Answer], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s: float | None = None
        self._kick_planned = False
        self._sweep: asyncio.TimerHandle | None = None
        self._strictest_s = inf

    def open(
        self, watch: Callable[[asyncio.AbstractEventLoop, Callable[[list[tuple[int, int]]], None]], Watch]
    ) -> None:
        self._multi = pycurl.CurlMulti()
        self._watch = watch(self._loop, self._act)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch.want)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def close(self) -> None:
        for handle in (self._timer, self._sweep):
            if handle is not None:
                handle.cancel()
        for curl in tuple(self._flying):
            self._multi.remove_handle(curl)
            curl.close()
        self._flying.clear()
        self._waiting.clear()
        # libcurl lets go of lines that are still being shut down: its callbacks must work until then.
        self._multi.close()
        self._watch.close()
        for slot in self._pool:
            slot.curl.close()
        self._pool.clear()

    # --- beginning and ending a transfer ------------------------------------------------------------------------------

    def start(self, url: str, manner: Manner, timeout_s: float, done: Callable[[Answer], None]) -> Callable[[], None]:
        if len(self._flying) >= self._at_once:
            return self._wait(url, manner, timeout_s, done)
        slot = self._pool.pop() if self._pool else Slot()
        try:
            slot.ready(url, manner, timeout_s, guards=self._guards, ca_file=self._ca_file)
        except (pycurl.error, ValueError) as error:
            return self._refuse(f"libcurl cannot ask so: {error}", done)
        slot.done, slot.started_s = done, monotonic()
        self._flying[slot.curl] = slot
        self._multi.add_handle(slot.curl)
        limit_s = min(manner.transfer_s or inf, manner.first_byte_s or inf)
        if limit_s < self._strictest_s:
            self._strictest_s = limit_s
        if self._sweep is None and limit_s < inf:
            self._plan_sweep(min(1.0, limit_s))
        return lambda: self._cancel(slot, done)

    def _refuse(self, why: str, done: Callable[[Answer], None]) -> Callable[[], None]:
        failure = Failure(kind=FailureKind.INTERNAL, phase=Phase.DNS, detail=_failures.detail(why))
        return self._loop.call_soon(done, Answer(failure, 0, {}, b"", {}, 0.0, 0)).cancel

    def start_for(
        self, ticket: _Ticket, url: str, manner: Manner, timeout_s: float, done: Callable[[Answer], None]
    ) -> None:
        ticket.stop = self.start(url, manner, timeout_s, done)

    def _wait(self, url: str, manner: Manner, timeout_s: float, done: Callable[[Answer], None]) -> Callable[[], None]:
        if len(self._waiting) >= WAITING_MOST:
            return self._refuse("too many looks are waiting", done)
        entry = (url, manner, timeout_s, done)
        self._waiting.append(entry)

        def leave() -> None:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                for slot in self._flying.values():
                    if slot.done is done:
                        self._cancel(slot, done)
                        return

        return leave

    def _cancel(self, slot: Slot, done: Callable[[Answer], None]) -> None:
        # The slot may have ended and be at work for somebody else by now.
        if slot.done is done:
            self._release(slot)

    def _release(self, slot: Slot) -> None:
        self._multi.remove_handle(slot.curl)
        del self._flying[slot.curl]
        slot.done = None
        slot.headers.clear()
        slot.body.clear()
        if len(self._pool) < POOL_MOST:
            self._pool.append(slot)
        else:
            slot.curl.close()
        while self._waiting and len(self._flying) < self._at_once:
            self.start(*self._waiting.popleft())

    def _finish(self, slot: Slot, code: int, message: str) -> None:
        done, answer = slot.done, answer_of(slot, code, message)
        self._release(slot)
        if done is not None:
            done(answer)

    # --- libcurl's side -----------------------------------------------------------------------------------------------

    def _act(self, ready: list[tuple[int, int]]) -> None:
        act = self._multi.socket_action
        for fd, what in ready:
            act(fd, what)
        self._drain()

    def _drain(self) -> None:
        left = 1
        while left:
            left, good, bad = self._multi.info_read(100)
            for curl in good:
                if (slot := self._flying.get(curl)) is not None:
                    self._finish(slot, 0, "")
            for curl, code, message in bad:
                if (slot := self._flying.get(curl)) is not None:
                    self._finish(slot, code, message)

    def _set_timer(self, after_ms: int) -> None:
        """libcurl's timer callback. It moves its timer several times a look, so ours is moved only to come earlier."""
        if after_ms == 0:
            if not self._kick_planned:
                self._kick_planned = True
                self._loop.call_soon(self._kick)
            return
        if after_ms < 0:
            self._due_s = None
            return
        self._due_s = due_s = self._loop.time() + after_ms / 1000
        if self._timer is None or self._timer.when() > due_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._due_s is None:
            return
        if self._due_s > self._loop.time() + 0.001:
            self._timer = self._loop.call_at(self._due_s, self._ring)
            return
        self._kick()

    def _kick(self) -> None:
        self._kick_planned = False
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._drain()

    # --- limits that libcurl does not have ----------------------------------------------------------------------------

    def _plan_sweep(self, after_s: float) -> None:
        self._sweep = self._loop.call_later(after_s, self._sweep_now)

    def _sweep_now(self) -> None:
        """End the transfers whose first byte, or whose rest, takes too long: libcurl knows only the whole and the connection."""
        now_s = monotonic()
        # They stand in the order in which they began: behind one that is too young for any limit are only younger ones.
        old = tuple(takewhile(lambda slot: now_s - slot.started_s >= self._strictest_s, self._flying.values()))
        for slot in old:
            late = _overdue(slot, now_s - slot.started_s)
            if late is not None:
                slot.timed_out = late
                self._finish(slot, pycurl.E_OPERATION_TIMEDOUT, f"{late} took longer than its limit")
        self._sweep = None
        if self._flying:
            self._plan_sweep(SWEEP_S)
        else:
            self._strictest_s = inf


def _overdue(slot: Slot, age_s: float) -> Phase | None:
    manner = slot.manner
    if manner is None or (manner.transfer_s is None and manner.first_byte_s is None):
        return None
    if age_s < min(manner.transfer_s or age_s, manner.first_byte_s or age_s):
        return None
    told = slot.curl.getinfo
    began_s = told(pycurl.STARTTRANSFER_TIME)
    if began_s:
        return Phase.TRANSFER if manner.transfer_s is not None and age_s - began_s > manner.transfer_s else None
    asked_s = told(pycurl.PRETRANSFER_TIME)
    if asked_s and manner.first_byte_s is not None and age_s - asked_s > manner.first_byte_s:
        return Phase.FIRST_BYTE
    return None
