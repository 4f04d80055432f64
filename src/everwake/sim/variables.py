"""Variables as their owners write them: a service's own, and the groups that several share."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from everwake.sim.books import Books, new_id
from everwake.sim.records import EnvGroup, Service
from everwake.sim.verbs import Refused

__all__ = ["Variables"]

KEY_LENGTH, VALUE_BYTES, MOST_KEYS = 256, 64 * 2**10, 1_000
_KEY = re.compile(r"[A-Za-z_.\-][A-Za-z0-9_.\-]*")


def _checked(env: Mapping[str, str]) -> dict[str, str]:
    if len(env) > MOST_KEYS:
        raise Refused(400, f"more than {MOST_KEYS} environment variables")
    for key, value in env.items():
        if not _KEY.fullmatch(key) or len(key) > KEY_LENGTH:
            raise Refused(400, "invalid environment variable key: letters, digits, _, - and . only, and no digit first")
        if "\0" in value or len(value.encode("utf-8", "surrogatepass")) > VALUE_BYTES:
            raise Refused(400, f"the value of {key} holds a NUL or is longer than {VALUE_BYTES // 2**10} KiB")
    return dict(env)


class Variables:
    """wrote: told which services' variables have changed, after they have."""

    def __init__(self, books: Books, wrote: Callable[[Sequence[Service]], Awaitable[None]]) -> None:
        self._books = books
        self._wrote = wrote

    async def set_env(self, service_id: str, key: str, value: str) -> None:
        """`Workspace.set_env`."""
        await self._put_own(service_id, {**self._books.service(service_id).env, **_checked({key: value})})

    async def replace_env(self, service_id: str, env: Mapping[str, str]) -> None:
        """`Workspace.replace_env`."""
        await self._put_own(service_id, _checked(env))

    async def delete_env(self, service_id: str, key: str) -> None:
        """`Workspace.delete_env`."""
        env = dict(self._books.service(service_id).env)
        if env.pop(key, None) is None:
            raise Refused(404, f"not found: environment variable {key}")
        await self._put_own(service_id, env)

    def linked(self, group_id: str) -> list[Service]:
        """`Workspace.linked`."""
        self._books.group(group_id)
        return [each for each in self._books.services.values() if group_id in each.groups]

    async def create(self, owner_id: str, name: str, env: Mapping[str, str], service_ids: Sequence[str]) -> EnvGroup:
        """`Workspace.create_env_group`."""
        books = self._books
        self._free(owner_id, name)
        services = [books.service(each) for each in dict.fromkeys(service_ids)]
        now = books.now()
        group = EnvGroup(
            id=new_id("evg"), owner_id=owner_id, name=name, created_at=now, updated_at=now, env=_checked(env)
        )  # fmt: skip
        books.put(group, *(books.touched(each, groups=(*each.groups, group.id)) for each in services))
        await self._wrote(services)
        return group

    async def rename(self, group_id: str, name: str) -> EnvGroup:
        """`Workspace.rename_env_group`."""
        group = self._books.group(group_id)
        if name != group.name:
            self._free(group.owner_id, name)
        return self._put(replace(group, name=name))

    async def delete(self, group_id: str) -> None:
        """`Workspace.delete_env_group`."""
        group, services = self._books.group(group_id), self.linked(group_id)
        without = [self._unlinked(each, group_id) for each in services]
        self._books.put(*without, gone=[group])
        await self._wrote(services)

    async def set_group_env(self, group_id: str, key: str, value: str) -> EnvGroup:
        """`Workspace.set_group_env`."""
        group = self._books.group(group_id)
        group = self._put(replace(group, env={**group.env, **_checked({key: value})}))
        await self._wrote(self.linked(group_id))
        return group

    async def delete_group_env(self, group_id: str, key: str) -> EnvGroup:
        """`Workspace.delete_group_env`."""
        group = self._books.group(group_id)
        if key not in group.env:
            raise Refused(404, f"not found: environment variable {key}")
        group = self._put(replace(group, env={name: value for name, value in group.env.items() if name != key}))
        await self._wrote(self.linked(group_id))
        return group

    async def link(self, group_id: str, service_id: str) -> EnvGroup:
        """`Workspace.link`."""
        group, service = self._books.group(group_id), self._books.service(service_id)
        if group_id not in service.groups:
            self._books.put(self._books.touched(service, groups=(*service.groups, group_id)))
            await self._wrote([service])
        return group

    async def unlink(self, group_id: str, service_id: str) -> EnvGroup:
        """`Workspace.unlink`."""
        group, service = self._books.group(group_id), self._books.service(service_id)
        if group_id not in service.groups:
            raise Refused(404, f"not found: {service_id} is not linked to {group_id}")
        self._books.put(self._unlinked(service, group_id))
        await self._wrote([service])
        return group

    async def _put_own(self, service_id: str, env: Mapping[str, str]) -> None:
        service = self._books.service(service_id)
        _checked(env)
        self._books.put(self._books.touched(service, env=dict(env)))
        await self._wrote([service])

    def _put(self, group: EnvGroup) -> EnvGroup:
        group = replace(group, updated_at=self._books.now())
        self._books.put(group)
        return group

    def _unlinked(self, service: Service, group_id: str) -> Service:
        return self._books.touched(service, groups=tuple(each for each in service.groups if each != group_id))

    def _free(self, owner_id: str, name: str) -> None:
        if not name.strip():
            raise Refused(400, "an environment group needs a name")
        if any(each.owner_id == owner_id and each.name == name for each in self._books.groups.values()):
            raise Refused(409, f"there is an environment group named {name} already")
