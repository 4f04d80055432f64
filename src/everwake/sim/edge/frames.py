"""Counts the messages in one direction of a WebSocket by its frames' headers (RFC 6455 section 5.2), whatever the blocks."""

__all__ = ["Frames"]

TEXT, BINARY = 1, 2
MASKED, LENGTH = 0x80, 0x7F
HEADER_BYTES = 14  # the longest: two, eight of length, four of mask


class Frames:
    """Follows the frames without looking at, or keeping, what they carry.

    A message in fragments counts once, with the frame that begins it; ping, pong and close never do. What is not a
    WebSocket is followed as if it were: whoever is at the other end will say so.
    """

    __slots__ = ("_header", "_left")

    def __init__(self) -> None:
        self._header = b""  # the beginning of a header that a block's end cut
        self._left = 0  # payload of the frame we are in

    def feed(self, data: bytes) -> int:
        """How many text and binary frames begin in this block; a frame begins with the last byte of its header."""
        begun, at, end = 0, 0, len(data)
        if self._header:
            data, self._header = self._header + data, b""
            end = len(data)
        while True:
            if self._left:
                if self._left >= end - at:
                    self._left -= end - at
                    return begun
                at += self._left
                self._left = 0
            if end - at < 2:
                break
            short = data[at + 1] & LENGTH
            size = 2 + (0 if short < 126 else 2 if short == 126 else 8) + (4 if data[at + 1] & MASKED else 0)
            if end - at < size:
                break
            if data[at] & 0x0F in (TEXT, BINARY):
                begun += 1
            if short == 126:
                self._left = int.from_bytes(data[at + 2 : at + 4], "big")
            elif short == 127:
                self._left = int.from_bytes(data[at + 2 : at + 10], "big")
            else:
                self._left = short
            at += size
        self._header = data[at:]
        return begun
