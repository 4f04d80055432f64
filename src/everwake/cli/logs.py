"""`everwake logs`: a service's log on its platform, secrets masked."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everwake.cli._options import Data, FleetFile

if TYPE_CHECKING:
    from everwake.model import PlatformLine

__all__ = ["command"]


def _span(text: str) -> timedelta:
    from everwake.fleet._values import Wrong, read

    try:
        return timedelta(seconds=read(text, float, {"reads": "seconds", "ge": 1, "le": 30 * 86_400}))
    except Wrong as wrong:
        raise typer.BadParameter(f"{wrong.message}; {wrong.hint}") from None


def command(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="Its name in the fleet or on the platform, or its id.")
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    since: Annotated[
        timedelta, typer.Option(parser=_span, metavar="1h", help="How far back: 90s, 15m, 1h, 7d.")
    ] = "1h",  # type: ignore[assignment]
    most: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many lines, the newest.")] = 1_000,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show secrets as they are.")] = False,
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Annotated[bool, typer.Option("--json", help="JSON: one document, or JSON Lines with --follow.")] = False,
) -> None:
    """Show what a service logged, oldest first. Secrets in it are masked unless --reveal."""
    import asyncio
    import os

    from everwake.app.platform import reach, secrets_of
    from everwake.cli._answer import document, note
    from everwake.clock import SystemClock

    hidden: list[str] = []

    def show(line: "PlatformLine") -> None:
        if json:
            import json as format_

            print(format_.dumps(_told(line, None if reveal else hidden), ensure_ascii=False), flush=True)
        else:
            told = _told(line, None if reveal else hidden)
            print(f"{line.at.astimezone():%m-%d %H:%M:%S}  {told['text']}", flush=follow)

    async def run() -> None:
        async with reach(fleet, data, os.environ, service) as reached:
            found = await reached.find(service)
            if not reveal:
                hidden[:] = secrets_of(await reached.platform.variables(found.id))
            begin = SystemClock().now() - since
            lines = await reached.platform.logs(found.id, begin, None, most)
            if json and not follow:
                document({"service": found.name, "items": [_told(line, None if reveal else hidden) for line in lines]})
                return
            for line in lines:
                show(line)
            if not lines and not follow:
                note(f"{found.name} logged nothing in that time; --since 24h looks further back")
            if follow:
                known = {line.id for line in lines}
                async for line in reached.platform.follow_logs(found.id):
                    if line.id not in known:
                        show(line)

    asyncio.run(run())


def _told(line: "PlatformLine", hidden: Sequence[str] | None) -> dict[str, str]:
    """hidden: secrets that are known of the service; None shows all."""
    from everwake.cli._answer import plain
    from everwake.fleet.redact import redact_with

    text = line.text if hidden is None else redact_with(line.text, hidden)
    return {
        "at": line.at.isoformat().replace("+00:00", "Z"), "text": plain(text), "type": line.type, "level": line.level,
        "instance": line.instance,
    }  # fmt: skip
