"""Alerts: each is claimed by one, sent once, and lost by nobody's death."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

from everwake.history import History
from everwake.model import State
from tests.everwake.history.conftest import Story, hours
from tests.support.fake_clock import FakeClock


async def test_an_alert_is_claimed_by_one_worker_until_its_lease_ends(history: History, clock: FakeClock) -> None:
    incident = Story(history).move(State.DOWN, clock.now())
    assert incident is not None
    now = clock.now()
    (claimed,) = await history.claim("one", now, 60)
    assert (claimed.key, claimed.incident, claimed.opened) == (f"{incident.id}:opened", incident.id, True)
    assert await history.claim("two", now + timedelta(seconds=59), 60) == []
    assert await history.claim("two", now + timedelta(seconds=60), 60) == [claimed]


async def test_a_sent_alert_is_never_claimed_again(history: History, clock: FakeClock) -> None:
    Story(history).move(State.DOWN, clock.now())
    (claimed,) = await history.claim("one", clock.now(), 60)
    assert await history.sent(claimed.key, "receipt")
    assert not await history.sent(claimed.key, "receipt")
    assert await history.claim("one", clock.now() + hours(10), 60) == []


async def test_a_failed_alert_is_due_again_when_it_says(history: History, clock: FakeClock) -> None:
    Story(history).move(State.DOWN, clock.now())
    now = clock.now()
    (claimed,) = await history.claim("one", now, 60)
    assert await history.failed(claimed.key, "503 from https://u:pw@x", now + hours(1))
    assert await history.claim("one", now + hours(0.9), 60) == []
    assert await history.claim("one", now + hours(1), 60) == [claimed]


async def test_who_lost_the_lease_cannot_put_it_back(history: History, clock: FakeClock, path: Path) -> None:
    other = History(path, clock)
    other.open()
    Story(history).move(State.DOWN, clock.now())
    now = clock.now()
    (claimed,) = await history.claim("slow", now, 60)
    assert await other.claim("quick", now + timedelta(seconds=61), 60) == [claimed]
    assert not await history.failed(claimed.key, "timed out", now)
    assert await history.claim("slow", now + timedelta(seconds=62), 60) == []
    assert await other.sent(claimed.key, "receipt")
    other.close()


async def test_the_same_alert_written_twice_is_one(history: History, clock: FakeClock) -> None:
    for _ in range(3):
        Story(history).move(State.DOWN, clock.now())
    assert len(await history.claim("one", clock.now(), 60)) == 1


async def test_alerts_go_out_in_the_order_in_which_they_came(history: History, clock: FakeClock) -> None:
    stories = [Story(history, f"s{n}") for n in range(30)]
    for story in stories:
        story.move(State.DOWN, clock.now())
    claimed = await history.claim("one", clock.now(), 60, limit=20)
    claimed += await history.claim("one", clock.now(), 60, limit=20)
    assert [notice.service for notice in claimed] == [story.service for story in stories]


async def test_two_keepers_on_one_file_never_both_send(history: History, clock: FakeClock, path: Path) -> None:
    other = History(path, clock)
    other.open()
    for n in range(100):
        Story(history, f"s{n}").move(State.DOWN, clock.now())
    assert history.flush()
    sent: Counter[str] = Counter()

    async def work(keeper: History, worker: str) -> None:
        while claimed := await keeper.claim(worker, clock.now(), 60, limit=3):
            for notice in claimed:
                sent[notice.key] += 1
                assert await keeper.sent(notice.key, worker)

    await asyncio.gather(*(work(keeper, f"w{n}") for n, keeper in enumerate((history, other, history, other))))
    other.close()
    assert len(sent) == 100
    assert set(sent.values()) == {1}
