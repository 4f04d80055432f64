"""Messages from the real outbox to a real receiver: once each, in order, whatever breaks in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from everwake.app.past import Past
from everwake.app.recording import Recording
from everwake.clock import SystemClock
from everwake.errors import OutOfReach
from everwake.fleet.schema import Secret
from everwake.model import Incident, Observation, State, Transition
from everwake.notify import compose
from everwake.notify.channel import Channel
from everwake.notify.deliver import LEASE_S, Deliverer
from everwake.ports import Notice, Standing
from tests.support.receiver import receiver

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Clock(SystemClock):
    """The machine's, put forward by hand: leases and pauses end when the test says so."""

    ahead_s = jump_s = 0.0

    def now(self):  # type: ignore[no-untyped-def]
        return super().now() + timedelta(seconds=self.ahead_s + self.jump_s)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class Scene:
    """A keeper's outbox and its channels."""

    def __init__(self, past: Past, clock: Clock, *urls: str) -> None:
        self.past, self.clock = past, clock
        self.channels = [Channel(Secret(url, f"env URL{n}"), n) for n, url in enumerate(urls, 1)]
        self.told: list[str] = []
        self.recording = Recording(past.history, self.channels, lambda: None)
        self.deliverer = self.another()

    def another(self) -> Deliverer:
        """What a keeper that was started anew has."""
        return Deliverer(
            self.past.outbox,
            self.channels,
            self.clock,
            told=lambda text, is_bad: self.told.append(text),
            dice=lambda: 1.0,
        )

    def happens(self, name: str, *, opened: bool = True) -> None:
        at = self.clock.now()
        incident = Incident(id=f"inc-{name}", service=name, opened_at=at, closed_at=None if opened else at)
        notice = Notice(
            key=f"inc-{name}:{'opened' if opened else 'closed'}", service=name, incident=incident.id, opened=opened,
            title=f"{name} is {'down' if opened else 'up again'}", body="why", at=at,
        )  # fmt: skip
        move = Transition(service=name, old=State.UP, new=State.DOWN, at=at)
        seen = Observation(service=name, check="http", at=at, took_s=0.1)
        standing = Standing(service=name, state=State.DOWN, since=at, incident=incident, last=seen)
        self.recording.moved(move, standing, [notice])


@asynccontextmanager
async def outbox_in(folder: Path, *urls: str) -> AsyncIterator[Scene]:
    clock = Clock()
    async with Past(folder / "history.sqlite3", clock) as past:
        yield Scene(past, clock, *urls)


async def test_every_channel_gets_every_message_once_and_in_order(tmp_path: Path) -> None:
    with receiver() as one, receiver() as two:
        async with outbox_in(tmp_path, one.url, two.url) as scene:
            for n in range(3):
                scene.happens(f"s{n}")
                scene.happens(f"s{n}", opened=False)
            while await scene.deliverer.deliver():
                pass
        expected = [f"s{n} is {said}" for n in range(3) for said in ("down", "up again")]
        assert one.titles == two.titles == expected
        assert len(set(one.keys + two.keys)) == 12


async def test_a_channel_that_refuses_is_tried_again_and_the_other_is_not_told_twice(tmp_path: Path) -> None:
    with receiver() as well, receiver() as ill:
        ill.status = 503
        async with outbox_in(tmp_path, well.url, ill.url) as scene:
            scene.happens("a")
            await scene.deliverer.deliver()
            assert "channel 2 (env URL2)" in scene.told[0]
            assert "503" in scene.told[0]
            scene.happens("a", opened=False)
            await scene.deliverer.deliver()
            assert (len(well.messages), len(ill.messages)) == (2, 0), "an end waits behind its beginning"
            ill.status = 200
            scene.clock.ahead_s = 4.0
            assert await scene.deliverer.deliver() == 0, "it is left alone for a while"
            scene.clock.ahead_s = 6.0
            await scene.deliverer.deliver()
        assert well.titles == ill.titles == ["a is down", "a is up again"]
        assert scene.told[1:] == ["Messages get through to channel 2 (env URL2) again"]


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
async def test_a_clock_that_jumps_neither_holds_a_message_back_nor_sends_it_twice(
    tmp_path: Path, jump_s: float
) -> None:
    with receiver() as there:
        there.status = 503
        async with outbox_in(tmp_path, there.url) as scene:
            scene.happens("a")
            await scene.deliverer.deliver()
            there.status = 200
            scene.clock.jump_s, scene.clock.ahead_s = jump_s, 6.0
            while await scene.deliverer.deliver():
                pass
            assert there.titles == ["a is down"]
            scene.happens("b")
            scene.clock.jump_s *= 2
            while await scene.deliverer.deliver():
                pass
        assert there.titles == ["a is down", "b is down"]


