"""`everwake page`: the page that needs no keeper, as one file."""

from pathlib import Path
from typing import Annotated

import typer

from everwake.cli._options import Data, FleetFile

__all__ = ["command"]


def command(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write it; - for stdout.")],
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
) -> None:
    """Write the fleet as one self-contained HTML file that keeps it awake from a browser tab, for when no keeper can run.

    Opened from a disk, it pings the services and holds their WebSockets for as long as the tab is open. It holds addresses
    but no secrets, and says itself what a browser cannot see.
    """
    import os

    from everwake.app.page import page_of
    from everwake.checks import specs
    from everwake.cli._answer import note, say
    from everwake.errors import Misused
    from everwake.fleet.load import load
    from everwake.fleet.secrets import Partly

    found = load(fleet, os.environ, specs(), resolver=Partly(os.environ))
    page = page_of(found)
    if str(out) == "-":
        say(page)
        return
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Misused(f"{out} cannot be written: {error.strerror}") from None
    count = len(found.services)
    note(f"{out} has {count} service{'' if count == 1 else 's'}; open it in a browser and leave the tab open")
