"""When to start a crashed process again: soon at first, then ever more slowly, soon again once it has lasted."""

from dataclasses import dataclass

__all__ = ["Restarts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """The growing wait. All in seconds; 0 < first_s <= longest_s."""

    first_s: float = 1.0
    longest_s: float = 30.0
    lasting_s: float = 60.0

    def crashes(self, before: int, lived_s: float) -> int:
        """Crashes in a row after one more that came `lived_s` after its start."""
        return 1 if lived_s >= self.lasting_s else before + 1

    def wait_s(self, crashes: int) -> float:
        """How long to wait after that many crashes in a row (1 or more)."""
        # Past 2**30 the power only grows; the cap has long been reached.
        return min(self.first_s * 2.0 ** min(crashes - 1, 30), self.longest_s)
