"""What went through the edge for one service: the source of the platform's bandwidth and request metrics."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Tally", "Traffic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Since the edge was made; only ever more. bytes_out: sent to clients, heads and WebSocket bytes too.

    requests: heads that were understood, also of those that got no answer.   statuses: answers by status, the edge's own too.
    """

    requests: int = 0
    bytes_out: int = 0
    statuses: Mapping[int, int] = field(default_factory=dict)


class Tally:
    """The running count behind a `Traffic`."""

    __slots__ = ("bytes_out", "requests", "statuses")

    def __init__(self) -> None:
        self.requests = 0
        self.bytes_out = 0
        self.statuses: Counter[int] = Counter()

    def snapshot(self) -> Traffic:
        """As it is now."""
        return Traffic(requests=self.requests, bytes_out=self.bytes_out, statuses=dict(self.statuses))
