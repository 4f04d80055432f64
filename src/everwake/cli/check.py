"""`everwake check`: look once and explain, or say whether the fleet file is right."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everwake.cli._options import Data, FleetFile, Json

if TYPE_CHECKING:
    from everwake.app.looking import Looked
    from everwake.fleet.schema import Service

__all__ = ["command"]


def command(
    target: Annotated[str | None, typer.Argument(metavar="URL|SERVICE", help="What to look at.")] = None,
    config: Annotated[
        bool,
        typer.Option(
            "--config", help="Only read the fleet file and name every mistake; touches no network, needs no secret."
        ),
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=300, metavar="SECONDS", help="Longest a look at a URL may take.")
    ] = 30.0,
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Json = False,
) -> None:
    """Look once at a service of the fleet, or at any URL, and explain what was seen.

    A URL without a path is asked for /health. Exit code 1 when it is not up. Of a service that a running keeper watches, what
    the keeper knows is told too.
    """
    if config == (target is not None):
        raise typer.BadParameter("name a URL or service, or give --config")
    if config:
        _check_config(fleet, is_json=json)
    else:
        assert target is not None
        _look(target, fleet, data, timeout, is_json=json)


def _check_config(path: Path, *, is_json: bool) -> None:
    import dataclasses
    import os

    from everwake.checks import specs
    from everwake.cli._answer import document, note, say
    from everwake.fleet.load import BadFleet, Mistake, load
    from everwake.fleet.secrets import Partly

    notes: list[Mistake] = []
    try:
        # The file may be right where its secrets are not, such as in a repository's tests.
        found = load(path, os.environ, specs(), resolver=Partly(os.environ), noted=notes.append)
    except BadFleet as bad:
        if not is_json:
            raise
        document(
            {"file": str(path), "ok": False, "mistakes": [dataclasses.asdict(one) for one in bad.mistakes], "notes": []}
        )
        raise typer.Exit(bad.exit_code) from None
    if is_json:
        noted = [dataclasses.asdict(one) for one in notes]
        document(
            {
                "file": str(path),
                "ok": True,
                "name": found.name,
                "services": len(found.services),
                "mistakes": [],
                "notes": noted,
            }
        )
    else:
        count = len(found.services)
        say(f"{path} is right: {found.name}, {count} service{'' if count == 1 else 's'}")
        for one in notes:
            note(f"note: {one.told(str(path))}")


def _look(target: str, path: Path, data: Path, timeout_s: float, *, is_json: bool) -> None:
    import asyncio
    import os
    from dataclasses import replace

    from everwake.app.looking import look_at_all, service_of_url, waits_for_a_name
    from everwake.app.reach import running_keeper
    from everwake.checks import specs
    from everwake.cli._answer import document, leave, note
    from everwake.errors import OutOfReach
    from everwake.fleet.load import load
    from everwake.fleet.secrets import Partly, of_services
    from everwake.model import State

    known = None
    if "://" in target:
        service, allow_private = replace(service_of_url(target), timeout_s=timeout_s), True
    elif not path.exists() and any(mark in target for mark in ".:/"):
        service_of_url(target)  # no fleet, so no service of it: says how a URL is written
        return
    else:
        fleet = load(path, os.environ, specs(), resolver=Partly(os.environ, of_services))
        service, allow_private = _of_fleet(target, fleet.services), fleet.keeper.allow_private
        token = fleet.keeper.token
        keeper = running_keeper(data, token if token and token.is_known else None)
        if keeper is not None:
            try:
                known = keeper.service(service.name)
            except OutOfReach as error:
                note(error.message)

    def told(all_looked: "tuple[Looked, ...]") -> None:
        (looked,) = all_looked
        if is_json:
            document(_document(looked, known))
        else:
            _explain(looked, known)
        if waits_for_a_name(all_looked):
            leave(1)

    (looked,) = asyncio.run(look_at_all([service], allow_private=allow_private, told=told))
    if looked.state is not State.UP:
        raise typer.Exit(1)


def _of_fleet(name: str, services: "tuple[Service, ...]") -> "Service":
    from everwake.errors import Misused
    from everwake.fleet.naming import near

    names = [service.name for service in services]
    if name in names:
        return services[names.index(name)]
    hint = near(name, names)
    if any(mark in name for mark in ".:/"):
        hint = f"for an address write http://{name[:60]} (or https://); {hint}"
    raise Misused(f"no service is called {name[:60]}", hint=hint)


def _document(looked: "Looked", known: dict[str, object] | None) -> dict[str, object]:
    from everwake.app import explained

    return {
        "name": looked.service.name,
        "url": looked.service.url,
        "state": looked.state.value,
        "cause": looked.cause,
        "checks": [explained.document(seen) for seen in looked.seen],
        "keeper": known,
    }


def _explain(looked: "Looked", known: dict[str, object] | None) -> None:
    from everwake.app import explained
    from everwake.cli._answer import colour_of, say
    from everwake.clock import SystemClock

    service, now = looked.service, SystemClock().now()
    say(f"{service.name} is {looked.state.value}", colour_of(looked.state))
    for seen in looked.seen:
        where = f"{service.url}{service.health}" if seen.check == "http" else seen.check
        for n, line in enumerate(explained.lines(seen, now)):
            say(f"  {where}: {line}" if n == 0 else f"    {line}")
    if known is not None:
        say(f"  the keeper says {known.get('state')} since {known.get('since')}, last looked {known.get('checked_at')}")
