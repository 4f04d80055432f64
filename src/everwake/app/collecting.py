"""How often a long-lived process looks for garbage in cycles."""

import gc

__all__ = ["collect_rarely"]

# A keeper makes a dozen objects a look, hardly ever in a cycle, and holds those of every service's last one. At Python's own
# 700 each of them is walked through again and again: a sixth of the keeper's time when it looks as fast as it can
# (bench/keeper.py). At this, what is in cycles is at most some 10 MB.
YOUNG, MIDDLE, OLD = 20_000, 20, 20


def collect_rarely() -> None:
    """What was loaded so far lives as long as the process, so it is never walked through; what comes, seldom."""
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
