"""One direction of a connection, pulled apart: feed it what comes, take heads and bodies out of it as they are wanted.

Without I/O and without a will of its own: what is not taken is kept, and how much that may be is the caller's to mind.
"""

from everwake.sim.edge.framing import Block, Framing, Malformed, NoBody

__all__ = ["Inflow"]

HEAD_END = b"\r\n\r\n"
TOO_LARGE = 431


class Inflow:
    """head, frame, body until `is_done`, head, ... : in this order."""

    __slots__ = ("_framing", "_kept", "_limit_bytes", "_searched")

    def __init__(self, head_limit_bytes: int) -> None:
        self._kept: Block = b""
        self._framing: Framing = NoBody()
        self._limit_bytes = head_limit_bytes
        self._searched = 0

    @property
    def left(self) -> int:
        """Bytes that came and were not taken yet."""
        return len(self._kept)

    @property
    def is_done(self) -> bool:
        """The body has been taken to its end."""
        return self._framing.is_done

    def feed(self, data: bytes) -> None:
        """Something came."""
        if not self._kept:
            self._kept = data
        elif isinstance(self._kept, bytearray):
            self._kept += data
        else:
            self._kept = bytearray(self._kept) + data

    def head(self) -> bytes | None:
        """The next head with the blank line that ends it, or None when it has not all come.

        Raises:
            Malformed: it cannot be one, or (431) it is longer than it may be.
        """
        # RFC 9112 section 2.2: a server ignores an empty line before a request.
        while self._kept[:2] == b"\r\n":
            self._drop(2)
            self._searched = 0
        # Such as the first byte of a TLS handshake: there is no point in waiting for the end of that.
        if self._kept and not 0x20 < self._kept[0] < 0x7F and self._kept != b"\r":
            raise Malformed("this port speaks HTTP, and that is not HTTP")
        end = self._kept.find(HEAD_END, max(0, self._searched - 3))
        if (end < 0 and len(self._kept) > self._limit_bytes) or end + 4 > self._limit_bytes:
            raise Malformed(f"the head is longer than {self._limit_bytes} bytes", TOO_LARGE)
        if end < 0:
            self._searched = len(self._kept)
            return None
        head, self._searched = bytes(self._kept[: end + 4]), 0
        self._drop(end + 4)
        return head

    def frame(self, framing: Framing) -> None:
        """How the body after that head is framed."""
        self._framing = framing

    def body(self) -> Block:
        """What has come of the body, taken out; to be passed on before anything else is fed. Raises Malformed."""
        if not self._kept or self._framing.is_done:
            return b""
        taken = self._framing.take(self._kept)
        piece = self._framing.payload(self._kept, taken)
        self._drop(taken)
        return piece

    def rest(self) -> bytes:
        """Everything that is left, taken out."""
        rest, self._kept = bytes(self._kept), b""
        return rest

    def _drop(self, count: int) -> None:
        if count == len(self._kept):
            self._kept = b""
        elif isinstance(self._kept, bytearray):
            del self._kept[:count]  # moves nothing, so a thousand requests in one block cost no thousand copies of it
        else:
            self._kept = bytearray(memoryview(self._kept)[count:])
