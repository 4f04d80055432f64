"""Whether a remedy has helped: what the checks see after it, for long enough. Pure.

A remedy never marks its own homework. Three good looks, a pace apart; then the cause must be gone, and no other may have come.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from everwake.model import Criterion, Diagnosis, Observation, Proof

__all__ = ["LOOKS", "Proving", "judged", "saw"]

LOOKS = 3
# Waking takes 19-90 s (measured on Render, 2026-07); who is not up by then was not brought back.
DEADLINE_PACES = 9
# A new cause has to be about as sure as one that would be acted on.
NEW_SURE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Proving:
    """Looks since a remedy ended. good: good ones in a row, each a pace behind the one before.   last_at: of the newest of them.

    began_at: when the remedy ended.   said: what the last look saw.
    """

    began_at: datetime
    pace_s: float
    good: int = 0
    looks: int = 0
    last_at: datetime | None = None
    said: str = ""

    @property
    def is_up(self) -> bool:
        """It was seen up for long enough."""
        return self.good >= LOOKS

    def is_late(self, now: datetime) -> bool:
        """It was given the time that it takes, and is not up."""
        return (now - self.began_at).total_seconds() > DEADLINE_PACES * self.pace_s

    @property
    def again_s(self) -> float:
        """Until the next look: a good one is followed after a pace, a bad one sooner."""
        return self.pace_s if self.good else min(self.pace_s, max(1.0, self.pace_s / 4))


def saw(proving: Proving, seen: Observation) -> Proving:
    """Fold in one look of the primary check."""
    proving = replace(proving, looks=proving.looks + 1)
    if seen.at < proving.began_at:
        return proving
    if seen.failure is not None:
        why = seen.failure.kind.value.replace("_", " ")
        return replace(proving, good=0, last_at=None, said=f"{seen.status or why}")
    apart = proving.last_at is None or (seen.at - proving.last_at).total_seconds() >= 0.9 * proving.pace_s
    if not apart:
        return proving
    return replace(proving, good=proving.good + 1, last_at=seen.at, said=f"{seen.status or 'as expected'}")


def judged(
    proving: Proving, cause: str, before: Sequence[str], now: Diagnosis | None, faults: frozenset[str], lacks: str = ""
) -> Proof:
    """What was shown. before: causes that were named when the remedy began.   now: why it is not well, asked anew, or None.

    faults: names of causes that mean that something is wrong at all.   lacks: what is not well though it is seen up.
    """
    up = Criterion(
        name="up", met=proving.is_up and not lacks,
        said=lacks if proving.is_up and lacks
        else f"{proving.good} good looks, {proving.pace_s:g} s apart" if proving.is_up
        else f"{proving.good} of {LOOKS} good looks in a row, the last one saw {proving.said or 'nothing'}",
    )  # fmt: skip
    if now is None:
        return Proof(criteria=(up, Criterion(name="cause_gone", met=None, said="nobody could be asked")))
    named = [one for one in now.causes if one.cause in faults or one.cause not in before]
    same = next((one for one in named if one.cause == cause and one.sure >= 0.5), None)
    new = next((one for one in named if one.cause in faults and one.cause not in before and one.sure >= NEW_SURE), None)
    gone = Criterion(
        name="cause_gone",
        met=same is None,
        said=f"{cause} is still named" if same else f"{cause} is not found any more",
    )
    fresh = Criterion(
        name="nothing_new", met=new is None, said=f"{new.cause} is named now" if new else "nothing else is wrong"
    )
    return Proof(criteria=(up, gone, fresh))
