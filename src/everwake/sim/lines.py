"""The platform's log: lines as they come, each with a moment of its own, kept in the store and given to whoever follows."""

import asyncio
import fnmatch
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from everwake.sim.records import LogEntry
from everwake.sim.store import Store, microseconds
from everwake.sim.verbs import LogPage, LogQuery

__all__ = ["Lines", "level_of", "matches"]

FLUSH_EVERY_S = 0.25
FLUSH_AT = 500
BEHIND = 1_000
_TICK = timedelta(microseconds=1)
_LEVELS = (
    ("error", re.compile(r"\b(?:ERROR|CRITICAL|FATAL|Traceback|[A-Z]\w{0,40}Error:)")),
    ("warning", re.compile(r"\bWARN(?:ING)?\b")),
    ("debug", re.compile(r"\bDEBUG\b")),
)


def level_of(text: str) -> str:
    """What level a line seems to be of: a JSON line says so itself, any other by a word near its beginning."""
    if text.startswith("{"):
        with suppress(ValueError):
            said = json.loads(text)
            level = str(said.get("level", "info")).lower() if isinstance(said, dict) else "info"
            return level if level in {"debug", "info", "warning", "error", "critical"} else "info"
    head = text[:120]
    return next((level for level, words in _LEVELS if words.search(head)), "info")


def matches(entry: LogEntry, query: LogQuery) -> bool:
    """Whether a line is what a follower asked for; window, order and limit aside."""
    return (
        entry.service_id in query.services
        and (not query.types or entry.type in query.types)
        and (not query.instances or entry.instance in query.instances)
        and (not query.levels or entry.level in query.levels)
        and (not query.texts or any(_holds(entry.text, text) for text in query.texts))
    )


def _holds(text: str, wanted: str) -> bool:
    if "*" not in wanted:
        return wanted.lower() in text.lower()
    # Only `*` is special, as in a query of the store.
    plain = re.sub(r"([?\[])", r"[\1]", wanted.lower())
    return fnmatch.fnmatchcase(text.lower(), f"*{plain}*")


@dataclass(eq=False, slots=True)
class _Follower:
    query: LogQuery
    waiting: deque[LogEntry] = field(default_factory=lambda: deque(maxlen=BEHIND))
    some: asyncio.Event = field(default_factory=asyncio.Event)


class Lines:
    """Every line of every service. `run` writes what was said every quarter of a second; a SIGKILL loses no more than that."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._latest = store.latest_line_at()
        self._unwritten: list[LogEntry] = []
        self._followers: set[_Follower] = set()

    def say(self, service_id: str, text: str, type_: str = "app", instance: str = "", level: str = "") -> None:
        """One line, without its end."""
        # No two lines share a moment, so a page of the log can go on exactly where the one before it ended.
        self._latest = at = max(self._now(), self._latest + _TICK)
        entry = LogEntry(
            id=f"log-{microseconds(at)}", service_id=service_id, at=at, type=type_, text=text,
            level=level or level_of(text), instance=instance,
        )  # fmt: skip
        self._unwritten.append(entry)
        for each in self._followers:
            if matches(entry, each.query):
                each.waiting.append(entry)
                each.some.set()
        if len(self._unwritten) >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Write what was said so far."""
        if self._unwritten:
            said, self._unwritten = self._unwritten, []
            self._store.add_lines(said)

    async def run(self) -> None:
        """Write for ever; cancelling it writes the rest."""
        try:
            while True:
                await asyncio.sleep(FLUSH_EVERY_S)
                self.flush()
        finally:
            self.flush()

    def page(self, query: LogQuery) -> LogPage:
        """`Workspace.logs`."""
        if not query.services:
            return LogPage(entries=())
        self.flush()
        found = self._store.lines(query, query.limit + 1)
        entries, has_more = tuple(found[: query.limit]), len(found) > query.limit
        if not has_more:
            return LogPage(entries=entries)
        since, until = query.since, query.until
        if query.newest_first:
            until = entries[-1].at - _TICK
        else:
            since = entries[-1].at + _TICK
        return LogPage(entries=entries, has_more=True, next_since=since, next_until=until)

    async def follow(self, query: LogQuery) -> AsyncIterator[LogEntry]:
        """`Workspace.subscribe`."""
        one = _Follower(query)
        self._followers.add(one)
        try:
            while True:
                await one.some.wait()
                one.some.clear()
                while one.waiting:
                    yield one.waiting.popleft()
        finally:
            self._followers.discard(one)
