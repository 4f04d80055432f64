"""`everwake deploy`: deploy a service and follow it to its end."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everwake.cli._options import Data, FleetFile, Json

if TYPE_CHECKING:
    from everwake.app.deploying import Deployed

__all__ = ["command"]

LAST_LINES = 12


def command(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="Its name in the fleet or on the platform, or its id.")
    ],
    clear_cache: Annotated[bool, typer.Option("--clear-cache", help="Build from nothing.")] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for its end.")] = True,
    fleet: FleetFile = Path("everwake.toml"),
    data: Data = Path(".everwake"),
    json: Json = False,
) -> None:
    """Deploy the latest commit with the variables as they are, and follow it until it is live or has failed.

    Exit code 1 when it failed: the line that failed it is named, and the cause. Interrupted, the deploy itself goes on.
    """
    import asyncio
    import os

    from everwake.app.deploying import deploy
    from everwake.app.platform import reach
    from everwake.app.why import why_deploy_failed
    from everwake.cli._answer import document, note
    from everwake.cli._progress import Steps

    async def run() -> "Deployed":
        async with reach(fleet, data, os.environ, service) as reached:
            found = await reached.find(service)
            with Steps(f"deploying {found.name}") as steps:
                return await deploy(
                    reached.platform, found, clear_cache=clear_cache, follow=follow,
                    seen=lambda record: steps.step(f"{record.id} {record.status.replace('_', ' ')}"),
                    why=why_deploy_failed,
                )  # fmt: skip

    try:
        done = asyncio.run(run())
    except KeyboardInterrupt:
        note(f"the deploy itself goes on; everwake logs {service} --follow shows how")
        raise typer.Exit(130) from None
    if json:
        document(_document(done))
    else:
        _tell(done, followed=follow)
    if done.record.has_failed or (follow and done.record.status != "live"):
        raise typer.Exit(1)


def _tell(done: "Deployed", *, followed: bool) -> None:
    from everwake.cli._answer import say
    from everwake.cli._terminal import DIM, GREEN, RED, YELLOW

    name, record = done.service.name, done.record
    if not followed:
        say(f"{name}: {record.id} is {record.status}; everwake logs {name} --follow shows how it goes")
        return
    if record.status == "live":
        say(f"✓ {name} is live: {record.id}, after {done.took_s:.0f} s", GREEN)
        return
    if not record.has_failed:
        say(f"{name}: {record.id} is {record.status}: a newer deploy has taken over", YELLOW)
        return
    say(f"✕ {name}: {record.id} {record.status.replace('_', ' ')} after {done.took_s:.0f} s", RED)
    cause = next(iter(done.diagnosis.causes), None) if done.diagnosis else None
    for line in done.lines[-LAST_LINES:]:
        say(f"  {line.at.astimezone():%H:%M:%S}  {line.text}", DIM)
    if cause is not None:
        say(f"  cause  {cause.cause}, {cause.sure * 100:.0f} % sure")
        for each in cause.evidence[:3]:
            say(f"    {each.source}: {each.quote}")
        if cause.next:
            say(f"  next   {cause.next}")


def _document(done: "Deployed") -> dict[str, object]:
    from everwake.diagnose.documents import document_of

    record = done.record
    return {
        "service": done.service.name,
        "deploy": {"id": record.id, "status": record.status, "trigger": record.trigger, "commit": record.commit_id},
        "took_s": round(done.took_s, 1),
        "live": record.status == "live",
        "diagnosis": document_of(done.diagnosis) if done.diagnosis else None,
        "log": [{"at": line.at.isoformat(), "text": line.text, "instance": line.instance} for line in done.lines],
    }
