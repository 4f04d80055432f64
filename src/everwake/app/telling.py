"""Channels: of a fleet, and tried out by hand."""

import asyncio
from dataclasses import dataclass

from everwake.clock import SystemClock
from everwake.errors import MissingExtra
from everwake.fleet.schema import Fleet
from everwake.notify.channel import Channel, NotSent, in_thread
from everwake.notify.compose import Message, trial
from everwake.notify.deliver import SEND_S

__all__ = ["Tried", "channels_of", "try_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One channel and why it did not take the message; None: it did."""

    channel: str
    problem: str | None


def channels_of(fleet: Fleet) -> tuple[Channel, ...]:
    """Where the fleet's messages go."""
    return tuple(Channel(secret, n) for n, secret in enumerate(fleet.notify.urls, 1))


async def try_all(fleet: Fleet) -> tuple[Tried, ...]:
    """Send a test message to every channel, side by side. Raises MissingExtra."""
    message = trial(fleet.name, SystemClock().now())
    return tuple(await asyncio.gather(*(_try(channel, message) for channel in channels_of(fleet))))


async def _try(channel: Channel, message: Message) -> Tried:
    try:
        await in_thread(lambda: channel.send(message), SEND_S)
    except MissingExtra:
        raise
    except TimeoutError:
        return Tried(channel=channel.name, problem=f"no answer within {SEND_S:g} s")
    except NotSent as error:
        return Tried(channel=channel.name, problem=str(error))
    return Tried(channel=channel.name, problem=None)
