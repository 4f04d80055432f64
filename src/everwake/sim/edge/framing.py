"""Where a message's body ends, without holding any of it: counted, chunked, until the connection ends, or none.

The bytes pass as they are: chunk sizes, extensions and trailers too. What is not exactly the grammar of RFC 9112 section 7.1
is refused, and the white space that it calls bad as well, as llhttp does: an app that reads it more kindly would
see another request than the edge did (request smuggling).
"""

import re
from typing import Protocol

__all__ = ["Chunked", "Counted", "Framing", "Malformed", "NoBody", "UntilClose"]

# A size of 15 digits is far beyond any body; an extension or a trailer beyond these is somebody's try.
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[^\r\n\x00]*)?\r\n")
TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\x00]*\r\n")
SIZE_LINE_LIMIT_BYTES = 4_096
TRAILERS_LIMIT_BYTES = 16_384

Block = bytes | bytearray


class Malformed(Exception):  # noqa: N818 - reads as what it is
    """It is not HTTP as the RFCs have it. status: what the edge answers to a client that sent it."""

    def __init__(self, says: str, status: int = 400) -> None:
        super().__init__(says)
        self.says = says
        self.status = status


class Framing(Protocol):
    """Follows one body through the blocks it comes in. is_done: its last byte has been taken."""

    is_done: bool

    def take(self, data: Block) -> int:
        """How many of the next bytes belong to the body. Raises Malformed; then none of them may be passed on."""

    def payload(self, data: Block, taken: int) -> Block:
        """Of what `take` just took, what is to be passed on."""
        ...


class NoBody:
    """Nothing follows the head."""

    is_done = True

    def take(self, data: Block) -> int:
        return 0

    def payload(self, data: Block, taken: int) -> Block:
        return b""


class Counted:
    """A body of that many bytes (Content-Length), >= 0."""

    __slots__ = ("_left", "is_done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_done = length == 0

    def take(self, data: Block) -> int:
        taken = min(self._left, len(data))
        self._left -= taken
        self.is_done = self._left == 0
        return taken

    def payload(self, data: Block, taken: int) -> Block:
        return data if taken == len(data) else data[:taken]


class UntilClose:
    """A body that ends with the connection."""

    is_done = False

    def take(self, data: Block) -> int:
        return len(data)

    def payload(self, data: Block, taken: int) -> Block:
        return data


class Chunked:
    """A chunked body with its trailers. unwraps: pass on what is in the chunks, without sizes and trailers."""

    __slots__ = ("_left", "_line", "_pieces", "_step", "_trailers", "_unwraps", "is_done")

    def __init__(self, *, unwraps: bool = False) -> None:
        self.is_done = False
        self._unwraps = unwraps
        self._left = 0  # of the chunk
        self._line = b""  # what has come of a line that is not complete
        self._trailers = 0
        self._step = self._size
        self._pieces: list[tuple[int, int]] = []

    def take(self, data: Block) -> int:
        self._pieces.clear()
        at = 0
        while at < len(data) and not self.is_done:
            at = self._step(data, at)
        return at

    def payload(self, data: Block, taken: int) -> Block:
        if self._unwraps:
            return b"".join(data[begin:end] for begin, end in self._pieces)
        return data if taken == len(data) else data[:taken]

    def _size(self, data: Block, at: int) -> int:
        at, line = self._a_line(data, at, SIZE_LINE_LIMIT_BYTES)
        if line:
            found = SIZE_LINE.fullmatch(line)
            if found is None:
                raise Malformed("a chunk's size is not as RFC 9112 has it")
            self._left = int(found[1], 16)
            self._step = self._chunk if self._left else self._trailer
        return at

    def _chunk(self, data: Block, at: int) -> int:
        step = min(self._left, len(data) - at)
        self._left -= step
        if self._unwraps:
            self._pieces.append((at, at + step))
        if not self._left:
            self._step = self._chunk_end
        return at + step

    def _chunk_end(self, data: Block, at: int) -> int:
        step = min(2 - len(self._line), len(data) - at)
        self._line += data[at : at + step]
        if not b"\r\n".startswith(self._line):
            raise Malformed("a chunk is longer than its size says")
        if len(self._line) == 2:
            self._line = b""
            self._step = self._size
        return at + step

    def _trailer(self, data: Block, at: int) -> int:
        at, line = self._a_line(data, at, TRAILERS_LIMIT_BYTES - self._trailers)
        self._trailers += len(line)
        if line == b"\r\n":
            self.is_done = True
        elif line and not TRAILER_LINE.fullmatch(line):
            raise Malformed("a trailer is not a header line")
        return at

    def _a_line(self, data: Block, at: int, limit_bytes: int) -> tuple[int, bytes]:
        """Where to go on, and the line with its end once it is complete; else b"" and the part is kept."""
        end = data.find(b"\n", at) + 1
        line = self._line + data[at : end or len(data)]
        if len(line) > limit_bytes:
            raise Malformed("the lines of a chunked body are too long")
        self._line = b"" if end else bytes(line)
        return end or len(data), bytes(line) if end else b""
