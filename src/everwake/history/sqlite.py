"""The history in one SQLite file: `History` is what the keeper records into, what restores it, and what is read from.

    history = History(Path(".everwake/history.sqlite3"), clock)
    history.open()                                         # may wait for the disk, as do close, flush and standings
    keeper = Keeper(fleet, eyes, history, clock, standings=history.standings())
    await history.read(queries.incidents, limit=50)

What the keeper calls (`looked`, `moved`, `beat`, `said`, `trouble`) waits for nothing.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from everwake.errors import OutOfReach
from everwake.fleet.redact import redact, redact_header
from everwake.history import _file, outbox, queries
from everwake.history._lanes import MOST_LOOKS, FailedLook, Move, Stream
from everwake.history._writer import Writer
from everwake.history.packing import LONGEST_S, SMALL, clean, dump, look_ms, pack_value
from everwake.model import Beat, BeatKind, Diagnosis, Failure, FailureKind, Incident, LogLine, Observation, Transition
from everwake.ports import Clock, Notice, Standing

__all__ = ["History"]

T = TypeVar("T")
P = ParamSpec("P")

READERS = 3
PATIENCE_S = 5.0
LONGEST_EXCERPT, LONGEST_DETAIL = 2_000, 300
MOST_HEADERS, LONGEST_HEADER = 60, 500
SAMPLE = 60  # of this many good looks one keeps its phases
HEART = "heartbeat"
ENOUGH = 5_000  # looks that are worth a commit of their own


class History:
    """The file at `path`, made with its folder when it is not there.

    mask: hides secrets in what servers answered.   connect: how a connection is made.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        mask: Callable[[str], str] = redact,
        connect: Callable[[Path], sqlite3.Connection] = _file.connect,
    ) -> None:
        self.path = path
        self._clock, self._mask, self._connect = clock, mask, connect
        self._latest: dict[str, Standing] = {}
        self._writer = Writer(path, clock, connect, lambda: tuple(self._latest.values()))
        self._streams, self._lanes = self._writer.streams, self._writer.lanes
        self._readers: ThreadPoolExecutor | None = None
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._claims: dict[str, str] = {}

    # --- life: each of these may wait for the disk --------------------------------------------------------------------

    def open(self) -> None:
        """Open or make the file and start to write. A file that cannot be used now is `trouble`, not an error.

        Raises:
            FromTheFuture: a newer Everwake wrote it.
        """
        if self._readers is not None:
            return
        self._writer.start(wait_s=2 * PATIENCE_S)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="history-reader")

    def close(self) -> None:
        """Write what waits, for a few seconds at most, and let go of the file. Safe to call twice."""
        readers, self._readers = self._readers, None
        if readers is None:
            return
        self._writer.stop(PATIENCE_S)
        readers.shutdown(wait=True, cancel_futures=True)
        while self._opened:
            self._opened.pop().close()

    def flush(self, wait_s: float = PATIENCE_S) -> bool:
        """Wait until everything recorded so far is in the file; False when it is not in time."""
        try:
            self._writer.settled().result(wait_s)
        except (TimeoutError, OutOfReach):
            return False
        return True

    def standings(self) -> list[Standing]:
        """How every service stood when last seen. Raises OutOfReach."""
        found = self._submit(queries.standings, self._clock.now()).result(2 * PATIENCE_S)
        for standing in found:
            self._latest.setdefault(standing.service, standing)
        return found

    def tidy(self) -> None:
        """Roll up and prune now, all that is due. Raises OutOfReach."""
        self._writer.hand(self._writer.tidy).result()

    # --- the keeper's side: nothing here waits ------------------------------------------------------------------------

    def looked(self, seen: Sequence[Observation]) -> None:
        """Observations of one tick."""
        # Once for every look: what is done here, the keeper's loop waits for.
        find, looks, small = self._streams.get, self._lanes.looks, SMALL
        for look in seen:
            stream = find((look.service, look.check)) or self._stream(look.service, look.check)
            stream.count = count = stream.count + 1
            ms = look_ms(look.at)
            if len(looks) == MOST_LOOKS:
                self._lanes.lost["looks"] += 1
            if look.failure is not None:
                looks.append((stream, ms, self._failed_look(stream, ms, look, look.failure)))
                continue
            took_s, number = look.took_s, small.get(look.status)
            if number is None or not 0.0 <= took_s < LONGEST_S:
                looks.append((stream, ms, pack_value(took_s, look.status, failed=False)))
            else:
                looks.append((stream, ms, number | int(took_s * 10_000 + 0.5)))
            if count % SAMPLE == 1 and look.phases:
                self._lanes.put("phases", (stream, ms, dump(dict(look.phases))))
        self._writer.nudge(urgent=len(looks) >= ENOUGH)

    def _failed_look(self, stream: Stream, ms: int, look: Observation, failure: Failure) -> int:
        value = pack_value(look.took_s, look.status, failed=True, ours=failure.kind is FailureKind.INTERNAL)
        masked = self._masked(look)
        row = FailedLook(
            stream=stream,
            ms=ms,
            value=value,
            failure=masked.failure or failure,
            phases=dump(dict(look.phases)),
            headers=dump(dict(masked.headers)),
            excerpt=masked.excerpt,
        )
        self._lanes.put("failures", row)
        return value

    def moved(self, move: Transition, standing: Standing, notices: Iterable[Notice] = ()) -> None:
        """A transition, what stands after it, and what is to be told; one transaction, in order."""
        told = tuple(notices)
        standing = self._remembered(standing, told)
        self._latest[standing.service] = standing
        self._lanes.put("moves", Move(move if move.old is not move.new else None, standing, told))
        self._writer.nudge(urgent=True)

    def beat(self, beat: Beat) -> None:
        """An event of a heartbeat. A beat is a good look at the line, one that did not come a bad one; a line that dropped
        is recorded by the keeper as the observation that it is."""
        if beat.kind not in (BeatKind.BEAT, BeatKind.LATE, BeatKind.MISSED):
            return
        stream = self._streams.get((beat.service, HEART)) or self._stream(beat.service, HEART)
        value = pack_value(beat.took_s or 0.0, None, failed=beat.kind is BeatKind.MISSED)
        self._lanes.put("looks", (stream, look_ms(beat.at), value))
        self._writer.nudge()

    def said(self, line: LogLine) -> None:
        """A line of the activity log."""
        self._lanes.put("lines", line)
        self._writer.nudge()

    @property
    def trouble(self) -> str | None:
        """What is wrong with the history now, in words, or None."""
        return self._writer.trouble

    @property
    def waiting(self) -> int:
        """Rows that wait for the disk."""
        return self._writer.waiting

    @property
    def lost(self) -> int:
        """Rows dropped since the start, because too many waited."""
        return self._writer.lost

    # --- the outbox ---------------------------------------------------------------------------------------------------

    async def claim(self, worker: str, now: datetime, lease_s: float, limit: int = 20) -> list[Notice]:
        """Notices that are due and that nobody holds; they are `worker`'s for `lease_s` seconds. Raises OutOfReach."""
        found = await self._answer(self._writer.hand(lambda c: outbox.claim(c, worker, now, lease_s, limit)))
        self._claims.update((notice.key, worker) for notice in found)
        return found

    async def sent(self, key: str, receipt: str) -> bool:
        """It was delivered. False when that was known already. Raises OutOfReach: try again, or it may be sent twice."""
        now = self._clock.now()
        marked = await self._answer(self._writer.hand(lambda c: outbox.sent(c, key, receipt, now)))
        self._claims.pop(key, None)
        return marked

    async def failed(self, key: str, error: str, again_at: datetime) -> bool:
        """It was not delivered; it is due again at `again_at`. False when it was no longer ours. Raises OutOfReach."""
        worker, text = self._claims.get(key, ""), clean(self._mask(error))
        marked = await self._answer(self._writer.hand(lambda c: outbox.failed(c, key, worker, text, again_at)))
        self._claims.pop(key, None)
        return marked

    # --- reading ------------------------------------------------------------------------------------------------------

    async def read(self, run: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`run(connection, ...)` on one snapshot, in a thread: most often a function of `queries`.

        Raises:
            OutOfReach: the file cannot be read now, or not in time. ValueError and KeyError are the function's own.
        """
        return await self._answer(self._submit(run, *args, **kwargs))

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """`run(connection)` in a transaction of its own, behind all that was recorded so far; on the disk when this returns.

        Raises:
            OutOfReach: it cannot be written now, or not in time (then it may be written all the same, a moment later).
        """
        return await self._answer(self._writer.hand(run))

    def _submit(
        self, run: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> "Future[T]":
        if self._readers is None:
            raise OutOfReach("the history is not open")
        return self._readers.submit(self._read, lambda connection: run(connection, *args, **kwargs))

    def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                return run(connection)
            finally:
                connection.execute("ROLLBACK")
        except (sqlite3.Error, OSError) as error:
            self._forget_reader()
            if _file.is_broken(error):
                self._writer.hand(_verify)  # which sets it aside
            raise OutOfReach(f"the history cannot be read now: {error}") from error

    def _reader(self) -> sqlite3.Connection:
        """This thread's own connection, to the file that is being written now."""
        known: tuple[int, sqlite3.Connection] | None = getattr(self._own, "known", None)
        if known is not None and known[0] != self._writer.generation:
            self._forget_reader()
            known = None
        if known is None:
            known = self._writer.generation, _file.reader(self.path, self._connect)
            self._own.known = known
            self._opened.append(known[1])
        return known[1]

    def _forget_reader(self) -> None:
        known = getattr(self._own, "known", None)
        self._own.known = None
        if known is not None:
            with contextlib.suppress(sqlite3.Error, ValueError):
                self._opened.remove(known[1])
                known[1].close()

    @staticmethod
    async def _answer(future: "Future[T]") -> T:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise OutOfReach("the history did not answer in time") from None

    # --- what is kept -------------------------------------------------------------------------------------------------

    def _stream(self, service: str, kind: str) -> Stream:
        return self._streams.setdefault((service, kind), Stream(clean(service), clean(kind)))

    def _remembered(self, standing: Standing, notices: tuple[Notice, ...]) -> Standing:
        """With secrets hidden, and with whether its incident was told, now or before."""
        incident, before = standing.incident, self._latest.get(standing.service)
        told = standing.told
        if incident is not None:
            told = told or any(notice.opened and notice.incident == incident.id for notice in notices)
            if before is not None and before.incident is not None and before.incident.id == incident.id:
                told = told or before.told
            incident = self._masked_incident(incident, before.incident if before else None)
        last = None if standing.last is None else self._masked(standing.last)
        doubts = tuple(replace(doubt, first=self._masked(doubt.first)) for doubt in standing.doubts)
        return replace(standing, incident=incident, told=told and incident is not None, last=last, doubts=doubts)

    def _masked_incident(self, incident: Incident, before: Incident | None) -> Incident:
        if incident.diagnosis is not None:
            incident = replace(incident, diagnosis=self._masked_diagnosis(incident.diagnosis))
        if incident.first is None:
            return incident
        if before is not None and before.id == incident.id and before.first is not None:
            return replace(incident, first=before.first)
        return replace(incident, first=self._masked(incident.first))

    def _masked_diagnosis(self, diagnosis: Diagnosis) -> Diagnosis:
        """Its quotes are masked where they are taken; once more costs little, and a history is copied about."""

        def hidden(text: str) -> str:
            return clean(self._mask(text[:LONGEST_DETAIL]))

        return replace(
            diagnosis,
            causes=tuple(
                replace(one, evidence=tuple(replace(seen, quote=hidden(seen.quote)) for seen in one.evidence))
                for one in diagnosis.causes
            ),
            variables=tuple(replace(one, found=hidden(one.found), value=None) for one in diagnosis.variables),
        )

    def _masked(self, look: Observation) -> Observation:
        """With secrets hidden and everything bounded, ready to be kept."""
        mask, failure = self._mask, look.failure
        if failure is not None:
            failure = replace(failure, detail=clean(mask(failure.detail)[:LONGEST_DETAIL]))
        headers = list(look.headers.items())[:MOST_HEADERS]
        return replace(
            look,
            failure=failure,
            headers={
                clean(name[:LONGEST_HEADER]): clean(redact_header(name, mask(value[:LONGEST_HEADER])))
                for name, value in headers
            },
            excerpt=clean(mask(look.excerpt[:LONGEST_EXCERPT])[:LONGEST_EXCERPT]),
        )


def _verify(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _file.broken(found)
