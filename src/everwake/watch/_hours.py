"""Carries out whose turn it is to rest (`rota`), and wakes a service, what it needs first, when somebody is about to use it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from everwake.fleet.schema import Fleet
from everwake.model import State
from everwake.ports import Clock
from everwake.watch import rota, words
from everwake.watch._kept import Kept

__all__ = ["HOLD_S", "Hours"]

# A page that is open says so every minute or so; this is also how long its services are held after it was closed.
HOLD_S = 600.0
# Somebody who asks again and again wakes it no sooner; outside its window much later, for looks would hold it awake.
AGAIN_S = 30.0
AGAIN_AT_REST_S = 600.0
SLACK_S = 30.0
_AWAKE = (State.UP, State.DEGRADED)


class Hours:
    """Of one keeper. kept: its services.   lie_down, rise: send nothing any more, or begin again.   look: one patient look."""

    def __init__(
        self,
        fleet: Fleet,
        kept: Mapping[str, Kept],
        clock: Clock,
        *,
        lie_down: Callable[[Kept], None],
        rise: Callable[[Kept], None],
        look: Callable[[Kept], Awaitable[object]],
        changed: Callable[[str], None],
    ) -> None:
        self.rota = rota.Rota()
        self._kept, self._clock, self._changed = kept, clock, changed
        self._lie_down, self._rise, self._look = lie_down, rise, look
        self._waking: set[str] = set()
        self._woken_s: dict[str, float] = {}
        self.take(fleet)

    def take(self, fleet: Fleet) -> None:
        """The fleet as it is from now on."""
        self._depends_on = {service.name: service.depends_on for service in fleet.services}
        self.rota.take(fleet.services, self._clock.now(), self._clock.monotonic())

    def rests(self, kept: Kept) -> bool:
        """Whether it is to be sent nothing now."""
        return self.rota.rests(kept.service.name)

    def pass_time(self, *, is_monitoring: bool) -> None:
        """Begin and end what is due."""
        for name in self.rota.due(self._clock.now(), self._clock.monotonic()):
            kept = self._kept.get(name)
            if kept is not None and is_monitoring:
                (self._lie_down if self.rests(kept) else self._rise)(kept)

    def told(self, name: str, runs: bool | None, stopped_by: tuple[str, ...]) -> None:
        """What its platform says of a service that rests. runs: an instance is up; None: nobody could ask."""
        kept = self._kept.get(name)
        if kept is None or not self.rests(kept) or kept.watch.state is not State.ASLEEP:
            return
        cause = words.resting(runs, stopped_by)
        if cause != kept.watch.cause:
            kept.watch = replace(kept.watch, cause=cause)
            self._changed(name)

    # --- somebody is about to need it ---------------------------------------------------------------------------------

    def use(self, name: str, hold_s: float, tasks: asyncio.TaskGroup) -> tuple[str, ...]:
        """Wake it and what it needs, in order; those that were not awake. Those on demand stay awake for `hold_s`."""
        now_s = self._clock.monotonic()
        needed = [self._kept[one] for one in rota.chain(name, self._depends_on) if one in self._kept]
        until_s = now_s + hold_s
        for kept in needed:
            if not self.rests(kept):
                self.rota.hold(kept.service.name, until_s)
        asleep = [kept for kept in needed if self.rests(kept) or kept.watch.state not in _AWAKE]
        wanted = [kept for kept in asleep if self._is_to_be_woken(kept, now_s)]
        if wanted:
            self._waking |= {kept.service.name for kept in wanted}
            tasks.create_task(self._in_order(wanted, until_s))
        return tuple(kept.service.name for kept in asleep)

    def _is_to_be_woken(self, kept: Kept, now_s: float) -> bool:
        name = kept.service.name
        again_s = AGAIN_AT_REST_S if self.rests(kept) and not self.rota.is_on_demand(name) else AGAIN_S
        return name not in self._waking and now_s - self._woken_s.get(name, float("-inf")) >= again_s

    async def _in_order(self, wanted: list[Kept], until_s: float) -> None:
        """Each when the one before it has answered, or was not to be woken: then what needs it has to live without."""
        names = {kept.service.name for kept in wanted}
        try:
            for kept in wanted:
                name = kept.service.name
                if self._kept.get(name) is not kept:
                    continue
                self._woken_s[name] = self._clock.monotonic()
                self.rota.hold(name, until_s)
                self.pass_time(is_monitoring=True)
                await _within(self._look(kept), kept.policy.wake_patience_s + SLACK_S, self._clock)
                self._waking.discard(name)
        finally:
            self._waking -= names


async def _within(work: Awaitable[object], seconds: float, clock: Clock) -> None:
    """Wait for `work`, but not for ever."""
    task = asyncio.ensure_future(work)

    def give_up() -> None:
        task.cancel()

    end = clock.call_at(clock.monotonic() + seconds, give_up)
    try:
        await asyncio.wait({task})
    finally:
        end()
        task.cancel()
