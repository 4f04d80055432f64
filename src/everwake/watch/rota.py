"""Whose turn it is to rest: by its window, or on demand while nobody uses it. Pure; both clocks come in as arguments.

A window is wall time, so it is asked for by the wall clock and follows it wherever it jumps. How long somebody uses a service is
counted in monotonic seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from everwake.fleet import windows
from everwake.fleet.schema import Service

__all__ = ["Rota", "Turn", "chain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How it is with one service now. rests: it is to be sent nothing.   until: when its window changes that, if one does."""

    rests: bool
    until: datetime | None = None


class Rota:
    """Every service that is not meant to be awake always. `due` has to be asked again and again."""

    def __init__(self) -> None:
        self._plans: dict[str, str] = {}
        self._turns: dict[str, Turn] = {}
        self._held_until_s: dict[str, float] = {}
        self._next: datetime | None = None
        self._is_stale = False

    def take(self, services: Iterable[Service], now: datetime, now_s: float) -> None:
        """The fleet as it is from now on. Who is in use stays so."""
        self._plans = {one.name: one.awake for one in services if one.awake != windows.ALWAYS}
        self._held_until_s = {name: until_s for name, until_s in self._held_until_s.items() if name in self._plans}
        self._turns = {name: self._turn(name, now, now_s) for name in self._plans}
        self._count()

    def rests(self, name: str) -> bool:
        """Whether it is to be sent nothing now."""
        turn = self._turns.get(name)
        return turn is not None and turn.rests

    def turn(self, name: str) -> Turn:
        """How it is with that service."""
        return self._turns.get(name, _AWAKE)

    def is_on_demand(self, name: str) -> bool:
        """Whether it is awake only while somebody uses it."""
        return self._plans.get(name) == windows.ON_DEMAND

    def hold(self, name: str, until_s: float) -> None:
        """Somebody uses it until then (monotonic), or longer. Counts for a service on demand; a window is not stretched."""
        if self.is_on_demand(name):
            self._held_until_s[name] = max(until_s, self._held_until_s.get(name, until_s))

    def jumped(self) -> None:
        """The wall clock was put forward or back: every window is asked for again."""
        self._is_stale = True

    def due(self, now: datetime, now_s: float) -> tuple[str, ...]:
        """Whose rest begins or ends now, in the order of the fleet."""
        if not self._turns:
            return ()
        is_late = self._is_stale or (self._next is not None and now >= self._next)
        if not is_late and not self._held_until_s:
            return ()
        changed = []
        for name, before in self._turns.items():
            if name in self._held_until_s or self._is_stale or (before.until is not None and now >= before.until):
                after = self._turns[name] = self._turn(name, now, now_s)
                if after.rests is not before.rests:
                    changed.append(name)
        self._held_until_s = {name: until_s for name, until_s in self._held_until_s.items() if until_s > now_s}
        self._is_stale = False
        self._count()
        return tuple(changed)

    def _turn(self, name: str, now: datetime, now_s: float) -> Turn:
        plan = self._plans[name]
        if plan == windows.ON_DEMAND:
            return Turn(rests=self._held_until_s.get(name, now_s) <= now_s)
        return Turn(rests=not windows.is_awake(plan, now), until=windows.next_change(plan, now))

    def _count(self) -> None:
        self._next = min((turn.until for turn in self._turns.values() if turn.until is not None), default=None)


_AWAKE = Turn(rests=False)


def chain(name: str, depends_on: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """`name` and everything it needs, what is needed before who needs it; a loop in the file ends where it began."""
    order: list[str] = []
    todo: list[tuple[str, bool]] = [(name, False)]
    seen: set[str] = set()
    while todo:
        one, is_done = todo.pop()
        if is_done:
            order.append(one)
        elif one not in seen:
            seen.add(one)
            todo.append((one, True))
            todo += [(other, False) for other in reversed(tuple(depends_on.get(one, ())))]
    return tuple(order)
