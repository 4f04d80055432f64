"""A terminal that is written to while something else must not wait: sentences, colours, lines.

A thread of its own writes. A terminal may stop reading (Ctrl-S, a selection, a pager): the fleet goes on, and what does not fit
the queue is counted and left out; it is in the log files all the same.
"""

import os
import queue
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

__all__ = ["Terminal"]

WAITING_LINES = 5000
LAST_LINES_S = 2.0
DIM, YELLOW, RED, GREEN, PLAIN = "\x1b[2m", "\x1b[33m", "\x1b[31m", "\x1b[32m", "\x1b[0m"


def has_colour(stream: TextIO) -> bool:
    """May this stream be given colours? Only a terminal, and none where NO_COLOR (no-color.org) says no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    # The old Windows console prints escape sequences as they are; Windows Terminal names itself.
    return sys.platform != "win32" or "WT_SESSION" in os.environ


class Terminal:
    """Use it with `with`. is_json: stdout is for one document alone, everything else goes to stderr."""

    def __init__(self, *, is_json: bool = False) -> None:
        self.out = sys.stderr if is_json else sys.stdout
        self._left_out = 0
        self._waiting: queue.Queue[tuple[TextIO, str] | None] = queue.Queue(WAITING_LINES)
        # A daemon: a terminal that never reads again must not keep the command from ending.
        self._writer = threading.Thread(target=self._write, name="screen", daemon=True)

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(queue.Full):
            self._waiting.put(None, timeout=LAST_LINES_S)
        self._writer.join(LAST_LINES_S)

    def say(self, text: str) -> None:
        """A sentence about what goes on."""
        self.put(sys.stderr, self.dyed(DIM, f"· {text}", sys.stderr))

    def warn(self, text: str) -> None:
        """A sentence about what went wrong."""
        self.put(sys.stderr, self.dyed(YELLOW, f"! {text}", sys.stderr))

    @staticmethod
    def dyed(colour: str, text: str, stream: TextIO) -> str:
        """The text in that colour, where the stream may be given colours."""
        return f"{colour}{text}{PLAIN}" if has_colour(stream) else text

    def put(self, stream: TextIO, text: str) -> None:
        """Write a line soon; what comes too fast is left out and counted."""
        try:
            self._waiting.put_nowait((stream, text))
        except queue.Full:
            self._left_out += 1

    def _write(self) -> None:
        while (item := self._waiting.get()) is not None:
            _show(*item, flush=self._waiting.empty())
            if self._left_out and self._waiting.empty():
                left_out, self._left_out = self._left_out, 0
                _show(sys.stderr, f"! {left_out} lines came faster than they could be shown; they are in the logs")


def _show(stream: TextIO, text: str, *, flush: bool = True) -> None:
    """Write a line. A pipe that was closed or a terminal that is gone ends the showing, not the fleet."""
    try:
        stream.write(f"{text}\n")
        if flush:
            stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())  # or Python would complain once more when it ends
            os.close(nowhere)
