"""What the keeper records, on its way to the history: counted, and each notice made one for every channel."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from everwake.model import Beat, LogLine, Observation, Transition
from everwake.notify.channel import Channel
from everwake.notify.deliver import per_channel
from everwake.ports import Notice, Recorder, Standing

__all__ = ["Recording"]


class Recording:
    """A `ports.Recorder` in front of the history's. noticed: called when something was put into the outbox.

    looks, failed: totals by service since the keeper started.
    """

    def __init__(self, recorder: Recorder, channels: Sequence[Channel], noticed: Callable[[], None]) -> None:
        self.channels = tuple(channels)
        self.looks: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._recorder, self._noticed = recorder, noticed

    def looked(self, seen: Sequence[Observation]) -> None:
        """Observations of one tick."""
        for one in seen:
            self.looks[one.service] += 1
            if one.failure is not None:
                self.failed[one.service] += 1
        self._recorder.looked(seen)

    def moved(self, move: Transition, standing: Standing, notices: Iterable[Notice] = ()) -> None:
        """A transition; its notices go to every channel there is now."""
        told = per_channel(notices, self.channels)
        self._recorder.moved(move, standing, told)
        if told:
            self._noticed()

    def beat(self, beat: Beat) -> None:
        """An event of a heartbeat."""
        self._recorder.beat(beat)

    def said(self, line: LogLine) -> None:
        """A line of the activity log."""
        self._recorder.said(line)

    @property
    def trouble(self) -> str | None:
        """Of the history."""
        return self._recorder.trouble
