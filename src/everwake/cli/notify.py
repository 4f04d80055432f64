"""`everwake notify test`: does a message get through?"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from everwake.cli._options import Data, FleetFile, Json

__all__ = ["command"]


class _What(StrEnum):
    TEST = "test"


def command(
    what: Annotated[_What, typer.Argument(help="test: send a message to every channel now.", show_default=False)],
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Json = False,
) -> None:
    """Send a test message to every channel under [notify] and say which took it.

    Exit code 1 when one did not.
    """
    import asyncio
    import os

    from everwake.app.telling import try_all
    from everwake.checks import specs
    from everwake.cli._answer import document, say
    from everwake.cli._terminal import GREEN, RED
    from everwake.errors import Misused
    from everwake.fleet.load import load

    found = load(fleet, os.environ, specs())
    if not found.notify.urls:
        raise Misused(f"{fleet} names no channel", hint='write urls = [{ env = "ALERT_URL" }] under [notify]')
    tried = asyncio.run(try_all(found))
    if json:
        document({
            "ok": all(one.problem is None for one in tried),
            "channels": [{"channel": one.channel, "sent": one.problem is None, "problem": one.problem} for one in tried],
        })  # fmt: skip
    else:
        for one in tried:
            said = "took it" if one.problem is None else f"did not take it: {one.problem}"
            say(f"{one.channel} {said}", GREEN if one.problem is None else RED)
    if any(one.problem is not None for one in tried):
        raise typer.Exit(1)
