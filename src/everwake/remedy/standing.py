"""How repairs stand, for whoever asks: frozen values. Pure."""

from dataclasses import dataclass

from everwake.model import RemedyRun
from everwake.ports import Switch
from everwake.remedy.plan import Decision

__all__ = ["Planned", "Standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What would be done about a service if somebody said yes now. refused: why it would not be done all the same, or None."""

    decision: Decision
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How repairs stand for one service. run: the open remedy, else the last one that this keeper knows of.

    decision: what was decided last, None while it is well.   refused: why nothing is done about that, or None.
    """

    repair: str
    switch: Switch
    run: RemedyRun | None = None
    decision: Decision | None = None
    refused: str | None = None
