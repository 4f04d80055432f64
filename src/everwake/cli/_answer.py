"""What commands that answer print: one JSON document, or words for a person, in colour on a terminal."""

import json
import os
import re
import sys
from typing import Any, NoReturn

from everwake.cli._terminal import DIM, GREEN, RED, YELLOW, Terminal
from everwake.model import State

__all__ = ["colour_of", "document", "escaped", "leave", "note", "plain", "say"]

# What strangers wrote must not reach the terminal as a command to it, nor stand there in another order or unseen: the format
# characters of Unicode (direction, zero width, tags), line and paragraph separators, lone surrogates.
_FORMAT = (
    "\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f"
)
_CONTROL = re.compile(rf"\x1b\[[0-9;?]{{0,32}}[ -/]{{0,8}}[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f{_FORMAT}]")
_IN_JSON = re.compile(rf"[\x7f-\x9f{_FORMAT}]")

_COLOUR = {State.UP: GREEN, State.DOWN: RED, State.ASLEEP: DIM, State.PAUSED: DIM}


def colour_of(state: State) -> str:
    """Green is earned, red is down, everything else is yellow."""
    return _COLOUR.get(state, YELLOW)


def document(content: Any) -> None:
    """The one document of `--json`."""
    print(escaped(json.dumps(content, indent=1, ensure_ascii=False)))


def escaped(document: str) -> str:
    """JSON that says the same, with what a terminal may not be shown written as \\u escapes."""
    return _IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1], document)


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
    """Text of others without escape sequences, control and format characters; a line end becomes a blank."""
    return _CONTROL.sub("", text).replace("\n", " ")
