"""How much of a span a service was up, from its transitions and from when a keeper was there to see. Pure; integer times.

Counted as up: `up` and `degraded`. Counted as not up: `down` and `waking`. Everything else is left out of the sum: `paused`,
`asleep` (on purpose), `unknown`, the time before the first look, and the time in which no keeper ran.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from everwake.model import State

__all__ = ["Course", "shares"]

_UP = frozenset({State.UP, State.DEGRADED})
_NOT_UP = frozenset({State.DOWN, State.WAKING})
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Course:
    """What one service went through. first: how it stood before `changes`, which are (time, state from then on) in the order
    in which they happened; a time that goes back (the clock was corrected) counts as the one before it."""

    first: State
    changes: Sequence[tuple[int, State]] = ()


def shares(course: Course, runs: Iterable[Span], spans: Sequence[Span]) -> list[float | None]:
    """For each span (from, until) the share of it that the service was up, 0.0-1.0, or None where nothing is known.

    runs: when a keeper was there, by their beginnings.
    """
    counted = _counted(course, _merged(runs))
    ends, known, up = [0], [0], [0]
    begins = [0]
    for begin, end, is_up in counted:
        begins.append(begin)
        ends.append(end)
        known.append(known[-1] + end - begin)
        up.append(up[-1] + (end - begin if is_up else 0))

    def until(time: int) -> Span:
        at = bisect_right(begins, time) - 1
        if at <= 0:
            return 0, 0
        over = max(0, ends[at] - time)
        return known[at] - over, up[at] - (over if counted[at - 1][2] else 0)

    answer: list[float | None] = []
    for begin, end in spans:
        (known_then, up_then), (known_now, up_now) = until(begin), until(end)
        seen = known_now - known_then
        answer.append((up_now - up_then) / seen if seen > 0 else None)
    return answer


def _merged(runs: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for begin, end in sorted(runs):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > begin:
            merged.append((begin, end))
    return merged


def _counted(course: Course, runs: list[Span]) -> list[tuple[int, int, bool]]:
    """(from, until, was up) of everything that counts, in order and without overlap."""
    if not runs:
        return []
    horizon = runs[-1][1]
    counted: list[tuple[int, int, bool]] = []
    state, begin, run = course.first, runs[0][0], 0
    for time, new in (*course.changes, (horizon, course.first)):
        end = min(max(time, begin), horizon)
        if state in _UP or state in _NOT_UP:
            while run < len(runs) and runs[run][1] <= begin:
                run += 1
            at = run
            while at < len(runs) and runs[at][0] < end:
                part = max(begin, runs[at][0]), min(end, runs[at][1])
                if part[1] > part[0]:
                    counted.append((*part, state in _UP))
                at += 1
        begin, state = end, new
    return counted
