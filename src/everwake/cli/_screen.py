"""The terminal of a run that goes on: sentences, a table when all is ready, then every service's log behind its name.

A thread of its own writes. A terminal may stop reading (Ctrl-S, a selection, a pager): the fleet goes on, and what does not fit
the queue is counted and left out; it is in the log files all the same.
"""

import io
import json
import os
import queue
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from everwake.app.up import Running

__all__ = ["Screen"]

WAITING_LINES = 5000
LAST_LINES_S = 2.0
NAME_WIDTH = 13
_COLOURS = ("\x1b[36m", "\x1b[35m", "\x1b[32m", "\x1b[33m", "\x1b[34m")
_DIM, _WARN, _PLAIN = "\x1b[2m", "\x1b[33m", "\x1b[0m"


def has_colour(stream: TextIO) -> bool:
    """May this stream be given colours? Only a terminal, and none where NO_COLOR (no-color.org) says no."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    # The old Windows console prints escape sequences as they are; Windows Terminal names itself.
    return sys.platform != "win32" or "WT_SESSION" in os.environ


class Screen:
    """Shows a run (`app.Screen`). is_quiet: without the services' lines.   is_json: stdout is for `up.json` alone."""

    def __init__(self, *, is_quiet: bool, is_json: bool) -> None:
        self._is_quiet, self._is_json = is_quiet, is_json
        self._out = sys.stderr if is_json else sys.stdout
        self._names: dict[str, str] = {}
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
        self._put(sys.stderr, self._in(_DIM, f"· {text}", sys.stderr))

    def warn(self, text: str) -> None:
        """A sentence about what went wrong."""
        self._put(sys.stderr, self._in(_WARN, f"! {text}", sys.stderr))

    def line(self, name: str, text: str) -> None:
        """A line that process `name` printed."""
        if not self._is_quiet:
            colour = self._names.setdefault(name, _COLOURS[len(self._names) % len(_COLOURS)])
            self._put(self._out, f"{self._in(colour, f'{name:<{NAME_WIDTH}} |', self._out)} {text}")

    def ready(self, running: Running) -> None:
        """The table of URLs, and what to do next."""
        if self._is_json:
            self._put(sys.stdout, json.dumps(running.document))
        self._put(self._out, self._table(running))

    def _table(self, running: Running) -> str:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table

        text = io.StringIO()
        console = Console(
            file=text, force_terminal=has_colour(self._out), no_color=not has_colour(self._out), width=100
        )
        table = Table(box=SIMPLE_HEAD if "utf" in self._out.encoding.lower() else None, pad_edge=False, show_edge=False)
        for heading, style in (("service", "bold"), ("", "green"), ("address", "cyan")):
            table.add_column(heading, style=style, no_wrap=True)
        for name, url in running.urls.items():
            table.add_row(name, "answers", url)
        console.print()
        console.print(table)
        console.print(f"AI     {running.provider}", highlight=False, soft_wrap=True)
        console.print(f"Redis  {running.redis}", highlight=False, soft_wrap=True)
        console.print(f"Logs   {running.logs}", highlight=False, soft_wrap=True)
        console.print(
            f"\nOpen [bold]{running.urls['backend']}/[/bold] and chat. Ctrl-C stops everything.\n", highlight=False
        )
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _in(self, colour: str, text: str, stream: TextIO) -> str:
        return f"{colour}{text}{_PLAIN}" if has_colour(stream) else text

    def _put(self, stream: TextIO, text: str) -> None:
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
