"""Is the chatbot awake? One place that knows, so that one wake-up serves everybody.

Sans-I/O: calls report what they saw, the gate says whether messages may go out (`is_open`), how many at a time (`room`),
and whether somebody has to look. All times are monotonic seconds.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Gate", "Standing", "look_again_s"]

# A free instance falls asleep after some minutes without traffic. What was seen longer ago than this is not believed, and
# one polite GET goes out before a POST does: edges hold a GET while they wake the service, a POST they may drop.
FRESH_S = 60.0
# Just woken on a tenth of a core: the backlog is let in slowly, one more at a time for every reply.
FIRST_ROOM = 8
FIRST_LOOK_AGAIN_S = 0.25
LONGEST_LOOK_AGAIN_S = 30.0
# No edge refuses a connection: that is a port on which nothing listens yet, and asking it costs nobody anything.
LONGEST_AFTER_REFUSAL_S = 3.0


class Standing(StrEnum):
    """What users are told."""

    UNKNOWN = "unknown"
    AWAKE = "awake"
    WAKING = "waking"


@dataclass(slots=True)
class Gate:
    """most: replies that may be in the making at once.   opened_at: when the present wakefulness began."""

    most: int
    standing: Standing = Standing.UNKNOWN
    since: float = 0.0
    heard_at: float = float("-inf")
    opened_at: float = float("-inf")
    room: int = FIRST_ROOM
    is_wanted: bool = False

    def is_open(self, now: float) -> bool:
        """May messages go out?"""
        return self.standing is Standing.AWAKE and now - self.heard_at < FRESH_S

    def knock(self, now: float) -> bool:
        """Somebody has something for the chatbot: True when it is awake; else somebody has to look (`is_wanted`)."""
        if self.is_open(now):
            return True
        if self.standing is Standing.AWAKE:
            self._become(Standing.UNKNOWN, now)
        self.is_wanted = True
        return False

    def answered(self, now: float, *, is_reply: bool = False) -> bool:
        """The chatbot itself said something. True when that is news."""
        is_news = self.standing is not Standing.AWAKE
        if is_news:
            self._become(Standing.AWAKE, now)
            self.opened_at, self.room = now, min(FIRST_ROOM, self.most)
        elif is_reply:
            self.room = min(self.room + 1, self.most)
        self.heard_at = max(self.heard_at, now)
        self.is_wanted = False
        return is_news

    def missed(self, began_at: float, now: float) -> None:
        """A call that began at `began_at` found nobody. One older than the present wakefulness tells nothing about it."""
        if self.standing is Standing.AWAKE and began_at >= self.opened_at:
            self._become(Standing.UNKNOWN, now)
        if self.standing is not Standing.AWAKE:
            self.is_wanted = True

    def asleep(self, now: float) -> bool:
        """A look did not answer promptly: it is a wake-up now. True when that is news."""
        if self.standing is Standing.WAKING:
            return False
        self._become(Standing.WAKING, now)
        return True

    def _become(self, standing: Standing, now: float) -> None:
        self.standing, self.since = standing, now


def look_again_s(misses: int, asked_s: float | None, dice: float, *, is_refused: bool = False) -> float:
    """Seconds until the next wake-up call after `misses` (>= 1) failed ones.

    asked_s: the edge's Retry-After.   dice: 0..1.   is_refused: nobody listened when it was last asked.
    """
    longest_s = LONGEST_AFTER_REFUSAL_S if is_refused else LONGEST_LOOK_AGAIN_S
    grown_s = min(longest_s, FIRST_LOOK_AGAIN_S * 2.0 ** min(misses - 1, 20)) * (0.5 + dice / 2)
    return max(grown_s, (asked_s or 0.0) * (1 + dice / 4))
