"""The connection to an instance, for one request: made for it, and closed when it is answered.

Never used twice. An app may hang up on an idle connection in the very moment a request is sent on it, and then nobody could
tell a dead instance from a bored one; and an app that serves one connection at a time would be held up by an idle one of ours.
"""

import asyncio
from typing import Protocol, cast

from everwake.sim.edge._house import House, log
from everwake.sim.edge._inflow import Inflow
from everwake.sim.edge.framing import Block, Malformed, UntilClose
from everwake.sim.edge.heads import AnswerHead, RequestHead, parse_answer

__all__ = ["Asker", "Upstream"]


class Asker(Protocol):
    """Who is told what the instance says: the client's connection."""

    def reached(self, upstream: "Upstream") -> None:
        """It has accepted the connection."""

    def interim(self, head: AnswerHead) -> None:
        """A 1xx, but not 101."""

    def answered(self, head: AnswerHead) -> None:
        """The head of the answer; what follows comes by `said`."""

    def said(self, data: Block) -> None:
        """The next bytes of the body, or of the tunnel."""

    def completed(self) -> None:
        """That was all of the answer."""

    def ended(self) -> None:
        """The tunnel's other side says no more; it may still listen."""

    def failed(self, *, is_lost: bool) -> None:
        """It hung up, or spoke nonsense, before that was all. is_lost: the connection broke, it was not closed."""

    def mind_reading(self) -> None:
        """`is_full` has changed."""
        ...


class Upstream(asyncio.Protocol):
    """From the first byte of the request to the last of the answer, or of the tunnel. is_full: write no more for now."""

    __slots__ = (
        "_asker", "_ends_by_itself", "_head", "_house", "_inflow", "_is_answered", "_request", "_since_s", "_transport",
        "is_full", "is_tunnel",
    )  # fmt: skip

    def __init__(self, house: House, asker: Asker, request: RequestHead, head: bytes) -> None:
        self._house = house
        self._asker: Asker | None = asker
        self._request = request
        self._head = head
        self._inflow = Inflow(house.limits.head_bytes)
        self._is_answered = False
        self._ends_by_itself = True  # the answer's body does; its connection's end is then no part of it
        self._transport: asyncio.Transport | None = None
        self._since_s: float | None = None
        self.is_full = False
        self.is_tunnel = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)
        self._house.open.add(self)
        made.set_write_buffer_limits(self._house.limits.window_bytes)
        if self._asker is None:
            made.abort()
            return
        made.write(self._head)
        self._head = b""
        self._asker.reached(self)

    # --- towards the instance -----------------------------------------------------------------------------------------

    def write(self, data: Block) -> None:
        """Send, in order."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        """Say that the client sends no more."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def pause(self) -> None:
        """Let the instance wait: the client does not keep up."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        """The opposite of `pause`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def let_go(self) -> None:
        """Tell nobody any more; what was written is still sent, within `drain_s`."""
        self._asker = None
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        self._asker = None
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now_s: float) -> None:
        if self._asker is not None or self._transport is None:
            return  # the client's connection minds the time of both
        if self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s >= self._house.limits.drain_s:
            self._transport.abort()

    def pause_writing(self) -> None:
        self.is_full = True
        if self._asker is not None:
            self._asker.mind_reading()

    def resume_writing(self) -> None:
        self.is_full = False
        if self._asker is not None:
            self._asker.mind_reading()

    # --- from the instance --------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._asker is None:
            return
        if self.is_tunnel:
            self._asker.said(data)
            return
        self._inflow.feed(data)
        try:
            if self._is_answered or self._heads():
                self._body()
        except Malformed as problem:
            log.info("edge.bad_answer: %s", problem.says)
            self._fail(is_lost=False)

    def eof_received(self) -> bool:
        asker = self._asker
        if asker is None:
            return False
        if self.is_tunnel:
            asker.ended()
            return self._asker is not None
        if self._is_answered and not self._ends_by_itself:
            asker.completed()
        else:
            self._fail(is_lost=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._house.left(self)
        self._transport = None
        if self._asker is not None:
            self._fail(is_lost=True)

    def _heads(self) -> bool:
        """Take heads until the one that is the answer; whether it was there."""
        while self._asker is not None:
            raw = self._inflow.head()
            if raw is None:
                return False
            head = parse_answer(raw, self._request)
            if head.is_interim:
                self._asker.interim(head)
                continue
            self._is_answered = True
            self._ends_by_itself = not isinstance(head.body, UntilClose)
            self._inflow.frame(head.body)
            self._asker.answered(head)
            return True
        return False

    def _body(self) -> None:
        if self._asker is not None and self.is_tunnel:
            if rest := self._inflow.rest():
                self._asker.said(rest)
            return
        piece = self._inflow.body()
        if piece and self._asker is not None:
            self._asker.said(piece)
        if self._inflow.is_done and self._asker is not None:
            self._asker.completed()

    def _fail(self, *, is_lost: bool) -> None:
        asker, self._asker = self._asker, None
        if self._transport is not None:
            self._transport.abort()
        if asker is not None:
            asker.failed(is_lost=is_lost)
