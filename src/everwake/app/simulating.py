"""`everwake sim`: the simulated platform alone, until somebody says stop."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from everwake.app.rehearsing import Shown, environment, failed, keep_key, show
from everwake.errors import Finding
from everwake.sim.claim import Claim
from everwake.sim.drilling import rows
from everwake.sim.processes.group import Group
from everwake.sim.signals import Stopped, ToldToStop
from everwake.sim.simulator import Asked, Simulator

__all__ = ["Screen", "Sim", "drill_rows", "run_sim", "simulate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sim:
    """What `everwake sim` was asked for. blueprint: None for the chat fleet's own.   port: of the API; the rest behind it."""

    blueprint: Path | None
    port: int
    data: Path
    speed: float = 1.0


class Screen(Shown, Protocol):
    """Where a person looks."""

    def simulates(self, document: Mapping[str, Any], down: Sequence[str]) -> None:
        """The platform answers. down: services whose deploy failed."""


async def simulate(asked: Sim, environ: Mapping[str, str], screen: Screen) -> None:
    """Run the platform until somebody says stop; returns when nothing of it is left.

    Raises:
        BadBlueprint, Misused, AlreadyRunning: before anything was started.
    """
    data = asked.data.resolve()
    # Only the person who starts it can know what is `sync: false`; values are taken from variables of the same names.
    wanted = Asked(
        data=data, blueprint=asked.blueprint, port=asked.port, speed=asked.speed, surroundings=environment(environ),
        given=environ, elsewhere={} if asked.blueprint else {"keeper": ""},
    )  # fmt: skip
    with ToldToStop() as told, Claim(data) as claim, Group(claim.fileno) as group, suppress(Stopped):
        async with Simulator(wanted, group, screen) as simulator:
            for each in simulator.missing:
                screen.warn(f"{each.where}: {each.key} is not set: {each.why}")
            showing = asyncio.create_task(show(simulator, screen))
            try:
                newest = await told.unless(simulator.settled())
                document = {"pid": os.getpid(), **simulator.document}
                keep_key(data, simulator.owner.key)
                claim.publish(document)
                screen.simulates(document, failed(newest))
                await told.unless(_unguarded(group))
                raise Finding(
                    "the guardian process was ended from outside, so everything is being stopped", hint="start again"
                )
            finally:
                showing.cancel()
                claim.withdraw()
                screen.say("stopping")


async def _unguarded(group: Group) -> None:
    """Returns when the guardian is gone: without it a SIGKILL would leave processes behind."""
    while group.is_guarded:  # noqa: ASYNC110 - a process that is not asyncio's sets no event
        await asyncio.sleep(1.0)


def drill_rows() -> Sequence[Mapping[str, object]]:
    """Every drill there is, as the simulator's API tells them."""
    return rows()


def run_sim(asked: Sim, screen: Screen) -> None:
    """`simulate` with this process's variables."""
    # asyncio's own loop: uvloop cannot put a child into the guardian's process group between fork and exec.
    asyncio.run(simulate(asked, os.environ, screen))
