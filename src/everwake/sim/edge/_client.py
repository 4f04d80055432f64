"""A client's connection: its requests one after the other, or its WebSocket.

Callbacks of the loop, not a task: nothing is held for a connection but what it has not been able to send on yet. A task lives
only while a request waits for the platform to say where it goes, and for the instance to accept it.
"""

import asyncio
import enum
import select
import socket
import struct
import sys
from contextlib import suppress
from typing import cast

from everwake.sim.edge import answers
from everwake.sim.edge._house import House, log, request_id
from everwake.sim.edge._inflow import Inflow
from everwake.sim.edge._upstream import Upstream
from everwake.sim.edge.frames import Frames
from everwake.sim.edge.framing import Block, Malformed, UntilClose
from everwake.sim.edge.heads import AnswerHead, RequestHead, parse_request
from everwake.sim.edge.routes import Refusal
from everwake.sim.edge.traffic import Tally
from everwake.sim.ports import HOST

__all__ = ["Client"]

BROKEN = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0)


class Phase(enum.Enum):
    """Where a connection is."""

    HEAD = enum.auto()  # between requests, or in the head of one
    HELD = enum.auto()  # the platform is looking for an instance, perhaps waking one
    ANSWER = enum.auto()  # an instance has the request
    TUNNEL = enum.auto()  # a WebSocket
    DRAIN = enum.auto()  # answered; what the client still sends is read and dropped
    CLOSED = enum.auto()


