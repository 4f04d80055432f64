"""What `everwake up` shows: sentences, a table when all is ready, then every service's log behind its name."""

import io
import json
import sys

from everwake.app.up import Running
from everwake.cli._terminal import Terminal, has_colour

__all__ = ["Screen"]

NAME_WIDTH = 13
_COLOURS = ("\x1b[36m", "\x1b[35m", "\x1b[32m", "\x1b[33m", "\x1b[34m")


class Screen(Terminal):
    """Shows a run (`app.up.Screen`). is_quiet: without the services' lines.   is_json: stdout is for `up.json` alone."""

    def __init__(self, *, is_quiet: bool, is_json: bool) -> None:
        super().__init__(is_json=is_json)
        self._is_quiet, self._is_json = is_quiet, is_json
        self._names: dict[str, str] = {}

    def line(self, name: str, text: str) -> None:
        """A line that process `name` printed."""
        if not self._is_quiet:
            colour = self._names.setdefault(name, _COLOURS[len(self._names) % len(_COLOURS)])
            self.put(self.out, f"{self.dyed(colour, f'{name:<{NAME_WIDTH}} |', self.out)} {text}")

    def ready(self, running: Running) -> None:
        """The table of URLs, and what to do next."""
        if self._is_json:
            self.put(sys.stdout, json.dumps(running.document))
        self.put(self.out, self._table(running))

    def _table(self, running: Running) -> str:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table

        text = io.StringIO()
        console = Console(file=text, force_terminal=has_colour(self.out), no_color=not has_colour(self.out), width=100)
        table = Table(box=SIMPLE_HEAD if "utf" in self.out.encoding.lower() else None, pad_edge=False, show_edge=False)
        for heading, style in (("service", "bold"), ("", "green"), ("address", "cyan")):
            table.add_column(heading, style=style, no_wrap=True)
        for name, url in running.urls.items():
            table.add_row(name, "answers", url)
        table.add_row("dashboard", "answers", running.dashboard)
        console.print()
        console.print(table)
        console.print(f"AI     {running.provider}", highlight=False, soft_wrap=True)
        console.print(f"Redis  {running.redis}", highlight=False, soft_wrap=True)
        console.print(f"Logs   {running.logs}", highlight=False, soft_wrap=True)
        console.print(
            f"\nOpen [bold]{running.urls['backend']}/[/bold] and chat. Ctrl-C stops everything.", highlight=False
        )
        console.print(f"Open [bold]{running.dashboard}/[/bold] and see how they stand.\n", highlight=False)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
