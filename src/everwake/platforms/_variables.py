"""A service's variables on Render: its own, and those of the env groups that it is linked to."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from everwake.errors import Finding, Misused
from everwake.platforms import _reading
from everwake.platforms._door import Door, NoSuch
from everwake.platforms._pages import pages

__all__ = ["Variables"]

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
_LOOKS_S = (0.0, 0.5, 2.0)  # waits before each reading back


class Variables:
    """Reads and writes them. No error, log line or repr of it holds a value."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._written: dict[str, datetime] = {}

    def written_at(self, id: str) -> datetime | None:
        """When the last write of this process was sent, by the platform's clock."""
        return self._written.get(id)

    async def all_of(self, id: str, owner_id: str) -> Mapping[str, str]:
        """Own values go before those of groups; of groups, the younger one's."""
        return {**await self._of_groups(id, owner_id), **await self._own(id)}

    async def _own(self, id: str) -> dict[str, str]:
        rows = await pages(self._door, "services.get_env_vars_for_service", "envVar", id)
        return dict(self._door.read(_reading.variable, row) for row in rows)

    async def _of_groups(self, id: str, owner_id: str) -> dict[str, str]:
        groups = await pages(self._door, "environment_groups.list_env_groups", "envGroup", owner_id=[owner_id])
        linked = [each for each in groups if any(_reading.text(link, "id") == id for link in _links(each))]
        found: dict[str, str] = {}
        for each in sorted(linked, key=lambda group: _reading.text(group, "createdAt")):
            answer = await self._door.ask("environment_groups.retrieve_env_group", _reading.text(each, "id"))
            rows = self._door.read(_reading.records, self._door.read(_reading.record, answer.data).get("envVars"))
            found.update(self._door.read(_reading.variable, row) for row in rows)
        return found

    async def write(self, id: str, owner_id: str, values: Mapping[str, str | None]) -> None:
        """One by one, for replacing all would undo what somebody else writes meanwhile and turn references into values.

        What is there already is not written again: some platforms deploy at every write.
        """
        if wrong := [key for key in values if not _KEY.fullmatch(key)]:
            raise Misused(
                f"{wrong[0][:80]!r} cannot be the name of a variable", hint="letters, digits and _, not a digit first"
            )
        own = await self._own(id)
        removed = [key for key, value in values.items() if value is None]
        given = await self._of_groups(id, owner_id) if removed else {}
        if stuck := sorted(set(removed) & set(given)):
            hint = "remove it from the group, or unlink the group, in the dashboard"
            raise Finding(f"an env group of {id} gives it {', '.join(stuck)}", hint=hint)
        model = await self._door.model("EnvVarValue")
        for key, value in values.items():
            if own.get(key) == value:
                continue
            self._written[id] = self._door.platform_time(self._door.clock.now())
            if value is None:
                # Gone already, perhaps by a first try whose answer was lost.
                with suppress(NoSuch):
                    await self._door.ask("services.delete_env_var", id, key)
            else:
                await self._door.ask("services.update_env_var", id, key, body=model(value=value))
        await self._read_back(id, values)

    async def _read_back(self, id: str, values: Mapping[str, str | None]) -> None:
        wrong: list[str] = []
        for wait_s in _LOOKS_S:
            if wait_s:
                await self._door.clock.sleep(wait_s)
            own = await self._own(id)
            if not (wrong := sorted(key for key, value in values.items() if own.get(key) != value)):
                return
        hint = "somebody else may be writing them; look at the dashboard, then write again"
        raise Finding(f"read back from {id}, other than written: {', '.join(wrong)}", hint=hint)


def _links(group: Mapping[str, object]) -> list[Mapping[str, object]]:
    links = group.get("serviceLinks")
    return [each for each in links if isinstance(each, Mapping)] if isinstance(links, list) else []
