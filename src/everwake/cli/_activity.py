"""What `everwake watch` shows: the activity log, line by line, as the page shows it."""

import json
import sys
from collections.abc import Mapping

from everwake.cli._terminal import GREEN, RED, YELLOW, Terminal
from everwake.fleet.schema import Fleet
from everwake.model import Level, LogLine

__all__ = ["Activity"]

_COLOUR = {Level.SUCCESS: GREEN, Level.ERROR: RED, Level.WARNING: YELLOW}


class Activity(Terminal):
    """Shows a keeper (`app.watching.Screen`). is_quiet: only what is not well.   is_json: stdout is for `up.json` alone."""

    def __init__(self, *, is_quiet: bool, is_json: bool) -> None:
        super().__init__(is_json=is_json)
        self._is_quiet, self._is_json = is_quiet, is_json

    def activity(self, line: LogLine) -> None:
        """A line in the mission's words, with the time of this machine's clock."""
        if self._is_quiet and line.level in (Level.SUCCESS, Level.INFO):
            return
        text = f"[{line.at.astimezone():%H:%M:%S}] {line.text}"
        colour = _COLOUR.get(line.level)
        self.put(self.out, text if colour is None else self.dyed(colour, text, self.out))

    def ready(self, url: str, fleet: Fleet, document: Mapping[str, object]) -> None:
        """Where the page is."""
        if self._is_json:
            self.put(sys.stdout, json.dumps(document))
        count = len(fleet.services)
        self.say(f"{fleet.name}: {count} service{'' if count == 1 else 's'}. Open {url}/ to look; Ctrl-C stops.")
