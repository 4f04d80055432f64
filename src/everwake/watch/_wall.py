"""The wall clock beside the monotonic one: whether it was put forward or back, or the machine was suspended."""

from dataclasses import replace
from datetime import datetime, timedelta

from everwake.model import Observation
from everwake.ports import Clock

__all__ = ["Wall"]

JUMP_S = 5.0


class Wall:
    """What is slewed by a second or two is no jump."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_s = clock.now().timestamp() - clock.monotonic()

    def jump_s(self, now_s: float) -> float:
        """By how much it jumped since this was asked last, 0 where it did not. now_s: monotonic."""
        offset_s = self._clock.now().timestamp() - now_s
        jump_s, self._offset_s = offset_s - self._offset_s, offset_s
        return jump_s if abs(jump_s) > JUMP_S else 0.0

    def in_todays_time(self, seen: Observation) -> Observation:
        """A look during which the wall clock jumped, as if that had been before it: it ended now, and took what it took."""
        began_at = self._clock.now() - timedelta(seconds=seen.took_s)
        return replace(seen, at=began_at) if abs((began_at - seen.at).total_seconds()) > JUMP_S else seen

    def time_of(self, at_s: float | None) -> datetime | None:
        """What the wall clock will show at that monotonic time."""
        return None if at_s is None else self._clock.now() + timedelta(seconds=at_s - self._clock.monotonic())
