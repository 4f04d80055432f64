"""The persistent lines of one keeper: held while their services are watched, made anew when those are back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from everwake.fleet.schema import Service
from everwake.model import Beat, BeatKind, Failure, FailureKind, Observation, Phase
from everwake.watch import view
from everwake.watch._kept import HEART, Kept

__all__ = ["Lines", "seen_of"]

_SILENT = {
    BeatKind.CLOSED: Failure(kind=FailureKind.LINE_CLOSED, phase=Phase.BEAT),
    BeatKind.FAILED: Failure(kind=FailureKind.LINE_CLOSED, phase=Phase.BEAT),
    BeatKind.MISSED: Failure(kind=FailureKind.BEAT_MISSED, phase=Phase.BEAT),
}


class Lines:
    """kept: the keeper's services.   follow: holds one line (`Eyes.follow`).   felt: called with what happens on it."""

    def __init__(
        self,
        kept: Mapping[str, Kept],
        follow: Callable[[Service], AsyncIterator[Beat]],
        felt: Callable[[Kept, Beat], None],
    ) -> None:
        self._kept, self._follow, self._felt = kept, follow, felt

    def hold(self, kept: Kept, tasks: asyncio.TaskGroup | None) -> None:
        """Make the line of a service that has one, unless it is held already or the service rises first."""
        if kept.service.heartbeat and kept.line is None and tasks is not None and not kept.rises:
            kept.line = tasks.create_task(self._hold(kept, kept.service))

    def hold_anew(self, kept: Kept, tasks: asyncio.TaskGroup | None) -> None:
        """It is back: its line is made now, and not when a pause that grew while it was away is over."""
        kept.rises = False
        if kept.heart is not None and not kept.heart.connected and tasks is not None:
            self.let_go(kept)
            kept.line = tasks.create_task(self._hold(kept, kept.service))

    def let_go(self, kept: Kept) -> None:
        """Hang up; it may be held again."""
        if kept.line is not None:
            kept.line.cancel()
            kept.line = None
        if kept.heart is not None and kept.heart.connected:
            kept.heart = replace(kept.heart, connected=False)

    def change(self, kept: Kept, old: Service) -> None:
        """Another description of the service: a line that leads elsewhere now, or beats otherwise, is another one."""
        new = kept.service
        if (old.url, old.heartbeat, old.heartbeat_every_s) != (new.url, new.heartbeat, new.heartbeat_every_s):
            self.let_go(kept)
            kept.heart = view.Heart() if new.heartbeat else None

    async def _hold(self, kept: Kept, service: Service) -> None:
        async for beat in self._follow(service):
            if self._kept.get(service.name) is not kept or kept.heart is None:
                return
            self._felt(kept, beat)


def seen_of(beat: Beat) -> Observation:
    """What happened on a line, as what a check saw."""
    failure = beat.failure or _SILENT.get(beat.kind)
    took_s = beat.took_s or 0.0 if failure is None else 0.0
    return Observation(service=beat.service, check=HEART, at=beat.at, took_s=took_s, failure=failure)
