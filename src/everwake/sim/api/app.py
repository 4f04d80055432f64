"""The control API put together: `create(workspace)` is an ASGI application that the official client can call unchanged."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Mount

from everwake.clock import SystemClock
from everwake.ports import Clock
from everwake.sim.api import gate
from everwake.sim.api.deploys import Deploys
from everwake.sim.api.desk import Desk
from everwake.sim.api.drills import DrillRoutes, Drills
from everwake.sim.api.limits import Limits
from everwake.sim.api.logs import Logs
from everwake.sim.api.metrics import Metrics
from everwake.sim.api.services import Services
from everwake.sim.api.variables import Variables
from everwake.sim.verbs import Refused, Workspace

__all__ = ["create"]


def create(
    workspace: Workspace, *, drills: Drills | None = None, clock: Clock | None = None, limits: Limits | None = None
) -> Starlette:
    """Everything below `/v1` and `/sim`, behind the workspace's key; call it in the platform's own loop.

    limits: how often it may be asked; those of the real API when not said.
    """
    clock = clock or SystemClock()
    desk = Desk(workspace, clock)
    parts = (Services(desk), Deploys(desk), Variables(desk), Logs(desk), Metrics(desk))
    app = Starlette(
        routes=[
            Mount("/v1", routes=[route for part in parts for route in part.routes]),
            Mount("/sim", routes=DrillRoutes(desk, drills).routes),
        ],
        middleware=[Middleware(gate.Gate, workspace.owner, clock, limits or Limits())],
        exception_handlers={Refused: gate.refused, HTTPException: gate.unknown},
    )
    app.router.redirect_slashes = False
    return app
