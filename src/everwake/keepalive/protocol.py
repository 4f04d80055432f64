"""The keep-alive protocol, pure: bytes and monotonic seconds in, decisions out. No socket, no clock, no dice.

A line is one client's WebSocket. Both sides send text frames of JSON (docs/keepalive.md):

    {"type":"ping","timestamp":"2026-01-01T00:00:00.000Z","status":"alive","service":"chatify_chatbot","seq":0}
    {"type":"pong","timestamp":"2026-01-01T00:00:00.004Z","seq":0}

`Line` is what a server remembers of one client, `Watch` what a client remembers of its server.
"""

import enum
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

__all__ = [
    "BAD_ORIGIN",
    "BAD_TOKEN",
    "FULL",
    "MESSAGE_LIMIT_BYTES",
    "MISSED",
    "MISSED_LIMIT",
    "RESTARTING",
    "SUBPROTOCOL",
    "TOO_BIG",
    "Close",
    "Do",
    "Kind",
    "Line",
    "Message",
    "Pings",
    "Watch",
    "bearer_subprotocol",
    "client_ping",
    "parse",
    "pong",
    "timestamp",
]

MESSAGE_LIMIT_BYTES = 4096
MISSED_LIMIT = 2
# Pings that come at most this many periods apart are the beat; a network may hold one up a little.
CARRIES = 1.25

# A browser can set no header on a WebSocket. It can offer subprotocols: this one, which the server selects, and
# beside it `bearer_subprotocol(token)`, which is read and never repeated. A query would stand in every access log.
SUBPROTOCOL = "everwake.keepalive"
_BEARER = "bearer."


@dataclass(frozen=True, slots=True)
class Close:
    """Why a server ends a line. code: RFC 6455 section 7.4 and the IANA registry of WebSocket close codes."""

    code: int
    reason: str


RESTARTING = Close(1012, "the service restarts")
TOO_BIG = Close(1009, f"a message may have {MESSAGE_LIMIT_BYTES} bytes at the most")
FULL = Close(1013, "no line is free, try again later")
BAD_ORIGIN = Close(1008, "this origin is not allowed")
BAD_TOKEN = Close(1008, "the token is missing or wrong")
# 1011 is what uvicorn and the `websockets` library close with when their own ping is not answered.
MISSED = Close(1011, f"{MISSED_LIMIT} beats were not answered")


