"""Steps of something that takes a while: on a terminal a line that lives, elsewhere a line for each step. On stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from everwake.cli._answer import note
from everwake.cli._terminal import has_colour

if TYPE_CHECKING:
    from rich.status import Status

__all__ = ["Steps"]


class Steps:
    """Use it with `with`. title: what is being done, in words."""

    def __init__(self, title: str) -> None:
        self._title, self._began_s = title, time.monotonic()
        self._live: Status | None = None

    def __enter__(self) -> Self:
        if has_colour(sys.stderr):
            from rich.console import Console

            self._live = Console(stderr=True).status(self._title, spinner="dots")
            self._live.start()
        else:
            note(self._title)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def step(self, text: str) -> None:
        """The next step has begun, or the last one is done."""
        passed_s = time.monotonic() - self._began_s
        if self._live is None:
            note(f"{text} ({passed_s:.0f} s)")
        else:
            from rich.markup import escape

            self._live.console.print(f"[dim]· {escape(text)} ({passed_s:.0f} s)[/dim]", highlight=False)
            self._live.update(escape(f"{self._title}: {text}"))
