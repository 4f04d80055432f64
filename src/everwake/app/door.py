"""The running keeper as the web sees it (`web.door.KeeperDoor`): the keeper for now, the history for the past."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from everwake.app.recording import Recording
from everwake.app.repairing import Repairer
from everwake.app.saving import Saving
from everwake.errors import OutOfReach
from everwake.model import Incident, LogLine, Observation, RemedyRun
from everwake.ports import Switch
from everwake.remedy.standing import Planned, Standing
from everwake.watch.keeper import Keeper
from everwake.watch.view import ServiceView
from everwake.web.door import HoursKnown, Listener, Numbers, Page, Resolution, Rollup, Uptime

__all__ = ["Door", "Listeners", "Past"]


class Past(Protocol):
    """The half of the door that reads the history; each raises HistoryUnavailable."""

    @property
    def buffered(self) -> int:
        """Rows that wait for the disk."""

    @property
    def lost(self) -> int:
        """Rows that were dropped because the buffer was full."""

    async def uptimes(self) -> Mapping[str, Uptime]:
        """Of every service."""

    async def observations(
        self, service: str, *, since: datetime, until: datetime, limit: int, cursor: str | None
    ) -> Page[Observation]:
        """Looks at one service."""

    async def rollups(
        self, service: str, resolution: Resolution, *, since: datetime, until: datetime
    ) -> tuple[Rollup, ...]:
        """Hours or days."""

    async def incidents(self, *, service: str | None, limit: int, cursor: str | None) -> Page[Incident]:
        """Open and closed."""

    async def incident(self, incident_id: str) -> Incident | None:
        """The one of that id."""

    async def log(self, *, service: str | None, limit: int, cursor: str | None) -> Page[LogLine]:
        """The activity log."""
        ...


class Listeners:
    """Everybody who wants to hear of changes, as one listener; what the keeper calls."""

    def __init__(self) -> None:
        self._all: tuple[Listener, ...] = ()

    def add(self, listener: Listener) -> Callable[[], None]:
        """Hear from now on; the answer ends it."""
        self._all = (*self._all, listener)

        def leave() -> None:
            self._all = tuple(other for other in self._all if other is not listener)

        return leave

    def changed(self, service: str) -> None:
        """The view of that service changed."""
        for listener in self._all:
            listener.changed(service)

    def said(self, line: LogLine) -> None:
        """A line of the activity log."""
        for listener in self._all:
            listener.said(line)

    def told(self, incident: Incident) -> None:
        """An incident opened, changed or closed."""
        for listener in self._all:
            listener.told(incident)

    def reloaded(self) -> None:
        """The fleet was taken anew."""
        for listener in self._all:
            listener.reloaded()


class Door:
    """One keeper, its past, and who listens. own_trouble: what is wrong beside what the keeper knows, in words.

    repairer: None where nothing is repaired.
    """

    def __init__(
        self,
        keeper: Keeper,
        past: Past,
        recording: Recording,
        listeners: Listeners,
        repairer: Repairer | None = None,
    ) -> None:
        self._keeper, self._past, self._recording, self._listeners = keeper, past, recording, listeners
        self._repairer = repairer
        self.own_trouble: dict[str, str] = {}
        self.saving: Saving | None = None

    # --- now ----------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Of the fleet."""
        return self._keeper.fleet.name

    @property
    def monitoring(self) -> bool:
        """Whether the fleet is being watched at all."""
        return self._keeper.monitoring

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong with the keeper itself, in words."""
        return (*self._keeper.trouble, *self.own_trouble.values())

    @property
    def names(self) -> Sequence[str]:
        """The services, in the order of the file."""
        return [service.name for service in self._keeper.fleet.services]

    def service(self, name: str) -> ServiceView:
        """One service. Raises KeyError."""
        return self._keeper.service_view(name)

    def open_incidents(self) -> tuple[Incident, ...]:
        """All that are open now."""
        return self._keeper.open_incidents

    def numbers(self) -> Numbers:
        """The keeper's own numbers."""
        return Numbers(
            looks=self._recording.looks,
            failed=self._recording.failed,
            running=self._keeper.running_looks,
            history_buffered=self._past.buffered,
            history_lost=self._past.lost,
        )

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear of changes from now on; the answer ends it."""
        return self._listeners.add(listener)

    def free_hours(self) -> HoursKnown:
        """The free hours as they were counted last."""
        counted = self.saving.counted if self.saving else None
        if counted is None or self.saving is None:
            return HoursKnown()
        return HoursKnown(counted_at=self.saving.counted_at, hours=counted.hours, missing=counted.missing)

    def named_by(self, url: str) -> str | None:
        """The service that answers at that address."""
        wanted = _place(url)
        return next((one.name for one in self._keeper.fleet.services if wanted and _place(one.url) == wanted), None)

    # --- control ------------------------------------------------------------------------------------------------------

    def start_monitoring(self) -> bool:
        """Begin again after a stop; False when it was running."""
        return self._keeper.start_monitoring()

    def stop_monitoring(self) -> bool:
        """Send nothing to anybody any more; False when it was stopped."""
        return self._keeper.stop_monitoring()

    def check_now(self, name: str) -> int:
        """Look at one service now. Raises KeyError."""
        return self._keeper.check_now(name)

    def check_all(self) -> int:
        """Look at everything now."""
        return self._keeper.check_all()

    async def look(self, name: str) -> Observation:
        """Look at one service now and wait for what is seen. Raises KeyError."""
        return await self._keeper.look(name)

    def wake(self, name: str, hold_s: float) -> Sequence[str]:
        """Somebody is about to use it. Raises KeyError."""
        return self._keeper.wake(name, hold_s)

    # --- repairs ------------------------------------------------------------------------------------------------------

    @property
    def switch(self) -> Switch:
        """Whether all repairs are stopped."""
        return self._repairer.switch if self._repairer else Switch()

    async def set_switch(self, is_stopped: bool, by: str) -> bool:
        """Stop all repairs, or allow them again; False when that changed nothing."""
        changed = await self._repairs().set_switch(is_stopped, by)
        self._listeners.changed("")
        return changed

    def repair(self, name: str) -> Standing:
        """How repairs stand for one service. Raises KeyError."""
        return self._repairs().standing(name)

    async def plan(self, name: str) -> Planned:
        """What would be done about it if somebody said yes. Raises KeyError."""
        return await self._repairs().plan(name)

    async def begin(self, name: str, by: str) -> RemedyRun:
        """Somebody said yes. Raises KeyError, Finding."""
        return await self._repairs().begin(name, by)

    def _repairs(self) -> Repairer:
        if self._repairer is None:
            raise OutOfReach("this keeper repairs nothing")
        return self._repairer

    # --- the past -----------------------------------------------------------------------------------------------------

    async def uptimes(self) -> Mapping[str, Uptime]:
        """Of every service."""
        return await self._past.uptimes()

    async def observations(
        self, service: str, *, since: datetime, until: datetime, limit: int, cursor: str | None
    ) -> Page[Observation]:
        """Looks at one service."""
        return await self._past.observations(service, since=since, until=until, limit=limit, cursor=cursor)

    async def rollups(
        self, service: str, resolution: Resolution, *, since: datetime, until: datetime
    ) -> tuple[Rollup, ...]:
        """Hours or days."""
        return await self._past.rollups(service, resolution, since=since, until=until)

    async def incidents(self, *, service: str | None, limit: int, cursor: str | None) -> Page[Incident]:
        """Open and closed."""
        return await self._past.incidents(service=service, limit=limit, cursor=cursor)

    async def incident(self, incident_id: str) -> Incident | None:
        """The one of that id."""
        return await self._past.incident(incident_id)

    async def log(self, *, service: str | None, limit: int, cursor: str | None) -> Page[LogLine]:
        """The activity log."""
        return await self._past.log(service=service, limit=limit, cursor=cursor)


def _place(url: str) -> str:
    """Host and port; "" for what is no address."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return ""
    return f"{parts.hostname}:{port}" if parts.hostname and port else ""
