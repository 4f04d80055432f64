"""The commands as one Typer program. A file NAME.py of this folder is the command NAME: its function `command`, with its help.

Only the file of the command that is called is loaded, for `--help` all of them; so a command's file imports at its top what
its options need, and the rest inside its function.
"""

import functools
import pkgutil
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from typing import Any

import typer

import everwake.cli
from everwake.cli._options import meant

__all__ = ["names", "run"]


def names() -> list[str]:
    """Every command there is."""
    return sorted(found.name for found in pkgutil.iter_modules(everwake.cli.__path__) if found.name[0] != "_")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"everwake {metadata.version('everwake')}")
        raise typer.Exit


def _everwake(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Keeps small cloud services awake, says why one is down, brings it back, and proves it.

    Exit codes: 0 all well, 1 a finding or something down, 2 wrong usage or configuration, 3 out of reach.
    """


def _with_its_fleet(command: Callable[..., None], arguments: Sequence[str]) -> Callable[..., None]:
    """The command, given the fleet file that is meant (`app.fleet_found`) where none was named."""

    @functools.wraps(command)
    def called(**given: Any) -> None:
        # `watch` is the keeper itself, and these two have no use for a fleet file.
        if arguments[0] not in ("watch", "up", "sim") and {"fleet", "data"} <= given.keys():
            given["fleet"] = meant(given["fleet"], given["data"], arguments)
        command(**given)

    return called


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code."""
    # Typer's own panels would load Rich for every --help; a traceback's local variables would show secrets.
    program = typer.Typer(
        name="everwake", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True,
    )  # fmt: skip
    program.callback()(_everwake)
    known = names()
    for name in [arguments[0]] if arguments and arguments[0] in known else known:
        program.command(name)(_with_its_fleet(import_module(f"everwake.cli.{name}").command, arguments))
    try:
        program(list(arguments), prog_name="everwake")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0
