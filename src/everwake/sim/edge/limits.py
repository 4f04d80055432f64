"""How much, and how long, the edge puts up with."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All > 0. Times in seconds, told by the edge's clock and held to within `sweep_s`; sizes in bytes.

    head_bytes: of a request's head, and of an answer's.   head_s: from the first byte of a head to its last.
    idle_s: a connection without a request.   connect_s: until the instance has accepted a connection.
    quiet_s: a request under way in which no byte moves (100 minutes are said to be Render's limit; not confirmed).
    half_closed_s: the same after the client has said that it will send no more: it may be gone.
    drain_s: what a client still sends after its answer is read that long, so that it sees the answer.
    window_bytes: what is held of one direction before its sender has to wait; one read of the loop may come on top.
    connections: of clients, at a time.   grace_s: what a stop gives requests under way.
    """

    head_bytes: int = 65_536
    head_s: float = 20.0
    idle_s: float = 75.0
    connect_s: float = 5.0
    quiet_s: float = 6_000.0
    half_closed_s: float = 2.0
    drain_s: float = 30.0
    window_bytes: int = 65_536
    connections: int = 8_192
    grace_s: float = 2.0
    sweep_s: float = 1.0
