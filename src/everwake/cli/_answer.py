"""What commands that answer print: one JSON document, or words for a person, in colour on a terminal."""

import json
import os
import re
import sys
from typing import Any, NoReturn

from everwake.cli._terminal import DIM, GREEN, RED, YELLOW, Terminal
from everwake.model import State

__all__ = ["colour_of", "document", "leave", "note", "plain", "say"]

# What strangers wrote must not reach the terminal as a command to it.
_CONTROL = re.compile(r"\x1b\[[0-9;?]{0,32}[ -/]{0,8}[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_COLOUR = {State.UP: GREEN, State.DOWN: RED, State.ASLEEP: DIM, State.PAUSED: DIM}


def colour_of(state: State) -> str:
    """Green is earned, red is down, everything else is yellow."""
    return _COLOUR.get(state, YELLOW)


def document(content: Any) -> None:
    """The one document of `--json`."""
    print(json.dumps(content, indent=1, ensure_ascii=False))


def say(text: str, colour: str | None = None) -> None:
    """A line of the result."""
    print(text if colour is None else Terminal.dyed(colour, text, sys.stdout))


def note(text: str) -> None:
    """A line about what goes on."""
    print(Terminal.dyed(DIM, f"· {text}", sys.stderr), file=sys.stderr)


def leave(exit_code: int) -> NoReturn:
    """End the process now, without waiting for threads: one that waits for a name server would hold it up for as long."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def plain(text: str) -> str:
    """Text of others without escape sequences and control characters; a line end becomes a blank."""
    return _CONTROL.sub("", text).replace("\n", " ")