class Client(asyncio.Protocol):
    """One accepted connection. service_id: whose port it came in by; None for the port that goes by Host."""

    __slots__ = (
        "_frames", "_house", "_inflow", "_is_begun", "_is_ended", "_is_full", "_is_half_closed", "_is_paused", "_keeps", "_mark",
        "_moved", "_own_id", "_peer", "_phase", "_quiet_s", "_request", "_request_id", "_service_id", "_since_s", "_tally",
        "_task", "_transport", "_upstream",
    )  # fmt: skip

    def __init__(self, house: House, service_id: str | None) -> None:
        self._house = house
        self._own_id = service_id
        self._inflow = Inflow(house.limits.head_bytes)
        self._phase = Phase.HEAD
        self._is_paused = False  # we do not read
        self._is_full = False  # the client does not read
        self._is_half_closed = False  # the client has said that it will send no more
        self._is_ended = False  # the tunnel's instance has said so
        self._task: asyncio.Task[None] | None = None
        self._upstream: Upstream | None = None
        self._frames: Frames | None = None
        # Of the phase: since when, how much had moved at the last look, since when nothing has. Set by `tick`, so that
        # no request has to read the clock.
        self._since_s: float | None = None
        self._quiet_s = 0.0
        self._moved = self._mark = 0
        # Of the request.
        self._request: RequestHead | None = None
        self._service_id = service_id or ""
        self._request_id = ""
        self._tally: Tally | None = None
        self._is_begun = False  # the head of an answer was sent
        self._keeps = True  # the connection goes on after this answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = self._transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else HOST
        self._transport.set_write_buffer_limits(self._house.limits.window_bytes)
        house = self._house
        house.open.add(self)
        house.clients += 1
        if house.is_stopping:
            self._close()
        elif house.clients > house.limits.connections * 9 // 8:
            self.abort()  # there may be only so many that are told, too
        elif house.clients > house.limits.connections:
            self._reject(503, "the edge holds as many connections as it may")

    # --- from the client ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._moved += len(data)
        phase = self._phase
        if phase is Phase.TUNNEL:
            assert self._frames is not None
            assert self._upstream is not None
            self._upstream.write(data)
            for _ in range(self._frames.feed(data)):
                self._house.routes.inbound(self._service_id)
            return
        if phase is Phase.CLOSED:
            return
        if phase is Phase.HEAD and not self._inflow.left:
            self._since_s = None  # from now on it is the head that takes time
        self._inflow.feed(data)
        if phase is Phase.HEAD:
            self._next()
        elif phase is Phase.ANSWER:
            self._pass_body()
        elif phase is Phase.DRAIN:
            self._drop_body()
        self.mind_reading()

    def eof_received(self) -> bool:
        match self._phase:
            case Phase.HELD | Phase.ANSWER if self._phase is Phase.HELD or self._inflow.is_done:
                # It may be gone, or only have said all that it has to say: TCP does not tell. `tick` decides.
                self._is_half_closed = True
                self._since_s = None
                return True
            case Phase.TUNNEL if not self._is_ended:
                assert self._upstream is not None
                self._is_half_closed = True
                self._since_s = None
                self._upstream.write_eof()
                return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        was_tunnel = self._phase is Phase.TUNNEL
        self._enter(Phase.CLOSED)
        self._house.clients -= 1
        self._house.left(self)
        if self._task is not None:
            self._task.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            # What a WebSocket's client said last is still for the app; half a request is for nobody.
            upstream.let_go() if was_tunnel else upstream.abort()

    def pause_writing(self) -> None:
        self._is_full = True
        if self._upstream is not None:
            self._upstream.pause()

    def resume_writing(self) -> None:
        self._is_full = False
        if self._upstream is not None:
            self._upstream.go_on()
        elif self._phase is Phase.HEAD:
            self._next()
            self.mind_reading()

    # --- a request ----------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Begin with the next request, if its head has come and the client takes what it is answered."""
        house = self._house
        if self._is_full:
            return
        try:
            raw = self._inflow.head()
            if raw is None:
                return
            head = parse_request(raw)
        except Malformed as problem:
            self._reject(problem.status, problem.says)
            return
        self._request = head
        self._inflow.frame(head.body)
        self._is_begun = False
        self._keeps = head.keeps
        self._request_id = request_id()
        self._service_id = house.routes.service_of(head.host) if self._own_id is None else self._own_id
        self._tally = house.tally(self._service_id)
        self._tally.requests += 1
        self._enter(Phase.HELD)
        self._task = house.start(self._find(head))

    async def _find(self, head: RequestHead) -> None:
        """Ask the platform where to, and go there."""
        try:
            where = await self._house.routes.route(self._service_id, wants_html=head.wants_html)
            if isinstance(where, Refusal):
                self._refuse(where)
                return
            sent = head.towards_app(peer=self._peer, request_id=self._request_id)
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(self._house.limits.connect_s):
                    await loop.create_connection(lambda: Upstream(self._house, self, head, sent), HOST, where.port)
            except OSError:  # TimeoutError is one
                if self._phase is Phase.HELD:
                    self._refuse(self._house.routes.unreachable(self._service_id))
        except Exception:
            log.exception("edge.request_failed service=%s", self._service_id)
            if self._phase is Phase.HELD:
                self._reject(500, "the platform failed to say where this goes; its log says why")
            else:
                self.abort()
        finally:
            self._task = None

    def _pass_body(self) -> None:
        """Give the instance what has come of the request's body."""
        assert self._upstream is not None
        try:
            piece = self._inflow.body()
        except Malformed as problem:
            upstream, self._upstream = self._upstream, None
            upstream.abort()
            if self._is_begun:
                self.abort()
            else:
                self._reject(problem.status, problem.says)
            return
        if piece:
            self._upstream.write(piece)

    def _drop_body(self) -> None:
        try:
            self._inflow.body()
        except Malformed:
            self.abort()
            return
        if self._inflow.is_done:
            self._close()

    def mind_reading(self) -> None:
        """Read on, or let the client wait: for the instance, or until what it has sent ahead is taken."""
        if self._phase is Phase.CLOSED or self._is_half_closed:
            return
        upstream, phase = self._upstream, self._phase
        waits = (upstream is not None and upstream.is_full and (phase is Phase.TUNNEL or not self._inflow.is_done)) or (
            phase is not Phase.DRAIN and self._inflow.left >= self._house.limits.window_bytes
        )
        if waits is not self._is_paused and not self._transport.is_closing():
            self._is_paused = waits
            if waits:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # --- its answer: `_upstream.Asker` --------------------------------------------------------------------------------

    def reached(self, upstream: Upstream) -> None:
        if self._phase is not Phase.HELD:
            upstream.abort()
            return
        self._upstream = upstream
        self._enter(Phase.ANSWER)
        self._pass_body()
        self.mind_reading()

    def interim(self, head: AnswerHead) -> None:
        assert self._request is not None
        if self._request.minor == 1:
            self._send(head.raw)

    def answered(self, head: AnswerHead) -> None:
        assert self._request is not None
        assert self._upstream is not None
        is_tunnel = head.status == 101
        self._keeps = self._may_go_on() and not head.ends_with_connection
        self._begin(head.status, head.towards_client(self._request, keeps=self._keeps, request_id=self._request_id))
        if is_tunnel:
            self._upstream.is_tunnel = True
            self._frames = Frames()
            self._request = None
            self._enter(Phase.TUNNEL)
            if early := self._inflow.rest():
                self.data_received(early)
            self.mind_reading()

    def said(self, data: Block) -> None:
        self._send(data)

    def completed(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.let_go() if self._inflow.is_done else upstream.abort()
        self._done()

    def ended(self) -> None:
        assert self._upstream is not None
        if self._is_half_closed:
            self._close()
        elif not self._transport.is_closing():
            self._transport.write_eof()
            self._is_ended = True

    def failed(self, *, is_lost: bool) -> None:
        self._upstream = None
        if not self._is_begun:
            self._refuse(self._house.routes.unreachable(self._service_id))
        elif self._phase is Phase.TUNNEL:
            self._close()
        elif is_lost or (self._request is not None and self._request.minor == 0):
            self._reset()  # an orderly end would make it look complete
        else:
            self._close()

    # --- the edge's own answers ---------------------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in the platform's name; a client that is still sending gets to see it."""
        assert self._request is not None
        try:
            self._inflow.body()  # what is here of it; nobody wants it
        except Malformed as problem:
            self._reject(problem.status, problem.says)
            return
        self._keeps = self._may_go_on()
        self._begin(
            refusal.status,
            answers.refused(
                refusal, at=self._house.clock.now(), request_id=self._request_id, keeps=self._keeps,
                is_head=self._request.method == b"HEAD", minor=self._request.minor,
            ),
        )  # fmt: skip
        self._done()

    def _reject(self, status: int, says: str) -> None:
        """Answer what is no request; nothing after it can be one either."""
        self._begin(status, answers.plain(status, says, at=self._house.clock.now(), request_id=request_id()))
        self._inflow.rest()
        self._inflow.frame(UntilClose())
        self._enter(Phase.DRAIN)
        if not self._transport.is_closing():
            self._transport.write_eof()
        self.mind_reading()

    def _begin(self, status: int, head: bytes) -> None:
        self._is_begun = True
        if self._tally is not None:
            self._tally.statuses[status] += 1
        self._send(head)

    def _send(self, data: Block) -> None:
        self._moved += len(data)
        if self._tally is not None:
            self._tally.bytes_out += len(data)
        if not self._transport.is_closing():
            self._transport.write(data)

    def _done(self) -> None:
        """The answer is complete: the next request, the end, or first the rest of this one."""
        if self._keeps:
            self._request = self._tally = None
            self._enter(Phase.HEAD)
            if self._inflow.left:
                self._next()
            self.mind_reading()
            if self._is_half_closed and self._phase is Phase.HEAD:
                self._close()
        elif self._inflow.is_done:
            self._close()
        else:
            self._enter(Phase.DRAIN)
            self.mind_reading()

    def _may_go_on(self) -> bool:
        """Whether another request can follow on this connection.

        Who has not sent all of this one cannot know whether the rest is wanted, so its connection ends with the answer.
        """
        is_over = self._house.is_stopping or (self._is_half_closed and not self._inflow.left)
        return self._keeps and self._inflow.is_done and not is_over

    # --- its end ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """The edge stops: whoever has no request under way, or a WebSocket (it would never end), goes now."""
        if self._phase in (Phase.HEAD, Phase.TUNNEL):
            self._close()

    def tick(self, now_s: float) -> None:
        if self._since_s is None:
            self._since_s = self._quiet_s = now_s
            self._mark = self._moved
            return
        if self._moved != self._mark:
            self._mark, self._quiet_s = self._moved, now_s
        limits, lasted_s, quiet_s = self._house.limits, now_s - self._since_s, now_s - self._quiet_s
        match self._phase:
            case Phase.HEAD if self._inflow.left:
                if lasted_s >= limits.head_s:
                    self._reject(408, f"the head of a request has to come within {limits.head_s:g} s")
            case Phase.HEAD:
                if lasted_s >= limits.idle_s:
                    self._close()
            case Phase.HELD:
                if quiet_s >= limits.half_closed_s and (self._is_half_closed or (self._is_paused and self._polled())):
                    self.abort()
            case Phase.ANSWER | Phase.TUNNEL:
                patience_s = limits.half_closed_s if self._is_half_closed else limits.drain_s
                is_over = self._is_half_closed or self._is_ended
                if (is_over and quiet_s >= patience_s) or (self._is_paused and self._polled() & BROKEN):
                    self.abort()
                elif quiet_s >= limits.quiet_s and self._phase is Phase.ANSWER:
                    self._give_up()
            case Phase.DRAIN | Phase.CLOSED:
                if lasted_s >= limits.drain_s:
                    self.abort()

    def abort(self) -> None:
        self._enter(Phase.CLOSED)
        self._transport.abort()

    def _reset(self) -> None:
        """As `abort`, and the client's system is told that the connection broke (a linger of zero: RST, man 7 socket)."""
        linger = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
        with suppress(OSError):
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()

    def _give_up(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        self.failed(is_lost=True)

    def _close(self) -> None:
        """Hang up once everything is sent."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.let_go()
        self._enter(Phase.CLOSED)
        self._transport.close()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since_s = None

    def _polled(self) -> int:
        """What the system knows of the client's side while we do not read, and so are not told: events of poll(2).

        Linux says whether it was closed or broke, macOS that it broke; Windows says nothing.
        """
        if not hasattr(select, "poll"):
            return 0
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), getattr(select, "POLLRDHUP", 0))
        return sum(events for _, events in poll.poll(0))
