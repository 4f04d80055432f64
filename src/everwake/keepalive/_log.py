"""Log lines that a flood cannot make dear: each message a few times a second, and how many were left out."""

import logging

__all__ = ["Thinned"]

_PER_S = 10


class Thinned:
    """A logger that writes each message at most `_PER_S` times in a second; the next one tells what was left out.

    Messages are told apart by their text before formatting. now: monotonic seconds, the caller's.
    """

    __slots__ = ("_log", "_since")

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._since: dict[str, tuple[float, int]] = {}  # message -> start of its second, times asked in it

    def say(self, level: int, now: float, message: str, *values: object) -> None:
        start, asked = self._since.get(message, (now, 0))
        left_out = 0
        if now - start >= 1.0:
            left_out = max(0, asked - _PER_S)
            start, asked = now, 0
        self._since[message] = (start, asked + 1)
        if asked >= _PER_S:
            return
        if left_out:
            message, values = message + " (and %d more before it)", (*values, left_out)
        self._log.log(level, message, *values)
