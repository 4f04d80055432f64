"""What `everwake up` shows: sentences, a table when all is ready, then every service's log behind its name."""

import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

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
            table.add_row(name, running.down.get(name, "answers"), url)
        table.add_row("dashboard", "answers", running.dashboard)
        table.add_row("platform", "answers", running.document["platform"]["url"])
        console.print()
        console.print(table)
        for heading, text_ in (("AI", running.provider), ("Redis", running.redis)):
            if text_:
                console.print(f"{heading:<6} {text_}", highlight=False, soft_wrap=True)
        if running.speed != 1:
            console.print(f"Time   the platform's runs {running.speed:g} times as fast", highlight=False)
        if "backend" in running.urls and running.provider:
            console.print(f"\nOpen [bold]{running.urls['backend']}/[/bold] and chat.", highlight=False)
        console.print(f"Open [bold]{running.dashboard}/[/bold] and see how they stand.", highlight=False)
        console.print("Break something from a second terminal: everwake sim break --list", highlight=False)
        console.print("Ctrl-C stops everything.\n", highlight=False)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def simulates(self, document: Mapping[str, Any], down: Sequence[str]) -> None:
        """The platform of `everwake sim` answers: where, and how to talk to it."""
        if self._is_json:
            self.put(sys.stdout, json.dumps(document))
        width = max((len(name) for name in document["services"]), default=0)
        lines = [""]
        for name, each in document["services"].items():
            lines.append(f"{name:<{width}}  {'its deploy failed' if name in down else 'answers':<8}  {each['url']}")
        lines += [
            "", f"API   {document['platform']['url']}  (its key is in up.json)",
            f"Edge  {document['edge']}  (by Host: NAME.localhost)", "",
            "Break something from a second terminal: everwake sim break --list", "Ctrl-C stops everything.", "",
        ]  # fmt: skip
        self.put(self.out, "\n".join(lines))
