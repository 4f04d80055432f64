"""`everwake doctor`: what is wrong in a .env file, a render.yaml, or a deployed service's variables.

A plain call never comes here: `cli._doctor` reads it without Typer, which alone would take longer than the doctor.
"""

from pathlib import Path
from typing import Annotated

import typer

from everwake.cli._options import Data, FleetFile, Json

__all__ = ["command"]


def command(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE|-]...",
            help="Files to examine; - for standard input. Default: .env and render.yaml of this folder.",
        ),
    ] = None,
    service: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Without a file: the deployed service's variables. With one: whose file it is."
        ),
    ] = "",
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what has one safe answer; shows the difference, keeps a backup.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what --fix would change, and change nothing.")] = False,
    format: Annotated[str, typer.Option(metavar="text|json|sarif", help="How to print what was found.")] = "text",
    reader: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Who reads the file: docker, compose, python-dotenv, dotenv, shell, render, ..."
        ),
    ] = "",
    environment: Annotated[
        str, typer.Option(metavar="NAME", help="production or development; else as the variables say.")
    ] = "",
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="Where it runs: render, railway, fly, heroku, docker, ...")
    ] = "",
    schema: Annotated[
        str, typer.Option(metavar="NAME", help="What the variables must be: chatify.chatbot, or a JSON file.")
    ] = "",
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Json = False,
) -> None:
    """Find what is wrong in a .env file, a render.yaml, or a deployed service's variables, each with its place and its fix.

    A finding is an error (it will not work) or advice (it works, but). Exit code 1 only when there is an error. No value that
    may be a secret is ever printed.
    """
    from everwake.cli._doctor import FORMATS, run

    if format not in FORMATS:
        raise typer.BadParameter(f"{format[:20]} is none of {', '.join(FORMATS)}", param_hint="--format")
    raise typer.Exit(
        run(
            files or [], service=service, fix=fix, plan=plan, format=format, json=json, reader=reader, environment=environment,
            platform=platform, schema=schema, fleet=str(fleet), data=str(data),
        )
    )  # fmt: skip
