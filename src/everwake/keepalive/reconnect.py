"""How long a client waits before it calls again, pure: dice are an argument."""

from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays that grow from `first_s` to `most_s` and are forgotten only after a line that lasted `stable_s`.

    A server that accepts and then hangs up would reset a naive backoff with every connection and be hammered by it.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    growth: float = 2.0
    stable_s: float = 60.0

    def drops(self, drops: int, lived_s: float) -> int:
        """How many drops in a row this one makes; `lived_s` is 0 when no line came about."""
        return 1 if lived_s >= self.stable_s else drops + 1

    def delay_s(self, drops: int, roll: float) -> float:
        """Seconds to wait after the `drops`-th drop in a row, at most `most_s`. roll: evenly from 0 to 1.

        Spread by a half to either side, the very first one too: after a restart all clients were dropped at once.
        """
        # The exponent is bounded, for a server that is away for a week must not make a float overflow.
        mean_s = min(self.first_s * self.growth ** min(drops - 1, 64), self.most_s / 1.5)
        return mean_s * (0.5 + roll)
