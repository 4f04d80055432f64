"""`everwake up`: the chat fleet on this machine, until Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from everwake.cli._options import FleetUnread

__all__ = ["command"]


def command(
    port: Annotated[
        int,
        typer.Option(
            min=1, max=65_000, metavar="PORT", help="The dashboard's port; the platform's begin 100 behind it."
        ),
    ] = 8600,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder for conversations, logs and up.json.")] = Path(
        ".everwake"
    ),
    fast: Annotated[
        bool,
        typer.Option("--fast", help="The platform's 15 min until sleep become 30 s; the keeper looks every 5 s."),
    ] = False,
    blueprint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rehearse this render.yaml instead of the chat fleet's own.")
    ] = None,
    fleet: FleetUnread = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not show what the services log.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print up.json on stdout once all answer, all else on stderr.")
    ] = False,
) -> None:
    """Run the chat fleet here, on a platform like Render, with a keeper that watches and repairs it. Ctrl-C stops all.

    Nothing needs to be installed or configured. With OPENAI_API_KEY (and OPENAI_BASE_URL) set, a real model answers; with
    REDIS_URL set, that Redis is used. Break something from a second terminal: `everwake sim break --list`.
    The fleet file that the keeper gets is written at every start, DIR/everwake.toml.
    """
    from everwake.app.up import CALM, FAST, Up, run_up
    from everwake.cli._screen import Screen

    with Screen(is_quiet=quiet, is_json=json) as screen:
        run_up(Up(port=port, data=data, haste=FAST if fast else CALM, blueprint=blueprint), screen)
