"""The history as the rest of the keeper wants it: opened and closed off the loop, its answers in the web's words, its outbox."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Any, Self, TypeVar

from everwake import history
from everwake.errors import OutOfReach
from everwake.history import History, queries
from everwake.history.moves import moves
from everwake.model import Incident, LogLine, Observation, State
from everwake.ports import Clock, Notice, Standing
from everwake.web import door
from everwake.web.door import HistoryUnavailable

__all__ = ["Outbox", "Past"]

T = TypeVar("T")


class Past:
    """One history. `async with` it; leaving it writes down what still waits.

    standings: how every service stood when last seen; none where the file could not be read.
    """

    def __init__(self, file: Path, clock: Clock) -> None:
        self.history = History(file, clock)
        self.outbox = Outbox(self.history, clock)
        self.standings: Sequence[Standing] = ()
        self._clock = clock

    async def __aenter__(self) -> Self:
        """Open it. Raises FromTheFuture."""
        await asyncio.to_thread(self.history.open)
        try:
            self.standings = await asyncio.to_thread(self.history.standings)
        except OutOfReach:
            self.standings = ()  # said as `trouble`; every service is then looked at as if it were new
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.history.close)

    @property
    def buffered(self) -> int:
        """Rows that wait for the disk."""
        return self.history.waiting

    @property
    def lost(self) -> int:
        """Rows that were dropped."""
        return self.history.lost

    async def uptimes(self) -> Mapping[str, door.Uptime]:
        """Of every service."""
        return await self._read(queries.uptimes, self._clock.now())

    async def observations(
        self, service: str, *, since: datetime, until: datetime, limit: int, cursor: str | None
    ) -> door.Page[Observation]:
        """Looks at one service, oldest first."""
        found = await self._read(
            queries.observations, service, since=since, until=until, limit=limit, cursor=cursor
        )  # fmt: skip
        return door.Page(found.items, found.next)

    async def rollups(
        self, service: str, resolution: door.Resolution, *, since: datetime, until: datetime
    ) -> tuple[door.Rollup, ...]:
        """Hours or days, oldest first."""
        fine, now = history.Resolution(resolution.value), self._clock.now()
        found = await self._read(queries.rollups, service, fine, since=since, until=until, now=now)
        return tuple(door.Rollup(**rollup._asdict()) for rollup in found)

    async def incidents(self, *, service: str | None, limit: int, cursor: str | None) -> door.Page[Incident]:
        """Open and closed, newest first."""
        found = await self._read(queries.incidents, service=service, limit=limit, cursor=cursor)
        return door.Page(found.items, found.next)

    async def incident(self, incident_id: str) -> Incident | None:
        """The one of that id."""
        story = await self._read(queries.incident, incident_id)
        return None if story is None else story.incident

    async def moves(self, since: datetime) -> Mapping[str, Sequence[tuple[datetime, State]]]:
        """In which state every service was, from when; of all of them, since then."""
        return await self._read(moves, since)

    async def log(self, *, service: str | None, limit: int, cursor: str | None) -> door.Page[LogLine]:
        """The activity log, newest first."""
        found = await self._read(queries.log, service=service, limit=limit, cursor=cursor)
        return door.Page(found.items, found.next)

    async def _read(self, query: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        def run(connection: Connection) -> T:
            return query(connection, *args, **kwargs)

        with _unavailable():
            return await self.history.read(run)


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except OutOfReach as error:
        raise HistoryUnavailable(error.message, hint=error.hint) from None


class Outbox:
    """The history's outbox for the one keeper that has the data folder (`notify.deliver.Outbox`)."""

    def __init__(self, of: History, clock: Clock) -> None:
        self._history, self._clock = of, clock
        self._worker = f"keeper-{os.getpid()}"

    async def claim(self, most: int, lease_s: float) -> Sequence[Notice]:
        """Take what is due; nothing while the history cannot be used."""
        try:
            return await self._history.claim(self._worker, self._clock.now(), lease_s, most)
        except OutOfReach:
            return ()

    async def done(self, key: str, receipt: str) -> None:
        """Nothing more is to be done about it. Raises OutOfReach: it will be done once more when its lease has ended."""
        await self._history.sent(key, receipt)

    async def failed(self, key: str, why: str, again_at: datetime) -> None:
        """Due again then; where that cannot be written, when the lease has ended."""
        try:
            await self._history.failed(key, why, again_at)
        except OutOfReach:
            return
