"""The control API of a workspace, served on a free port of this loop; its answers are held against Render's description."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from everwake.clock import SystemClock
from everwake.ports import Clock
from everwake.sim.api.app import create
from everwake.sim.api.drills import Drills
from everwake.sim.api.limits import Limits
from everwake.sim.api.serving import serving
from everwake.sim.verbs import Workspace
from everwake.web.serving import listen
from tests.support.render_description import Held
from tests.support.troubled import Troubled

__all__ = ["PLENTY", "Served", "served"]

PLENTY = Limits(reads=100_000, writes=100_000, per_service=100_000)


@dataclass(slots=True)
class Served:
    """url ends in `/v1`.   troubled: what goes wrong in front of it, and what was asked."""

    url: str
    held: Held
    troubled: Troubled


@asynccontextmanager
async def served(
    workspace: Workspace,
    *,
    limits: Limits = PLENTY,
    drills: Drills | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Served]:
    """Fails at the end when an answer was not of the described shape."""
    held = Held(create(workspace, drills=drills, clock=clock or SystemClock(), limits=limits))
    troubled = Troubled(held)
    async with serving(troubled, listen("127.0.0.1", 0)) as url:
        yield Served(url, held, troubled)
    if held.found:
        raise AssertionError("other than Render's description says: " + "; ".join(held.found[:10]))
