"""`everwake sim`: the simulated platform alone, and drills against one that runs."""

from pathlib import Path
from typing import Annotated

import typer

from everwake.cli._options import Data, FleetUnread

__all__ = ["command"]


def command(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="break SERVICE", help="A drill against a simulator that runs.")
    ] = None,
    how: Annotated[str | None, typer.Option("--how", metavar="NAME", help="Which drill; heal undoes it.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Every drill: what it changes, its cause, its cure.")] = False,
    blueprint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The render.yaml to run. Default: the chat fleet's own.")
    ] = None,
    port: Annotated[
        int,
        typer.Option(min=1, max=65_000, metavar="PORT", help="The API's port; edge and services take those behind."),
    ] = 8700,
    speed: Annotated[
        float, typer.Option(min=0.1, max=10_000, metavar="N", help="The platform's time runs N times as fast.")
    ] = 1.0,
    fleet: FleetUnread = None,
    data: Data = Path(".everwake"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not show what the services log.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, all else on stderr.")] = False,
) -> None:
    """Run a platform like Render on this machine: real processes behind an edge, with the same API. Ctrl-C stops all.

    Drills, from a second terminal: `everwake sim break chatbot --how bad-env`, `--how heal`, `everwake sim break --list`.
    """
    if words or list_ or how:
        _drill(words or ["break"], how, data, is_list=list_, is_json=json)
        return
    from everwake.app.simulating import Sim, run_sim
    from everwake.cli._screen import Screen

    with Screen(is_quiet=quiet, is_json=json) as screen:
        run_sim(Sim(blueprint=blueprint, port=port, data=data, speed=speed), screen)


def _drill(words: list[str], how: str | None, data: Path, *, is_list: bool, is_json: bool) -> None:
    from everwake.app.drilling import drills, fire
    from everwake.cli._answer import document, say

    if words[0] != "break" or len(words) > 2:
        raise typer.BadParameter(f"{words[0][:40]!r}: write `everwake sim`, or `everwake sim break SERVICE --how NAME`")
    if is_list:
        _list(drills(data) if _runs(data) else _table(), is_json=is_json)
        return
    if len(words) < 2 or how is None:
        raise typer.BadParameter(
            "name a service and a drill: everwake sim break chatbot --how bad-env (--list shows all)"
        )
    done = fire(data, words[1], how)
    if is_json:
        document(done)
    else:
        say(str(done.get("said") or f"{words[1]}: {how}"))


def _runs(data: Path) -> bool:
    from everwake.app.platform import simulated

    return simulated(data) is not None


def _table() -> dict[str, object]:
    """The same without a simulator."""
    from everwake.app.simulating import drill_rows

    return {"drills": drill_rows(), "broken": {}}


def _list(found: dict[str, object], *, is_json: bool) -> None:
    from everwake.cli._answer import document, say
    from everwake.cli._terminal import DIM

    if is_json:
        document(found)
        return
    rows = found.get("drills")
    for row in rows if isinstance(rows, list) else []:
        say(f"{row['how']}")
        say(f"  {row['what']}")
        cure = row["remedy"] or (f"{row['person']}: nobody else can" if row["person"] else "nothing to cure")
        say(f"  cause {row['cause']} · {cure}", DIM)
