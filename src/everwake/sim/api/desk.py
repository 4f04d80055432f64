"""What every route of the API needs: the workspace, the clock, and whatever belongs to the key that asks."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from everwake.ports import Clock
from everwake.sim.api import wire
from everwake.sim.records import EnvGroup, Owner, Service
from everwake.sim.verbs import Refused, Workspace

__all__ = ["Desk", "json_answer", "nothing"]


def json_answer(body: Any, status: int = 200) -> Response:
    """An answer with a body."""
    return JSONResponse(body, status)


def nothing(status: int) -> Response:
    """An answer without one."""
    return Response(status_code=status)


def _generate() -> str:
    """256 random bits in base64, which is what `generateValue` gives (render.com/docs/blueprint-spec, read 2026-11)."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True, slots=True)
class Desk:
    """Of one running API."""

    workspace: Workspace
    clock: Clock
    generate: Any = field(default=_generate)

    def owner(self, connection: HTTPConnection) -> Owner:
        """Whose key it is; the gate has looked."""
        found: Owner = connection.state.owner
        return found

    def service(self, connection: HTTPConnection, id: str | None = None) -> Service:
        """The service of the path, or by id; one of somebody else's is not there. Raises Refused."""
        id = id if id is not None else connection.path_params["serviceId"]
        found = self.workspace.service(id)
        if found.owner_id != self.owner(connection).id:
            raise Refused(404, f"service not found: {id[:64]}")
        return found

    def group(self, connection: HTTPConnection) -> EnvGroup:
        """The env group of the path. Raises Refused."""
        id = connection.path_params["envGroupId"]
        found = self.workspace.env_group(id)
        if found.owner_id != self.owner(connection).id:
            raise Refused(404, f"env group not found: {id[:64]}")
        return found

    def shown(self, service: Service) -> dict[str, Any]:
        """A service as the API writes it."""
        ports = [each.port for each in self.workspace.instances(service.id)]
        return wire.service(service, self.workspace.url(service.id), list(dict.fromkeys(ports)))

    def owners_asked_for(self, named: tuple[str, ...], connection: HTTPConnection) -> bool:
        """Whether an `ownerId` filter lets the key's own workspace through."""
        return not named or self.owner(connection).id in named

    def group_shown(self, group: EnvGroup) -> Mapping[str, Any]:
        """An env group with its variables and links."""
        return wire.env_group(group, self.workspace.linked(group.id))
