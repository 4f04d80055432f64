"""The history beside a plain model of it, through anything that may happen: moves, looks, alerts, restarts, tidying."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from everwake.history import History, queries
from everwake.model import Incident, Observation, State
from everwake.ports import Notice
from tests.everwake.history.conftest import REFUSED, Story, look
from tests.support.fake_clock import FakeClock

names = st.sampled_from(("a", "b", "c"))
WORKER, LEASE_S = "worker", 60.0


class HistoryBesideItsModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.clock = FakeClock()
        self.open()
        self.states: dict[str, State] = {}
        self.moves: list[tuple[str, State, State]] = []
        self.looks: dict[tuple[str, str], Observation] = {}
        self.incidents: dict[str, Incident] = {}
        self.stories: dict[str, Story] = {}
        self.claimed: dict[str, float] = {}
        self.waiting: list[str] = []

    def open(self) -> None:
        self.history = History(Path(self.folder.name) / "h.sqlite3", self.clock)
        self.history.open()

    @rule(seconds=st.floats(0.001, 5_000))
    def time_passes(self, seconds: float) -> None:
        asyncio.run(self.clock.advance(seconds))

    @rule(name=names, new=st.sampled_from((State.UP, State.DOWN, State.WAKING, State.PAUSED)))
    def moves_on(self, name: str, new: State) -> None:
        story = self.stories.setdefault(name, Story(self.history, name))
        old = story.state
        self.clock.jump(0.001)
        incident = story.move(new, self.clock.now())
        if old is not new:
            self.moves.append((name, old, new))
        self.states[name] = new
        if incident is not None:
            known = self.incidents.get(incident.id)
            for what, is_new in (("opened", known is None), ("closed", incident.closed_at is not None)):
                if is_new:
                    self.waiting.append(f"{incident.id}:{what}")
            self.incidents[incident.id] = incident

    @rule(name=names, took_s=st.integers(1, 2_000_000), failed=st.booleans())
    def is_looked_at(self, name: str, took_s: int, failed: bool) -> None:
        at = self.clock.now() + timedelta(milliseconds=len(self.looks))
        at -= timedelta(microseconds=at.microsecond % 1000)
        seen = look(at, name, took_s=took_s / 10_000, failure=REFUSED if failed else None)
        self.looks[name, at.isoformat()] = seen
        self.history.looked([seen])

    @rule(most=st.integers(1, 5))
    def alerts_are_claimed(self, most: int) -> None:
        now_s = self.clock.monotonic()
        found = asyncio.run(self.claim(most))
        free = [key for key in self.waiting if self.claimed.get(key, 0.0) <= now_s + 1e-5]
        assert [notice.key for notice in found] == free[:most]
        self.claimed |= {notice.key: now_s + LEASE_S for notice in found}

    async def claim(self, most: int) -> list[Notice]:
        return await self.history.claim(WORKER, self.clock.now(), LEASE_S, limit=most)

    @rule(which=st.integers(0, 10))
    def an_alert_is_sent(self, which: int) -> None:
        held = [key for key in self.waiting if key in self.claimed]
        if held:
            key = held[which % len(held)]
            assert asyncio.run(self.history.sent(key, "receipt"))
            self.waiting.remove(key)

    @rule()
    def the_keeper_restarts(self) -> None:
        self.history.close()
        self.open()
        standings = {standing.service: standing for standing in self.history.standings()}
        assert {name: standing.state for name, standing in standings.items()} == self.states
        for name, story in self.stories.items():
            story.history = self.history
            assert standings[name].incident == story.incident
            assert standings[name].told == (story.incident is not None)

    @rule()
    def it_is_tidied(self) -> None:
        self.history.tidy()

    @invariant()
    def everything_is_told_as_it_happened(self) -> None:
        if not hasattr(self, "history"):
            return
        assert self.history.flush()
        assert self.history.trouble is None
        asyncio.run(self.compare())

    async def compare(self) -> None:
        read, since, until = (
            self.history.read,
            self.clock.now() - timedelta(days=5),
            self.clock.now() + timedelta(days=1),
        )
        for name in {name for name, _ in self.looks}:
            page = await read(queries.observations, name, since=since, until=until, limit=1_000)
            expected = [seen for (service, _), seen in self.looks.items() if service == name and seen.at >= since]
            assert list(page.items) == sorted(expected, key=lambda seen: seen.at)
        told = {incident.id: incident for incident in (await read(queries.incidents, limit=1_000)).items}
        assert told == self.incidents
        stored = await read(lambda c: c.execute(CHAIN).fetchall())
        assert stored == [(name, old.value, new.value) for name, old, new in self.moves]

    def teardown(self) -> None:
        if hasattr(self, "history"):
            self.history.close()
            self.folder.cleanup()


CHAIN = "SELECT name, old, new FROM transitions JOIN services ON services.id = service ORDER BY transitions.id"
TestHistoryBesideItsModel = HistoryBesideItsModel.TestCase
TestHistoryBesideItsModel.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
