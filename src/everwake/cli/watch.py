"""`everwake watch`: the keeper, until Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from everwake.cli._options import Data, FleetFile, Json

__all__ = ["command"]


def command(
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, metavar="PORT", help="The page's port, 0 for any. Default: the file's, 8600."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only what is not well.")] = False,
    json: Json = False,
) -> None:
    """Keep the fleet awake and watched, for ever, with a page to look at.

    Looks at every service on time, holds the heartbeats, remembers everything in DIR, tells about incidents. A changed fleet
    file is taken at once, as is SIGHUP. Ctrl-C or SIGTERM stops; what is known survives.
    """
    from everwake.app.watching import Asked, run_watch
    from everwake.cli._activity import Activity
    from everwake.cli._options import logs_to_stderr

    logs_to_stderr()
    with Activity(is_quiet=quiet, is_json=json) as screen:
        run_watch(Asked(fleet=fleet, data=data, port=port), screen)