class Kind(enum.Enum):
    """What a message turned out to be."""

    PING = "ping"
    PONG = "pong"
    IGNORED = "ignored"  # no JSON object, or of a type that is not known: counted, never fatal
    TOO_BIG = "too big"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the other side. seq: only where it sent a whole number."""

    kind: Kind
    seq: int | None = None


_IGNORED = Message(Kind.IGNORED)
_TOO_BIG = Message(Kind.TOO_BIG)
_KINDS = {"ping": Kind.PING, "pong": Kind.PONG}
# What `json.loads` ends in after three calls in Python; a pong is parsed at every beat of every line.
_scan: Callable[[str, int], tuple[object, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_BLANK = " \t\n\r"


def parse(data: str | bytes) -> Message:
    """What a message says. Whatever it holds, this answers and does not raise; a binary frame is never one of ours."""
    # UTF-8 takes at least one byte a character, so the length in characters settles most messages.
    if len(data) > MESSAGE_LIMIT_BYTES or (
        isinstance(data, str) and not data.isascii() and len(data.encode(errors="replace")) > MESSAGE_LIMIT_BYTES
    ):
        return _TOO_BIG
    if isinstance(data, bytes):
        return _IGNORED
    text = data.strip(_BLANK)
    try:
        found, end = _scan(text, 0)
    except (StopIteration, ValueError, RecursionError):
        return _IGNORED
    if end != len(text) or not isinstance(found, dict):
        return _IGNORED
    said = found.get("type")
    kind = _KINDS.get(said) if isinstance(said, str) else None
    if kind is None:
        return _IGNORED
    seq = found.get("seq")
    return Message(kind, seq if type(seq) is int else None)


def timestamp(at_unix_s: float) -> str:
    """RFC 3339, UTC, milliseconds: `2026-01-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(at_unix_s, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class Pings:
    """A server's pings. What does not change is rendered once, for a frame is rendered at every beat of every line."""

    __slots__ = ("_at_ms", "_head", "_middle")

    def __init__(self, service: str, status: str = "alive") -> None:
        self._middle = f'","status":{json.dumps(status)},"service":{json.dumps(service)},"seq":'
        self._at_ms = -1
        self._head = ""

    def frame(self, seq: int, at_unix_s: float) -> str:
        """The text of ping number `seq`, sent at that wall time in Unix seconds."""
        at_ms = int(at_unix_s * 1000)
        if at_ms != self._at_ms:  # beats of one tick share their millisecond
            self._at_ms = at_ms
            self._head = f'{{"type":"ping","timestamp":"{timestamp(at_unix_s)}{self._middle}'
        return f"{self._head}{seq}}}"


def pong(seq: int | None, at_unix_s: float) -> str:
    """The answer to a ping, with the ping's own `seq` where it had one."""
    tail = "" if seq is None else f',"seq":{seq}'
    return f'{{"type":"pong","timestamp":"{timestamp(at_unix_s)}"{tail}}}'


def client_ping(seq: int, at_unix_s: float) -> str:
    """A ping of the client's own: traffic that comes in, even where the server's beats stay away."""
    return f'{{"type":"ping","timestamp":"{timestamp(at_unix_s)}","seq":{seq}}}'


@dataclass(slots=True)
class Line:
    """What a server remembers of one line. Call `beat` when the grid says so, `hear` for each message.

    seq: the number of the next ping.   unanswered: pings sent since the client was last heard.
    has_answered: a client that never sent a pong is kept for ever (the server's own WebSocket ping watches it);
    one that did and then falls silent is gone.
    """

    seq: int = 0
    unanswered: int = 0
    has_answered: bool = False

    def beat(self) -> int | Close:
        """The `seq` of the ping to send now, or how to end the line."""
        if self.has_answered and self.unanswered >= MISSED_LIMIT:
            return MISSED
        seq = self.seq
        self.seq = seq + 1
        self.unanswered += 1
        return seq

    def hear(self, message: Message) -> None:
        """A pong answers whatever was asked; a ping is a sign of life too, but no promise to answer ours."""
        if message.kind is Kind.PONG:
            self.has_answered = True
            self.unanswered = 0
        elif message.kind is Kind.PING:
            self.unanswered = 0


class Do(enum.Enum):
    """What a client's `Watch` asks for."""

    BEAT = "beat"  # nothing else goes in about now: send a ping of the client's own
    PING = "ping"  # the server's beat is late: tell the watcher, and send something in
    MISSED = "missed"
    HANG_UP = "hang up"


@dataclass(slots=True)
class Watch:
    """A client's patience with one server: sleep until `due`, call `tick`, obey; call `heard` for each ping or pong.

    All times are monotonic seconds. heard_at: at first, when the line was opened.

    The client beats by itself every `every_s` after the line was opened, on a grid that does not drift: the server's own
    pings may be rarer. While they come about as often they are the beat, answering them is what goes in, and the client asks
    only where one is late: `late_s` after it was expected. A beat is missed half a period after it was expected;
    MISSED_LIMIT missed ones end the line. Expected means `every_s` after the last thing heard: a server spreads its lines
    over the period, so its first gap may be shorter than the others.
    """

    every_s: float
    late_s: float
    heard_at: float
    missed: int = 0
    has_asked: bool = False
    _opened_at: float = field(init=False)
    _turn: int = field(init=False, default=1)
    _pinged_at: float | None = field(init=False, default=None)
    _is_carried: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._opened_at = self.heard_at

    @property
    def due(self) -> float:
        """When `tick` has something to say, in monotonic seconds, if nothing is heard before."""
        missed_at = self.heard_at + self.every_s * (self.missed + 1.5)
        if not self._is_carried:
            return min(missed_at, self._opened_at + self._turn * self.every_s)
        if self.has_asked:
            return missed_at
        return self.heard_at + self.every_s * (self.missed + 1) + min(self.late_s, self.every_s / 2)

    def heard(self, now: float, *, is_ping: bool = False) -> float:
        """Seconds since it was last heard. is_ping: it was a ping of the server's, not an answer to the client's."""
        gap_s = now - self.heard_at
        self.heard_at, self.missed, self.has_asked = now, 0, False
        if is_ping:
            before, self._pinged_at = self._pinged_at, now
            self._carry(before is not None and now - before <= self.every_s * CARRIES, now)
        return gap_s

    def tick(self, now: float) -> Do | None:
        """What to do now: beat, ask, hang up, or nothing; call it again at `due`."""
        if now < self.due:
            return None
        if self._is_carried and not self.has_asked:
            # Once one stayed away, the client's own beat goes on from here.
            self._carry(False, now)
            self.has_asked = True
            return Do.PING
        if not self._is_carried and now >= self._opened_at + self._turn * self.every_s:
            self._turn = self._next_turn(now)
            return Do.BEAT
        self.missed += 1
        return Do.HANG_UP if self.missed >= MISSED_LIMIT else Do.MISSED

    def _carry(self, is_carried: bool, now: float) -> None:
        if self._is_carried and not is_carried:
            self._turn = self._next_turn(now)
        self._is_carried = is_carried

    def _next_turn(self, now: float) -> int:
        """The turn after this one. A timer that fires a little early does not make the same turn come twice."""
        return max(self._turn + 1, math.floor((now - self._opened_at) / self.every_s) + 1)


def bearer_subprotocol(token: str) -> str:
    """How a browser shows a token: a subprotocol may hold few characters, so it is the hex of the token's UTF-8."""
    return _BEARER + token.encode().hex()
