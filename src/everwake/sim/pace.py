"""How fast the platform's time runs: its waits become shorter, its hours and its calendar run ahead. Pure.

Timestamps of records are always real; only what the platform waits for and counts is scaled.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Calendar", "Pace"]


@dataclass(frozen=True, slots=True)
class Pace:
    """speed: platform seconds in one real second, > 0."""

    speed: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.speed < float("inf"):
            raise ValueError("speed must be above 0")

    def real_s(self, platform_s: float, least_s: float = 0.0) -> float:
        """Real seconds of a wait of the platform. least_s: below that a real process cannot follow, so it stays that long
        (never longer than at speed 1)."""
        return max(platform_s / self.speed, min(least_s, platform_s))

    def platform_s(self, real_s: float) -> float:
        """Platform seconds that pass in so many real ones."""
        return real_s * self.speed


@dataclass(frozen=True, slots=True)
class Calendar:
    """The platform's calendar: it showed `platform` when it really was `real`, and runs on at the pace."""

    real: datetime
    platform: datetime
    pace: Pace

    def shows(self, real: datetime) -> datetime:
        """What it shows at a real moment; never before `platform`, also when the machine's clock was set back."""
        passed_s = max(0.0, (real - self.real).total_seconds())
        try:
            return self.platform + timedelta(seconds=self.pace.platform_s(passed_s))
        except OverflowError:
            return datetime.max.replace(tzinfo=self.platform.tzinfo)

    def month(self, real: datetime) -> str:
        """Its month, such as "2026-11"."""
        return self.shows(real).strftime("%Y-%m")

    def month_ends_in_s(self, real: datetime) -> float:
        """Real seconds until its next 1st, 00:00."""
        now = self.shows(real)
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = (first + timedelta(days=32)).replace(day=1)
        return (following - now).total_seconds() / self.pace.speed
