"""`everwake init`: a key, and a minute later a fleet file, what is wrong, and the hours."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everwake.cli._options import Data, Json

if TYPE_CHECKING:
    from everwake.app.beginning import Begun

__all__ = ["command"]


def command(
    out: Annotated[Path, typer.Option("--out", "--fleet", metavar="FILE", help="The fleet file to write.")] = Path(
        "everwake.toml"
    ),
    force: Annotated[
        bool, typer.Option("--force", help="Write it though it exists; the old one is kept as .bak.")
    ] = False,
    data: Data = Path(".everwake"),
    json: Json = False,
) -> None:
    """Read a platform with its key (RENDER_API_KEY): write everwake.toml, examine all variables, count the free hours.

    Beside a running `everwake up` or `everwake sim` it reads that platform and needs no key. Nothing is changed there. Exit code
    1 when a variable is wrong or the hours do not last.
    """
    import asyncio
    import os

    from everwake.app.beginning import Asked, begin
    from everwake.cli._answer import document
    from everwake.cli._progress import Steps

    with Steps("reading the platform"):
        begun = asyncio.run(begin(Asked(out=out, data=data, environ=os.environ, overwrite=force)))
    if json:
        document(_document(begun, out))
    else:
        _tell(begun, out)
    errors = sum(one.problem.is_error for found in begun.findings.values() for one in found)
    if errors or (begun.hours is not None and not begun.hours.forecast.lasts):
        raise typer.Exit(1)


def _tell(begun: "Begun", out: Path) -> None:
    from everwake.budget.telling import lines as hours_lines
    from everwake.cli._answer import say
    from everwake.cli._terminal import DIM, GREEN, RED, YELLOW
    from everwake.doctor.telling import lines

    width = max(len(one.name) for one in begun.services)
    written = {one.name for one in begun.kept}
    say(f"{len(begun.services)} service{'' if len(begun.services) == 1 else 's'} on {begun.platform}")
    for one in begun.services:
        stopped = f"suspended by {', '.join(one.suspenders)}" if one.suspenders else "not suspended"
        told = f"  {one.name:<{width}}  {one.plan or '-':<8} {stopped:<22} {one.url or one.type}"
        say(told, YELLOW if one.suspenders else DIM if one.name not in written else None)
    if begun.replaced is not None:
        say(f"\n{begun.replaced} is the fleet file of before")
    say(f"\n✓ {out} written: {', '.join(one.name for one in begun.kept)}", GREEN)
    tones = {"error": RED, "advice": YELLOW, "mark": RED}
    errors = advice = 0
    say("\nVariables")
    for name, findings in begun.findings.items():
        errors += sum(one.problem.is_error for one in findings)
        advice += sum(not one.problem.is_error for one in findings)
        for tone, line in lines(name, findings):
            say(f"  {line}", tones.get(tone))
    if not errors and not advice:
        say("  ✓ nothing is wrong with them", GREEN)
    if begun.hours is not None:
        say("\nFree hours")
        for line, is_bad in hours_lines(begun.hours):
            say(f"  {line}", YELLOW if is_bad else None)
    aside = " --data FOLDER (a keeper runs in the one of `up`)" if begun.platform == "sim" else ""
    say(f"\nNext: {'everwake doctor --service NAME --fix, then ' if errors else ''}everwake watch --fleet {out}{aside}")


def _document(begun: "Begun", out: Path) -> dict[str, object]:
    from everwake.budget.telling import document as hours_document
    from everwake.doctor.telling import as_data

    return {
        "file": str(out),
        "platform": begun.platform,
        "services": [
            {"name": one.name, "id": one.id, "url": one.url, "plan": one.plan, "suspenders": list(one.suspenders)}
            for one in begun.services
        ],
        "watched": [one.name for one in begun.kept],
        "findings": {name: as_data(name, findings) for name, findings in begun.findings.items()},
        "hours": hours_document(begun.hours) if begun.hours is not None else None,
    }
