"""The real keeper behind the real HTTP: only what it sees, its time and its past are made up."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from everwake.app.door import Door, Listeners
from everwake.app.recording import Recording
from everwake.fleet.schema import Fleet, Service
from everwake.model import Beat, Failure, FailureKind, LogLine, Observation, Phase, Transition
from everwake.ports import Notice, Standing
from everwake.watch.keeper import Keeper
from everwake.watch.vantage import Probe
from tests.everwake.web.serve import Site, site, tab
from tests.support.eyes import Looking
from tests.support.fake_clock import FakeClock, settle
from tests.support.fake_door import NOW, FakeDoor


class Eyes(Looking):
    """Sees a good answer everywhere but at those in `refused`."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.refused: set[str] = set()

    async def look(self, service: Service, check: str, patience_s: float | None) -> Observation:
        failure = Failure(kind=FailureKind.REFUSED, phase=Phase.CONNECT) if service.name in self.refused else None
        return Observation(
            service=service.name, check=check, at=self.clock.now(), took_s=0.3, failure=failure,
            status=None if failure else 200,
        )  # fmt: skip

    async def follow(self, service: Service) -> AsyncIterator[Beat]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc]

    async def probe(self) -> Probe:
        return Probe(resolves=True, has_route=True)


class Past(FakeDoor):
    """A history that keeps nothing: what is asked of it comes from the test."""

    buffered, lost, trouble = 3, 0, None

    def looked(self, seen: Sequence[Observation]) -> None:
        self.seen += seen

    def moved(self, move: Transition, standing: Standing, notices: Iterable[Notice] = ()) -> None:
        if standing.incident is not None:
            self.known[standing.incident.id] = standing.incident

    def beat(self, beat: Beat) -> None:
        pass

    def said(self, line: LogLine) -> None:
        self.lines.append(line)


@dataclass
class Scene:
    clock: FakeClock
    eyes: Eyes
    keeper: Keeper
    here: Site


@asynccontextmanager
async def watched(*names: str) -> AsyncIterator[Scene]:
    clock, past, listeners = FakeClock(NOW), Past(), Listeners()
    eyes, recording = Eyes(clock), Recording(past, (), lambda: None)
    fleet = Fleet(name="blabbin", services=tuple(Service(name=name, url=f"https://{name}.example") for name in names))
    keeper = Keeper(
        fleet, eyes, recording, clock, said=listeners.said, changed=listeners.changed, told=listeners.told
    )  # fmt: skip
    async with site(door=Door(keeper, past, recording, listeners), clock=clock) as here:
        running = asyncio.create_task(keeper.run())
        await settle()
        try:
            yield Scene(clock, eyes, keeper, here)
        finally:
            keeper.stop()
            await asyncio.wait_for(running, 5)


async def test_an_outage_is_seen_live_from_its_first_look_to_its_end() -> None:
    async with watched("chatbot", "backend") as scene, tab(scene.here) as page:
        snapshot = (await page.next_of("snapshot")).data
        assert [service["state"] for service in snapshot["services"]] == ["unknown", "unknown"]
        await scene.clock.advance(2)
        assert (await scene.here.get("/api/v1/fleet"))["counts"] == {"up": 2}

        scene.eyes.refused.add("chatbot")
        await scene.here.post("/api/v1/services/chatbot/check", 202)
        await scene.clock.advance(5)
        opened = (await page.next_of("incident")).data
        assert (opened["service"], opened["closed_at"]) == ("chatbot", None)
        while (head := (await page.next_of("fleet")).data)["state"] != "down":
            pass
        assert head["sentence"] == "Chatbot is down; the other one is as it should be."
        assert (await scene.here.get(f"/api/v1/incidents/{opened['id']}"))["first"]["failure"]["kind"] == "refused"
        causes = (await scene.here.get("/api/v1/services/chatbot/diagnosis"))["causes"]
        assert (causes[0]["cause"], causes[0]["evidence"][0]["quote"]) == ("unknown", "refused in connect")

        scene.eyes.refused.clear()
        await scene.here.post("/api/v1/services/chatbot/check", 202)
        await scene.clock.advance(200)
        while (closed := (await page.next_of("incident")).data)["closed_at"] is None:
            pass
        assert closed["id"] == opened["id"]
        assert (await scene.here.get("/api/v1/fleet"))["sentence"] == "All two services are up."


async def test_stop_and_start_are_seen_by_every_page() -> None:
    async with watched("chatbot") as scene, tab(scene.here) as page:
        await page.next_of("snapshot")
        await scene.clock.advance(2)
        await scene.here.post("/api/v1/monitoring/stop")
        while (head := (await page.next_of("fleet")).data)["monitoring"]:
            pass
        assert (head["next_check_at"], head["counts"]) == (None, {"paused": 1})
        await scene.here.post("/api/v1/monitoring/start")
        while not (head := (await page.next_of("fleet")).data)["monitoring"]:
            pass
        log = [line["text"] for line in (await scene.here.get("/api/v1/log"))["items"]]
        assert log.count("Architecture monitoring stopped") == 1
        assert log.count("Architecture monitoring started") == 2


async def test_ping_now_answers_with_what_the_keeper_saw() -> None:
    async with watched("chatbot") as scene:
        body = await scene.here.post("/api/v1/services/chatbot/check?wait=5")
        assert (body["observation"]["took_ms"], body["service"]["state"]) == (300.0, "up")
        text = (await scene.here.client.get("/metrics")).text
        assert 'everwake_looks_total{service="chatbot"} 1\n' in text
        assert "everwake_history_buffered_rows 3\n" in text
