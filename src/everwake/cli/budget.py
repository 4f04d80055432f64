"""`everwake budget`: the free hours, the day they end, and what to do about it."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from everwake.cli._options import Data, FleetFile, Json

if TYPE_CHECKING:
    from everwake.app.budgeting import Counted

__all__ = ["command"]


def command(fleet: FleetFile = Path("everwake.toml"), data: Data = Path(".everwake"), json: Json = False) -> None:
    """Count the free hours of every workspace: used and left, when they run out, what each service costs, the plan.

    Counted by the platform where it counts, else from what the keeper's looks saw, else assumed; each figure says which. Exit
    code 1 when they do not last the month: then up to three ways out are named.
    """
    import asyncio
    import os

    from everwake.app.budgeting import Asked, budget
    from everwake.cli._answer import document, note
    from everwake.cli._progress import Steps

    with Steps("counting the hours"):
        counted = asyncio.run(budget(Asked(fleet=fleet, data=data, environ=os.environ)))
    for name, why in counted.missing.items():
        note(f"{name} could not be asked: {why}")
    if json:
        document(_document(counted))
    else:
        _tell(counted)
    if any(not hours.forecast.lasts for hours in counted.hours.values()):
        raise typer.Exit(1)
    if counted.missing:
        raise typer.Exit(3)


def _tell(counted: "Counted") -> None:
    from everwake.budget.telling import lines
    from everwake.cli._answer import say
    from everwake.cli._terminal import YELLOW

    if not counted.hours and not counted.missing:
        say("no service runs on a free plan, so no hours are counted")
    for n, (name, hours) in enumerate(counted.hours.items()):
        say(f"{'' if n == 0 else chr(10)}Free hours on {name}")
        for line, is_bad in lines(hours):
            say(f"  {line}", YELLOW if is_bad else None)


def _document(counted: "Counted") -> dict[str, object]:
    from everwake.budget.telling import document

    return {
        "lasts": all(hours.forecast.lasts for hours in counted.hours.values()),
        "platforms": {name: document(hours) for name, hours in counted.hours.items()},
        "missing": dict(counted.missing),
    }
