"""`everwake env`: a service's variables on its platform."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from everwake.cli._options import Data, FleetFile, Json

__all__ = ["command", "masked"]


class Verb(StrEnum):
    """What to do with them."""

    GET = "get"
    SET = "set"
    UNSET = "unset"


def command(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="Its name in the fleet or on the platform, or its id.")
    ],
    verb: Annotated[Verb, typer.Argument(help="What to do.")] = Verb.GET,
    words: Annotated[list[str] | None, typer.Argument(metavar="KEY|KEY=VALUE...", help="Which variables.")] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show secrets as they are.")] = False,
    deploy: Annotated[bool, typer.Option("--deploy", help="After set or unset, deploy and follow it.")] = False,
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Json = False,
) -> None:
    """Show, set or remove the variables of a service. A change counts from the next deploy on.

    `get` shows all, or the KEYs named; secrets are masked unless --reveal. `set KEY=VALUE ...` (KEY=- reads the value from
    standard input, so that it stands in no shell history) writes these and leaves the others; `unset KEY ...` removes.
    """
    import asyncio
    import os

    from everwake.app.platform import reach, secrets_of
    from everwake.cli._answer import document, note, say

    changes = _changes(verb, words or [])

    async def run() -> tuple[str, dict[str, str], list[str]]:
        async with reach(fleet, data, os.environ, service) as reached:
            found = await reached.find(service)
            before = await reached.platform.variables(found.id) if verb is Verb.UNSET else {}
            absent = [key for key in changes if verb is Verb.UNSET and key not in before]
            wanted = {key: value for key, value in changes.items() if key not in absent}
            if wanted:
                await reached.platform.set_variables(found.id, wanted)
            return found.name, dict(await reached.platform.variables(found.id)), absent

    name, variables, absent = asyncio.run(run())
    changes = {key: value for key, value in changes.items() if key not in absent}
    if changes:
        note(f"{name}: {', '.join(changes)} {'written' if verb is Verb.SET else 'removed'}, read back and compared")
        if not deploy:
            note(f"it counts from the next deploy on: everwake deploy {name}")
    wanted = list(words or variables) if verb is Verb.GET else [key for key in changes if key in variables]
    missing = [*(key for key in wanted if key not in variables), *absent]
    hidden = () if reveal else secrets_of(variables)
    shown = {
        key: variables[key] if reveal else masked(key, variables[key], hidden) for key in wanted if key in variables
    }
    if json:
        document({"service": name, "variables": shown, "missing": missing})
    else:
        width = max((len(key) for key in shown), default=0)
        for key, value in shown.items():
            say(f"{key:<{width}}  {value}")
        for key in missing:
            note(f"{name} has no variable {key}")
    if deploy and changes:
        from everwake.cli.deploy import command as deploy_

        deploy_(service, clear_cache=False, follow=True, fleet=fleet, data=data, json=False)
    if missing:
        raise typer.Exit(1)


def _changes(verb: Verb, words: list[str]) -> dict[str, str | None]:
    import sys

    if verb is Verb.GET:
        return {}
    if not words:
        raise typer.BadParameter("name at least one " + ("KEY=VALUE" if verb is Verb.SET else "KEY"))
    if verb is Verb.UNSET:
        return dict.fromkeys(words)
    changes: dict[str, str | None] = {}
    for word in words:
        key, mark, value = word.partition("=")
        if not mark or not key:
            # The word itself may be a value that was meant: it is not repeated.
            raise typer.BadParameter("set wants KEY=VALUE; one of the words has no KEY= in front")
        if value == "-" and "-" in [other.partition("=")[2] for other in words if other != word]:
            raise typer.BadParameter("only one value can come from standard input")
        changes[key] = sys.stdin.read().removesuffix("\n") if value == "-" else value
    return changes


def masked(key: str, value: str, hidden: Sequence[str] = ()) -> str:
    """A value as it may be shown: hidden whole where it is a secret or its name says so, else without the secrets in it."""
    from everwake.cli._answer import plain
    from everwake.fleet.redact import is_secret_name, redact_with

    if value and (is_secret_name(key) or key.upper().endswith("_KEY") or value in hidden):
        return f"*** ({len(value)} characters; --reveal shows it)"
    return plain(redact_with(value, hidden))
