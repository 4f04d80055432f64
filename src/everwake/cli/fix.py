"""`everwake fix`: bring a service back, as one narrated run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from everwake.cli._options import Data, FleetFile, Json

__all__ = ["command"]

# What a step is called in the narration: check, mend, deploy, watch, prove.
_NAMES = {
    "write-variables": "mend", "put-back-variables": "mend", "deploy": "deploy", "deploy-clear-cache": "deploy",
    "rollback": "deploy", "follow": "watch", "restart": "restart", "wake": "wake", "resume": "resume",
}  # fmt: skip


def command(
    service: Annotated[str | None, typer.Argument(metavar="SERVICE", help="A service of the fleet.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    stop_all: Annotated[
        bool, typer.Option("--stop-all", help="The big red switch: nothing is repaired any more.")
    ] = False,
    start: Annotated[bool, typer.Option("--start", help="Allow repairs again.")] = False,
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Json = False,
) -> None:
    """Bring a service back: check, mend, deploy, watch, prove. The plan is shown first.

    Acts through the keeper that runs, else by itself. Interrupted, what has begun goes on with the keeper, or with the next
    `everwake fix`. Exit code 0 when nothing is to be done or it is proved, 1 when something is left to do, 3 out of reach.
    """
    chosen = sum((plan, yes, stop_all, start))
    if chosen > 1:
        raise typer.BadParameter("give one of --plan, --yes, --stop-all, --start")
    if (service is None) != (stop_all or start):
        raise typer.BadParameter("name a service, or give --stop-all or --start alone")
    import asyncio

    ok = asyncio.run(
        _run(service, fleet, data, plan=plan, yes=yes, stop_all=stop_all, switches=stop_all or start, is_json=json)
    )
    if not ok:
        raise typer.Exit(1)


async def _run(
    service: str | None,
    fleet: Path,
    data: Path,
    *,
    plan: bool,
    yes: bool,
    stop_all: bool,
    switches: bool,
    is_json: bool,
) -> bool:
    import getpass
    import os
    from contextlib import suppress

    from everwake.app.fixing import Asked, fixer
    from everwake.cli._answer import document

    who = "somebody"
    with suppress(OSError, KeyError):
        who = getpass.getuser()
    asked = Asked(fleet=fleet, data=data, environ=os.environ, by=f"{who} (everwake fix)")
    async with fixer(service or "", asked) as fixing:
        if switches:
            told = await fixing.switch(stop_all)
            document(told) if is_json else _say_switch(told)
            return True
        assert service is not None
        planned = await fixing.plan(service)
        if not yes and (plan or is_json or not _agrees(planned)):
            if is_json:
                document({**planned, "through": fixing.through})
            elif plan:
                _say_plan(planned)
            return bool(planned["well"])
        if planned["plan"] is None:
            document({**planned, "run": None, "through": fixing.through}) if is_json else _say_plan(planned)
            return bool(planned["well"])
        narration = _Narration(planned, is_quiet=is_json)
        run = await fixing.fix(service, narration.seen)
        if is_json:
            document({"service": service, "through": fixing.through, "run": run})
        else:
            narration.end(run)
        return bool(run["state"] == "proved")


def _agrees(planned: Mapping[str, Any]) -> bool:
    """Show the plan, and ask whoever sits at a terminal."""
    import sys

    from everwake.cli._answer import note

    _say_plan(planned)
    if planned["decision"] != "act" or planned["refused"]:
        return False
    if not sys.stdin.isatty():
        note("nothing is done yet; say --yes to do it")
        return False
    return typer.confirm("Do it?", default=False, err=True)


def _say_plan(planned: Mapping[str, Any]) -> None:
    from everwake.cli._answer import plain, say
    from everwake.cli._terminal import DIM, GREEN, RED, YELLOW

    name, found = planned["service"], planned["plan"]
    why = plain(planned["why"])
    if planned["decision"] == "wait":
        said = "nothing is to be done" if planned["well"] else "it is not well, and is given time"
        told = said if why == "Nothing to do." else f"{said}: {why}"
        say(f"{'●' if planned['well'] else '○'} {name}: {told}", GREEN if planned["well"] else YELLOW)
        return
    if found is None:
        say(f"✕ {name} needs a person: {why}", RED)
        if planned["next"]:
            say(f"  next   {plain(planned['next'])}")
        return
    about = f" ({found['about']})" if found["about"] else ""
    say(f"✕ {name}: {found['cause']}", RED)
    say(f"  why    {plain(found['why'])}")
    say(f"  plan   {found['remedy']}{about}")
    for n, step in enumerate(found["steps"], 1):
        say(f"         {n}. {plain(step['says'])}")
    say(f"  costs  {found['costs']}", DIM)
    say(f"  proof  {found['proved_by']}", DIM)
    if planned["refused"]:
        say(f"  not now: {plain(planned['refused'])}", YELLOW)


def _say_switch(told: Mapping[str, Any]) -> None:
    from everwake.cli._answer import say
    from everwake.cli._terminal import GREEN, YELLOW

    if told["stopped"]:
        say("■ all repairs are stopped; everwake fix --start allows them again", YELLOW)
    else:
        say("● repairs are allowed", GREEN)


class _Narration:
    """The run as it goes, a tick for each step."""

    def __init__(self, planned: Mapping[str, Any], *, is_quiet: bool) -> None:
        import time

        self._is_quiet, self._told, self._now = is_quiet, 0, time.monotonic
        self._began_s, self._is_proving = time.monotonic(), False
        found = planned["plan"] or {}
        self._tick("✓", "check", f"{found.get('cause', '')}: {found.get('why', planned['why'])}")

    def seen(self, run: Mapping[str, Any]) -> None:
        """Something of it changed."""
        for step in run["steps"][self._told :]:
            if step["state"] not in ("done", "failed"):
                break
            self._told += 1
            name = _NAMES.get(step["do"], step["do"])
            self._tick("✓" if step["state"] == "done" else "✕", name, step["said"] or step["says"])
        if run["state"] == "proving" and not self._is_proving:
            self._is_proving = True
            self._tick("·", "prove", "looking at it for long enough")

    def end(self, run: Mapping[str, Any]) -> None:
        """How it ended."""
        from everwake.cli._answer import plain, say
        from everwake.cli._terminal import GREEN, RED

        self.seen(run)
        for one in run["proof"]["criteria"]:
            self._tick("✓" if one["met"] else "✕", "prove", f"{one['name'].replace('_', ' ')}: {one['said']}")
        passed_s = self._now() - self._began_s
        if run["state"] == "proved":
            say(f"✓ {run['service']} is repaired and proved, after {passed_s:.0f} s", GREEN)
        else:
            said = f": {plain(run['outcome'])}" if run["outcome"] else ""
            say(f"✕ {run['service']}: {run['remedy']} is {run['state']}{said}", RED)

    def _tick(self, mark: str, name: str, said: str) -> None:
        from everwake.cli._answer import plain, say
        from everwake.cli._terminal import DIM, GREEN, RED

        if not self._is_quiet:
            say(f"{mark} {name:<8} {plain(said)}", {"✓": GREEN, "✕": RED}.get(mark, DIM))
