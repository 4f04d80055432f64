"""Delivers what the outbox holds: claim under a lease, send, mark. A crash in between neither loses nor doubles a message."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from everwake.errors import EverwakeError, OutOfReach
from everwake.notify import compose
from everwake.notify.channel import Channel, NotSent, in_thread
from everwake.ports import Clock, Notice

__all__ = ["Deliverer", "Outbox", "per_channel"]

log = logging.getLogger(__name__)

SEND_S = 10.0
LEASE_S = 20.0  # after a crash a message waits this long
AT_ONCE = 10
LOOK_EVERY_S = 5.0


class Outbox(Protocol):
    """Where notices wait, durably. Claims come in the order in which the notices were written."""

    def claim(self, most: int, lease_s: float) -> Awaitable[Sequence[Notice]]:
        """Take what is due; nobody else is given it until the lease ends."""

    def done(self, key: str, receipt: str) -> Awaitable[None]:
        """Nothing more is to be done about it; durable when this returns. receipt: who took it, or why it was given up.

        Raises:
            OutOfReach: it cannot be written now.
        """

    def failed(self, key: str, why: str, again_at: datetime) -> Awaitable[None]:
        """It was not delivered, and is due again then."""
        ...


def per_channel(notices: Iterable[Notice], channels: Sequence[Channel]) -> tuple[Notice, ...]:
    """One notice for each channel, so that what one channel refuses is not sent to the others again."""
    return tuple(replace(notice, key=f"{notice.key}@{channel.id}") for notice in notices for channel in channels)


@dataclass(slots=True)
class _Rest:
    """A channel that is left alone: counted in monotonic seconds, for the wall clock may be put back."""

    failures: int
    until_s: float


class Deliverer:
    """Sends for one keeper. told: called with a sentence when a channel fails or works again."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Sequence[Channel],
        clock: Clock,
        *,
        told: Callable[[str, bool], None] = lambda text, is_bad: None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._outbox, self._clock, self._told, self._dice = outbox, clock, told, dice
        self._channels = {channel.id: channel for channel in channels}
        self._resting: dict[str, _Rest] = {}
        self._unmarked: dict[str, str] = {}
        self._wake, self._is_stopping = asyncio.Event(), False

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Where messages go now."""
        return tuple(self._channels.values())

    def use(self, channels: Sequence[Channel]) -> None:
        """Send to these from now on; what waits for a channel that is gone is dropped, and logged."""
        self._channels = {channel.id: channel for channel in channels}
        self.nudge()

    def nudge(self) -> None:
        """Something was put into the outbox."""
        self._wake.set()

    def stop(self) -> None:
        """Make `run` return once what it is sending is sent."""
        self._is_stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until `stop`. Cancelled, it leaves what is claimed to whoever comes when the lease has ended."""
        while not self._is_stopping:
            if await self.deliver() == 0:
                cancel = self._clock.call_at(self._clock.monotonic() + LOOK_EVERY_S, self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    cancel()
                self._wake.clear()

    async def deliver(self) -> int:
        """Send what is due now; how many notices were taken up. One channel's messages go out one after the other."""
        claimed = await self._outbox.claim(AT_ONCE, LEASE_S)
        by_channel: dict[str, list[Notice]] = {}
        for notice in claimed:
            by_channel.setdefault(notice.key.rpartition("@")[2], []).append(notice)
        async with asyncio.TaskGroup() as tasks:
            for channel_id, notices in by_channel.items():
                tasks.create_task(self._send_all(channel_id, notices))
        return len(claimed)

    async def _send_all(self, channel_id: str, notices: Sequence[Notice]) -> None:
        channel, began_s = self._channels.get(channel_id), self._clock.monotonic()
        for notice in notices:
            if notice.key in self._unmarked:
                await self._mark(notice.key, self._unmarked[notice.key])
                continue
            if channel is None:
                log.warning("notify.channel_gone", extra={"notice": notice.key})
                await self._mark(notice.key, "given up: its channel is no longer in the fleet file")
                continue
            rest = self._resting.get(channel_id)
            left_s = 0.0 if rest is None else rest.until_s - self._clock.monotonic()
            if left_s > 0:
                # Behind one that has to wait: an end must not overtake its beginning.
                again_at = self._clock.now() + timedelta(seconds=left_s)
                await self._outbox.failed(notice.key, "behind an earlier message", again_at)
                continue
            if self._clock.monotonic() - began_s > LEASE_S - SEND_S:
                # Not enough of the lease is left to send it: somebody else might be given it meanwhile.
                await self._outbox.failed(notice.key, "behind slow messages", self._clock.now())
                continue
            await self._send(channel, notice)

    async def _send(self, channel: Channel, notice: Notice) -> None:
        message = compose.message(notice)
        try:
            receipt = await in_thread(lambda: channel.send(message), SEND_S)
        except (NotSent, EverwakeError, TimeoutError) as error:
            await self._did_not_send(
                channel, notice, f"no answer within {SEND_S:g} s" if not str(error) else str(error)
            )
            return
        except Exception as error:  # a plugin's own bug; its text may hold the URL
            log.error("notify.broken", extra={"channel": channel.name, "error": type(error).__name__})
            await self._did_not_send(channel, notice, type(error).__name__)
            return
        await self._mark(notice.key, receipt)
        log.info("notify.sent", extra={"notice": notice.key, "channel": channel.name})
        if self._resting.pop(channel.id, None) is not None:
            self._told(f"Messages get through to {channel.name} again", False)

    async def _mark(self, key: str, receipt: str) -> None:
        """It is done with. Where that cannot be written now, it is remembered: the next claim marks it, and sends nothing."""
        try:
            await self._outbox.done(key, receipt)
        except OutOfReach:
            self._unmarked[key] = receipt
        else:
            self._unmarked.pop(key, None)

    async def _did_not_send(self, channel: Channel, notice: Notice, why: str) -> None:
        rest = self._resting.get(channel.id)
        failures, now = (rest.failures if rest else 0) + 1, self._clock.now()
        wait_s = compose.wait_s(failures, self._dice())
        self._resting[channel.id] = _Rest(failures, self._clock.monotonic() + wait_s)
        is_over = (now - notice.at).total_seconds() > compose.GIVE_UP_AFTER_S
        if is_over:
            await self._mark(notice.key, f"given up after a day: {why}")
        else:
            await self._outbox.failed(notice.key, why, now + timedelta(seconds=wait_s))
        if failures == 1 or is_over:
            end = "given up after a day" if is_over else "it is tried again"
            self._told(f"A message could not be sent to {channel.name}: {why}; {end}", True)
