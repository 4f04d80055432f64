"""Live events over real HTTP: nothing lost, nothing twice, nobody held up."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from everwake.model import Incident, State
from everwake.web import live, ring
from tests.everwake.web.serve import Event, Site, raw, site, tab
from tests.support.fake_door import NOW, FakeDoor

OPENED = Incident(id="inc-1", service="chatbot", opened_at=NOW)


async def until(holds: object, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_a_page_begins_with_a_snapshot_of_everything() -> None:
    async with site("chatbot", "backend") as here:
        here.door.tell(OPENED)
        here.door.say("Architecture monitoring started")
        async with tab(here) as one:
            assert one.answer.headers["content-type"].startswith("text/event-stream")
            event = await one.next()
            assert event.name == "snapshot"
            assert event.data["sentence"] == "All two services are up."
            assert [service["name"] for service in event.data["services"]] == ["chatbot", "backend"]
            assert [line["text"] for line in event.data["log"]] == ["Architecture monitoring started"]
            assert [incident["id"] for incident in event.data["incidents"]] == ["inc-1"]
            assert event.data["services"][0] == await here.get("/api/v1/services/chatbot")


async def test_the_log_of_before_a_restart_is_in_the_snapshot() -> None:
    door = FakeDoor("chatbot")
    door.say("yesterday")
    async with site(door=door) as here, tab(here) as one:
        door.say("today")
        assert [line["text"] for line in (await one.next()).data["log"]] == ["yesterday"]
        assert [line["text"] for line in (await one.next_of("log")).data["items"]] == ["today"]


async def test_what_changes_is_told_as_service_incident_log_and_fleet() -> None:
    async with site("chatbot", "backend") as here, tab(here) as one:
        await one.next_of("snapshot")
        here.door.set("chatbot", state=State.DOWN, incident="inc-1")
        here.door.tell(OPENED)
        here.door.say("Chatbot is down")
        events = [await one.next() for _ in range(4)]
        told = {event.name: event.data for event in events}
        assert told["service"]["state"] == "down"
        assert told["incident"]["id"] == "inc-1"
        assert told["log"] == {"items": [dict(told["log"]["items"][0], text="Chatbot is down")], "skipped": 0}
        assert told["fleet"]["sentence"] == "Chatbot is down; the other one is as it should be."
        assert "services" not in told["fleet"]


async def test_stopping_is_told_though_no_service_changed() -> None:
    async with site("chatbot") as here, tab(here) as one:
        await one.next_of("snapshot")
        await here.post("/api/v1/monitoring/stop")
        here.door.say("Architecture monitoring stopped")
        assert (await one.next_of("fleet")).data["monitoring"] is False


async def test_of_a_service_that_changes_often_only_the_latest_is_told() -> None:
    async with site("chatbot") as here, tab(here) as one:
        await one.next_of("snapshot")
        for ms in range(500):
            here.door.set("chatbot", latency_ms=float(ms))
        seen = [await one.next_of("service")]
        here.door.set("chatbot", latency_ms=1000.0)
        while seen[-1].data["latency_ms"] != 1000.0:
            seen.append(await one.next_of("service"))
        assert len(seen) <= 3


async def test_a_flood_of_lines_says_how_many_were_left_out() -> None:
    async with site("chatbot") as here, tab(here) as one:
        await one.next_of("snapshot")
        for n in range(live.LINES + 30):
            here.door.say(f"line {n}")
        event = await one.next_of("log")
        assert (len(event.data["items"]), event.data["skipped"]) == (live.LINES, 30)
        assert event.data["items"][-1]["text"] == f"line {live.LINES + 29}"


async def drop(here: Site, last_id: str | None, enough: int) -> list[Event]:
    """Read `enough` events and cut the connection without a goodbye."""
    async with tab(here, last_id) as one:
        return [await one.next() for _ in range(enough)]


async def test_after_a_drop_nothing_is_lost_and_nothing_comes_twice() -> None:
    async with site("chatbot") as here:
        (snapshot,) = await drop(here, None, 1)
        lines: list[str] = []
        last_id = snapshot.id
        for round_ in range(5):
            for n in range(4):
                here.door.say(f"{round_}.{n}")
                await asyncio.sleep(0)
            async with tab(here, last_id) as one:
                while not lines or lines[-1] != f"{round_}.3":
                    event = await one.next()
                    assert event.name != "snapshot"
                    last_id = event.id
                    lines += [line["text"] for line in event.data.get("items", ())] if event.name == "log" else []
        assert lines == [f"{round_}.{n}" for round_ in range(5) for n in range(4)]


@pytest.mark.parametrize("last_id", ["", "other-5", "nonsense", "-1", "x" * 5_000])
async def test_who_names_an_event_that_is_not_known_gets_a_snapshot(last_id: str) -> None:
    async with site("chatbot") as here, tab(here, last_id or None) as one:
        assert (await one.next()).name == "snapshot"


async def test_who_was_away_for_too_long_gets_a_snapshot() -> None:
    names = [f"s{n}" for n in range(ring.MOST + 10)]
    async with running(*names) as (door, hub):
        watcher = hub.events("")
        snapshot = [await anext(watcher), await anext(watcher)][1]
        first_id = snapshot.split(b"\n")[0].removeprefix(b"id: ").decode()
        for name in names:
            door.set(name)
        while f'"name":"{names[-1]}"'.encode() not in await anext(watcher):
            pass
        back = hub.events(first_id)
        assert b"retry" in await anext(back)
        assert b"event: snapshot" in await anext(back)
        await back.aclose()
        await watcher.aclose()


@asynccontextmanager
async def running(*names: str) -> AsyncIterator[tuple[FakeDoor, live.Hub]]:
    """A hub at work, without HTTP."""
    door = FakeDoor(*names)
    hub = live.Hub(door, dict)
    door.subscribe(hub)
    task = asyncio.create_task(hub.run())
    try:
        yield door, hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_fleet_that_was_taken_anew_is_told_by_a_snapshot() -> None:
    async with site("chatbot", "old") as here, tab(here) as one:
        await one.next_of("snapshot")
        here.door.reload("chatbot", "new")
        event = await one.next_of("snapshot")
        assert [service["name"] for service in event.data["services"]] == ["chatbot", "new"]
        here.door.set("new", state=State.DOWN)
        assert (await one.next_of("service")).data["name"] == "new"


async def test_ten_tabs_change_nothing() -> None:
    async with site("chatbot", "backend") as here:
        async with AsyncExitStack() as stack:
            tabs = [await stack.enter_async_context(tab(here)) for _ in range(10)]
            for one in tabs:
                await one.next_of("snapshot")
            before = here.door.asked["service"]
            here.door.set("chatbot", state=State.DOWN)
            told = [await one.next_of("service") for one in tabs]
            assert len({(event.id, str(event.data)) for event in told}) == 1
            assert here.door.asked["service"] - before == 1, "encoded once for everybody"
            assert here.app.state.hub.readers == 10
        await until(lambda: here.app.state.hub.readers == 0)
        assert not [name for name in here.door.asked if name.startswith("check")]


async def test_while_nobody_looks_nothing_is_done() -> None:
    async with site("chatbot") as here:
        for _ in range(100):
            here.door.set("chatbot")
        await asyncio.sleep(0)
        assert here.door.asked["service"] == 0


async def test_a_reader_that_does_not_read_holds_nobody_up_and_is_let_go() -> None:
    names = [f"s{n}" for n in range(1_500)]
    async with site(*names, send_buffer_bytes=4_096) as here:
        slow = raw(here.port, b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        try:
            async with tab(here) as quick:
                await quick.next_of("snapshot")
                await until(lambda: here.app.state.hub.readers == 2)
                # More than the ring holds, a round at a time, so that the quick one keeps up.
                for round_ in range(2 + ring.MOST // len(names)):
                    for name in names:
                        here.door.set(name, latency_ms=float(round_))
                    while (event := await quick.next_of("service")).data["name"] != names[-1]:
                        pass
                    assert event.data["latency_ms"] == round_
                got = await asyncio.to_thread(read_to_the_end, slow)
                assert got.endswith(b"0\r\n\r\n"), "the answer ends; its reader comes again by itself"
                assert got.count(b"event: service") < ring.MOST
                await until(lambda: here.app.state.hub.readers == 1)
        finally:
            slow.close()


def read_to_the_end(connection: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"\r\n0\r\n\r\n"):
        piece = connection.recv(1_000_000)
        assert piece
        got += piece
    return got


async def test_too_many_live_views_are_sent_away() -> None:
    async with site("chatbot") as here, AsyncExitStack() as stack:
        for _ in range(live.READERS):
            stack.callback(raw(here.port, b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").close)
        await until(lambda: here.app.state.hub.is_full)
        body = await here.get("/api/v1/events", 503)
        assert body["code"] == "too_many_readers"


async def test_live_views_end_at_once_when_the_keeper_stops() -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(site("chatbot"))
        answer = await stack.enter_async_context(tab(here))
        await answer.next_of("snapshot")
        begun_s = loop.time()
        here.app.state.hub.close()
        with pytest.raises(StopAsyncIteration):
            await answer.next()
    assert loop.time() - begun_s < 2


async def test_a_silent_stream_is_kept_open_by_comments() -> None:
    door = FakeDoor("chatbot")
    hub = live.Hub(door, dict)
    events = hub.events("", comment_every_s=0.01)
    pieces = [await anext(events) for _ in range(4)]
    await events.aclose()
    assert pieces[0] == b"retry: 2000\n\n"
    assert pieces[1].startswith(b"id: ")
    assert pieces[2:] == [b": still here\n\n"] * 2


async def test_a_reader_whose_line_takes_nothing_is_let_go_in_time() -> None:
    hub = live.Hub(FakeDoor("chatbot"), dict)

    async def send(message: object) -> None:
        if hub.readers:  # from the first piece on
            await asyncio.Event().wait()

    async def receive() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    stream = live.EventStream(hub.events(""), send_within_s=0.01)
    await asyncio.wait_for(stream({}, receive, send), 5)  # type: ignore[arg-type]
    assert hub.readers == 0


async def test_incidents_are_counted_when_they_open_and_only_then() -> None:
    hub = live.Hub(FakeDoor("chatbot"), dict)
    for told in (OPENED, replace(OPENED, flaps=1), replace(OPENED, closed_at=NOW), replace(OPENED, id="inc-2")):
        hub.told(told)
    assert hub.incidents_opened == {"chatbot": 2}
