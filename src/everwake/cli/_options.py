"""The options that every command of the keeper takes, and where the keeper's warnings go."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from everwake.fleet.redact import redact

__all__ = ["Data", "FleetFile", "FleetUnread", "Json", "logs_to_stderr", "meant"]

FleetFile = Annotated[Path, typer.Option("--fleet", metavar="FILE", help="The fleet file.")]
FleetUnread = Annotated[
    Path | None,
    typer.Option(
        "--fleet", metavar="FILE", help="Taken as by every command, and not read: what runs is the blueprint."
    ),
]
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder for the history and up.json.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, all else on stderr.")]

# What every LogRecord has; the rest was given with `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Event(logging.Formatter):
    """`2026-01-01T00:00:00Z WARNING vantage.ours why="no route"`, masked: a library's message may quote anything."""

    def format(self, record: logging.LogRecord) -> str:
        extras = {name: value for name, value in vars(record).items() if name not in _OWN}
        said = " ".join([record.getMessage(), *(f"{name}={value!r}" for name, value in extras.items())])
        text = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%SZ')} {record.levelname} {said}"
        return redact(f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text)


def meant(fleet: Path, data: Path, arguments: Sequence[str]) -> Path:
    """The fleet file of the command that is called so: the one it names, else the one that goes with its data folder."""

    def is_named(option: str) -> bool:
        return any(word == option or word.startswith(f"{option}=") for word in arguments)

    if is_named("--fleet") or not (data / "everwake.toml").exists():
        return fleet
    from everwake.app.fleet_found import fleet_meant

    return fleet_meant(fleet, data, data_is_named=is_named("--data"))


def logs_to_stderr() -> None:
    """Warnings and errors of the keeper go to stderr, one line each."""
    import time

    _Event.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Event())
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.WARNING)
