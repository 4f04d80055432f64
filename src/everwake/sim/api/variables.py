"""Variables: of services, and of env groups with their links."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from everwake.sim.api import asking, wire
from everwake.sim.api.desk import Desk, json_answer, nothing
from everwake.sim.verbs import Refused

__all__ = ["Variables"]


class Variables:
    """Routes of variables and env groups."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._workspace = desk, desk.workspace

    @property
    def routes(self) -> list[Route]:
        """Below `/v1`."""
        own, group = "/services/{serviceId}/env-vars", "/env-groups/{envGroupId}"
        return [
            Route(own, self.every),
            Route(own, self.replace, methods=["PUT"]),
            Route(own + "/{envVarKey}", self.one),
            Route(own + "/{envVarKey}", self.put, methods=["PUT"]),
            Route(own + "/{envVarKey}", self.delete, methods=["DELETE"]),
            Route("/env-groups", self.groups),
            Route("/env-groups", self.create, methods=["POST"]),
            Route(group, self.group),
            Route(group, self.rename, methods=["PATCH"]),
            Route(group, self.delete_group, methods=["DELETE"]),
            Route(group + "/env-vars/{envVarKey}", self.one_of_group),
            Route(group + "/env-vars/{envVarKey}", self.put_in_group, methods=["PUT"]),
            Route(group + "/env-vars/{envVarKey}", self.delete_from_group, methods=["DELETE"]),
            Route(group + "/services/{serviceId}", self.link, methods=["POST"]),
            Route(group + "/services/{serviceId}", self.unlink, methods=["DELETE"]),
        ]

    # --- of a service -------------------------------------------------------------------------------------------------

    async def every(self, request: Request) -> Response:
        """Its own, in order."""
        return json_answer(self._page(request, self._desk.service(request).id))

    def _page(self, request: Request, id: str) -> list[dict[str, object]]:
        items = list(self._workspace.env(id).items())
        return asking.one_page(request, items, lambda it: it[0], lambda it: {"envVar": wire.env_var(*it)})

    async def replace(self, request: Request) -> Response:
        """These and no others."""
        service = self._desk.service(request)
        env = self._several(await asking.body_of(request))
        await self._workspace.replace_env(service.id, env)
        shown = [{"envVar": wire.env_var(key, value), "cursor": wire.cursor(key)} for key, value in env.items()]
        return json_answer(shown)

    def _several(self, body: object) -> dict[str, str]:
        if not isinstance(body, list) or len(body) > 2_000:
            raise Refused(400, "send a list of variables")
        env: dict[str, str] = {}
        for each in body:
            key = asking.key_of(each.get("key") if isinstance(each, dict) else None)
            if key in env:
                raise Refused(400, f"{key} stands there twice")
            env[key] = asking.new_value(each, self._desk.generate)
        return env

    async def one(self, request: Request) -> Response:
        """One variable."""
        key = request.path_params["envVarKey"]
        env = self._workspace.env(self._desk.service(request).id)
        if key not in env:
            raise Refused(404, "environment variable not found")
        return json_answer(wire.env_var(key, env[key]))

    async def put(self, request: Request) -> Response:
        """Add or change one."""
        service, key = self._desk.service(request), asking.key_of(request.path_params["envVarKey"])
        value = asking.new_value(await asking.body_of(request), self._desk.generate)
        await self._workspace.set_env(service.id, key, value)
        return json_answer(wire.env_var(key, value))

    async def delete(self, request: Request) -> Response:
        """Remove one."""
        await self._workspace.delete_env(self._desk.service(request).id, request.path_params["envVarKey"])
        return nothing(204)

    # --- of a group ---------------------------------------------------------------------------------------------------

    async def groups(self, request: Request) -> Response:
        """Without their variables. The description gives this one list no cursors; items are all the same cut by them."""
        names, owners = asking.several(request, "name"), asking.several(request, "ownerId")
        seen = self._desk.owners_asked_for(owners, request) and not asking.several(request, "environmentId")
        found = [
            it
            for it in self._workspace.env_groups(self._desk.owner(request).id)
            if seen and (not names or it.name in names)
        ]
        page = asking.one_page(
            request, found, lambda it: it.id, lambda it: wire.env_group_meta(it, self._workspace.linked(it.id))
        )
        return json_answer(page)

    async def group(self, request: Request) -> Response:
        """One, with its variables."""
        return json_answer(self._desk.group_shown(self._desk.group(request)))

    async def create(self, request: Request) -> Response:
        """A new one."""
        body = await asking.body_of(request)
        if not isinstance(body, dict) or not isinstance(name := body.get("name"), str) or not name.strip():
            raise Refused(400, "send the name of the group")
        owner = self._desk.owner(request)
        if body.get("ownerId") != owner.id:
            raise Refused(400, "invalid ownerId: not a workspace of this key")
        services = body.get("serviceIds") or []
        if not isinstance(services, list) or not all(isinstance(each, str) for each in services):
            raise Refused(400, "invalid serviceIds: a list of ids")
        for each in services:
            self._desk.service(request, each)
        env = self._several(body.get("envVars", []))
        made = await self._workspace.create_env_group(owner.id, name, env, services)
        return json_answer(self._desk.group_shown(made), 201)

    async def rename(self, request: Request) -> Response:
        """Another name."""
        group, body = self._desk.group(request), await asking.body_of(request)
        if not isinstance(body, dict) or not isinstance(name := body.get("name"), str) or not name.strip():
            raise Refused(400, "send the name of the group")
        return json_answer(self._desk.group_shown(await self._workspace.rename_env_group(group.id, name)))

    async def delete_group(self, request: Request) -> Response:
        """It and its links."""
        await self._workspace.delete_env_group(self._desk.group(request).id)
        return nothing(204)

    async def one_of_group(self, request: Request) -> Response:
        """One variable of it."""
        group, key = self._desk.group(request), request.path_params["envVarKey"]
        if key not in group.env:
            raise Refused(404, "environment variable not found")
        return json_answer(wire.env_var(key, group.env[key]))

    async def put_in_group(self, request: Request) -> Response:
        """Add or change one of it."""
        group, key = self._desk.group(request), asking.key_of(request.path_params["envVarKey"])
        value = asking.new_value(await asking.body_of(request), self._desk.generate)
        return json_answer(self._desk.group_shown(await self._workspace.set_group_env(group.id, key, value)))

    async def delete_from_group(self, request: Request) -> Response:
        """Remove one of it."""
        await self._workspace.delete_group_env(self._desk.group(request).id, request.path_params["envVarKey"])
        return nothing(204)

    async def link(self, request: Request) -> Response:
        """Give its variables to a service."""
        group, service = self._desk.group(request), self._desk.service(request)
        return json_answer(self._desk.group_shown(await self._workspace.link(group.id, service.id)))

    async def unlink(self, request: Request) -> Response:
        """Take them away again."""
        await self._workspace.unlink(self._desk.group(request).id, self._desk.service(request).id)
        return nothing(204)
