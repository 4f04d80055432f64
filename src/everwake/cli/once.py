"""`everwake once`: every check once, for cron or a CI job."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from everwake.cli._options import Data, FleetFile, Json

if TYPE_CHECKING:
    from everwake.app.looking import Looked
    from everwake.model import Failure

__all__ = ["command"]


def command(fleet: FleetFile = Path("everwake.toml"), data: Data = Path(".everwake"), json: Json = False) -> None:
    """Look at every service once, with every check it has, and say how each stands.

    Exit code 1 when anything is not up. Needs no keeper and keeps nothing; a keeper that runs is not disturbed. Without
    --fleet, beside a running `everwake up`, --data names the services of that one.
    """
    import asyncio
    import os

    from everwake.app.looking import look_at_all, waits_for_a_name
    from everwake.checks import specs
    from everwake.cli._answer import document, leave, note
    from everwake.fleet.load import load
    from everwake.fleet.secrets import Partly, of_services
    from everwake.model import State

    # Nobody is told and no platform is asked: what those need may be absent.
    found = load(fleet, os.environ, specs(), resolver=Partly(os.environ, of_services))
    note(f"looking at {len(found.services)} services")

    def told(looked: "tuple[Looked, ...]") -> None:
        if json:
            document(_document(found.name, looked))
        else:
            _table(looked)
        if waits_for_a_name(looked):
            leave(1)

    looked = asyncio.run(look_at_all(found.services, allow_private=found.keeper.allow_private, told=told))
    if any(one.state is not State.UP for one in looked):
        raise typer.Exit(1)


def _document(name: str, looked: "tuple[Looked, ...]") -> dict[str, object]:
    from everwake.app import explained
    from everwake.watch.view import overall

    state, counts = overall([one.state for one in looked])
    return {
        "name": name,
        "state": state.value,
        "counts": counts,
        "services": [
            {
                "name": one.service.name,
                "url": one.service.url,
                "state": one.state.value,
                "cause": one.cause,
                "checks": [explained.document(seen) for seen in one.seen],
            }
            for one in looked
        ],
    }


def _table(looked: "tuple[Looked, ...]") -> None:
    from everwake.cli._answer import colour_of, say

    width = max(len(one.service.name) for one in looked)
    for one in looked:
        first = one.seen[0]
        ms = f"{first.took_s * 1000:.0f} ms"
        status = "" if first.status is None else f"{first.status}"
        bad = [f"{seen.check}: {_failed(seen.failure)}" for seen in one.seen if seen.failure is not None]
        line = f"{one.service.name:<{width}}  {one.state.value:<8}  {status:>3}  {ms:>8}  {'; '.join(bad)}"
        say(line.rstrip(), colour_of(one.state))


def _failed(failure: "Failure") -> str:
    """What failed; of what took too long, where: `timeout in first_byte`."""
    from everwake.model import FailureKind

    kind = failure.kind.value
    return f"{kind} in {failure.phase.value}" if failure.kind is FailureKind.TIMEOUT else kind