async def test_a_crash_between_claim_and_send_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """The first keeper is gone while the receiver has the request but has not taken it."""
    with receiver() as there:
        async with outbox_in(tmp_path, there.url) as scene:
            scene.happens("a")
            claimed = await scene.past.outbox.claim(10, LEASE_S)  # and then it dies
            assert len(claimed) == 1
            again = scene.another()
            assert await again.deliver() == 0, "the lease holds"
            scene.clock.ahead_s = LEASE_S + 1
            assert await again.deliver() == 1
            assert await again.deliver() == 0
        assert there.titles == ["a is down"]


async def test_what_was_sent_and_could_not_be_marked_is_marked_later_and_not_sent_again(tmp_path: Path) -> None:
    with receiver() as there:
        async with outbox_in(tmp_path, there.url) as scene:
            box = scene.past.outbox

            class Forgetful:
                """The same outbox on a disk that is full when it matters."""

                def __init__(self) -> None:
                    self.is_full, self.claim, self.failed = True, box.claim, box.failed

                async def done(self, key: str, receipt: str) -> None:
                    if self.is_full:
                        raise OutOfReach("the disk is full")
                    await box.done(key, receipt)

            forgetful = Forgetful()
            deliverer = Deliverer(forgetful, scene.channels, scene.clock)
            scene.happens("a")
            await deliverer.deliver()
            forgetful.is_full = False
            scene.clock.ahead_s = LEASE_S + 1
            assert await deliverer.deliver() == 1
            scene.clock.ahead_s = 10 * LEASE_S
            assert await deliverer.deliver() == 0
        assert there.titles == ["a is down"]


async def test_after_a_day_it_is_given_up_and_said(tmp_path: Path) -> None:
    async with outbox_in(tmp_path, "json://127.0.0.1:9") as scene:
        scene.happens("a")
        await scene.deliverer.deliver()
        scene.clock.ahead_s = compose.GIVE_UP_AFTER_S + 10
        await scene.deliverer.deliver()
        assert "given up after a day" in scene.told[-1]
        scene.clock.ahead_s *= 2
        assert await scene.deliverer.deliver() == 0


async def test_a_channel_that_left_the_file_is_not_waited_for(tmp_path: Path) -> None:
    with receiver() as there:
        async with outbox_in(tmp_path, there.url) as scene:
            scene.happens("a")
            scene.deliverer.use([])
            assert await scene.deliverer.deliver() == 1
            assert await scene.deliverer.deliver() == 0
        assert there.messages == []


async def test_told_to_stop_it_finishes_what_it_sends(tmp_path: Path) -> None:
    with receiver() as there:
        async with outbox_in(tmp_path, there.url) as scene:
            there.gate.clear()
            running = asyncio.create_task(scene.deliverer.run())
            scene.happens("a")
            scene.deliverer.nudge()
            assert await asyncio.to_thread(there.arrived.acquire, True, 10)
            scene.deliverer.stop()
            there.gate.set()
            await asyncio.wait_for(running, 10)
            scene.clock.ahead_s = LEASE_S + 1
            assert await scene.another().deliver() == 0
        assert there.titles == ["a is down"]


async def test_nothing_is_kept_for_a_fleet_without_channels(tmp_path: Path) -> None:
    async with outbox_in(tmp_path) as scene:
        scene.happens("a")
        assert await scene.past.outbox.claim(10, LEASE_S) == []
