"""What variables were before a remedy wrote them (`ports.Undo`), sealed in the history's file, for the keeper that comes next.

The file alone tells none of it: each record is sealed with a key made from the platform's own (`_sealing`), which the keeper has
from its environment and never stores; who holds that key can read the variables at the platform anyway. What was there and what
was written are sealed together, names and all: the latter is needed to leave alone what somebody has changed since, and a digest
of it instead would have to be keyed as well, or short values could be guessed. Without a key of the platform, or `cryptography`
itself, this process alone remembers.

A record goes when its incident is over, or after 7 days: at once, and by the upkeep of the file whatever happened in between.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from everwake.fleet.schema import Secret
from everwake.history import statements as sql
from everwake.history._sealing import seal, unseal
from everwake.history._upkeep import KEEP_SEALED
from everwake.history.packing import to_us
from everwake.history.sqlite import History
from everwake.ports import Clock, Written

__all__ = ["SealedUndo"]

log = logging.getLogger(__name__)

MOST_CHARS = 2_000_000
MOST_REMEMBERED = 200  # runs, in this process

_ADD = "INSERT INTO sealed (remedy, at_us, salt, token) SELECT id, ?, ?, ? FROM remedies WHERE id = ?"
_OF = "SELECT salt, token FROM sealed WHERE remedy = ? AND at_us >= ? ORDER BY id"
_FORGET = "DELETE FROM sealed WHERE remedy IN (SELECT id FROM remedies WHERE incident = ?)"
_OF_INCIDENT = "SELECT id FROM remedies WHERE incident = ?"


class SealedUndo:
    """`ports.Undo` on a history that is open. key: of the platform that runs a service; None where there is none."""

    def __init__(self, history: History, clock: Clock, key: Callable[[str], Secret | None]) -> None:
        self._history, self._clock, self._key = history, clock, key
        # By run: (salt of its record, b"" where it has none, what was written), oldest first.
        self._here: dict[str, list[tuple[bytes, Written]]] = {}

    async def keep(self, run: str, service: str, written: Written) -> None:
        """`Undo.keep`."""
        mine = self._here.setdefault(run, [])
        if mine and mine[-1][1] == written:
            return  # tried again
        salt = await self._stored(run, service, written)
        mine.append((salt, written))
        while len(self._here) > MOST_REMEMBERED:
            del self._here[next(iter(self._here))]

    async def _stored(self, run: str, service: str, written: Written) -> bytes:
        """The salt of its record; b"" where it cannot be sealed."""
        key = self._key(service)
        text = json.dumps({"before": dict(written.before), "wrote": dict(written.wrote)})
        if key is None or not key.is_known or len(text) > MOST_CHARS:
            return b""
        try:
            salt, token = await asyncio.to_thread(seal, text, key.reveal(), run)
        except ModuleNotFoundError:
            log.warning("undo.not_sealed", extra={"run": run, "why": "cryptography is not installed"})
            return b""
        now = self._clock.now()

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(sql.PRUNE_SEALED, (to_us(now - KEEP_SEALED), MOST_REMEMBERED))
            connection.execute(_ADD, (to_us(now), salt, token, run))

        await self._history.write(write)
        return salt

    async def recall(self, run: str, service: str) -> Written | None:
        """`Undo.recall`."""
        since_us = to_us(self._clock.now() - KEEP_SEALED)
        rows = await self._history.read(lambda connection: connection.execute(_OF, (run, since_us)).fetchall())
        mine = list(self._here.get(run, ()))
        if not rows and not mine:
            return None
        here = {salt: written for salt, written in mine if salt}
        known, key = Written(), self._key(service)
        for salt, token in rows:
            one = here.get(bytes(salt)) or await self._opened(salt, token, key, run)
            known = known.then(Written(is_whole=False) if one is None else one)
        for salt, written in mine:
            known = known if salt else known.then(written)
        return known

    @staticmethod
    async def _opened(salt: bytes, token: bytes, key: Secret | None, run: str) -> Written | None:
        if key is None or not key.is_known:
            return None
        try:
            text = await asyncio.to_thread(unseal, salt, token, key.reveal(), run)
        except ModuleNotFoundError:
            return None
        found: dict[str, Any] | None = None if text is None else json.loads(text)
        return None if found is None else Written(before=found["before"], wrote=found["wrote"])

    async def forget(self, incident: str) -> None:
        """`Undo.forget`."""

        def write(connection: sqlite3.Connection) -> list[str]:
            connection.execute(_FORGET, (incident,))
            return [id for (id,) in connection.execute(_OF_INCIDENT, (incident,)).fetchall()]

        for run in await self._history.write(write):
            self._here.pop(run, None)
