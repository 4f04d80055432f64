"""Quantiles of durations in a few bytes: counts in buckets that grow with the value. Pure.

A bucket is 1/32 of a power of two wide, so what is answered is within 1/64 (1.6 %) of the true value of that rank, and
below 64 units exact. Merging adds counts, so it is associative and commutative without any loss: hours make a day, and
days any span.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Sketch", "bucket_of", "middle_of"]

_EXACT = 64


def bucket_of(units: int) -> int:
    """The bucket that holds `units` >= 0."""
    shift = units.bit_length() - 6
    return units if shift <= 0 else (shift << 5) + (units >> shift)


def middle_of(bucket: int) -> float:
    """The middle of what a bucket holds."""
    if bucket < _EXACT:
        return float(bucket)
    shift = (bucket >> 5) - 1
    return (((bucket & 31) + 32) << shift) + ((1 << shift) - 1) / 2


@dataclass(frozen=True, slots=True)
class Sketch:
    """How often each bucket was met: (bucket, count) in rising order."""

    counts: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, units: Iterable[int]) -> "Sketch":
        """Of the values themselves."""
        return cls(tuple(sorted(Counter(map(bucket_of, units)).items())))

    @classmethod
    def merged(cls, sketches: Iterable["Sketch"]) -> "Sketch":
        """Of everything that these are of."""
        total: Counter[int] = Counter()
        for sketch in sketches:
            for bucket, count in sketch.counts:
                total[bucket] += count
        return cls(tuple(sorted(total.items())))

    @property
    def total(self) -> int:
        """How many values."""
        return sum(count for _, count in self.counts)

    def quantile(self, share: float) -> float | None:
        """The value that `share` (0.0-1.0) of all values do not exceed, or None of nothing."""
        rank = max(1, -int(-share * self.total // 1))
        for bucket, count in self.counts:
            rank -= count
            if rank <= 0:
                return middle_of(bucket)
        return middle_of(self.counts[-1][0]) if self.counts else None

    def encode(self) -> bytes:
        """As bytes: for each bucket its distance from the one before and its count, both as varints."""
        out, before = bytearray(), 0
        for bucket, count in self.counts:
            for number in (bucket - before, count):
                while number > 127:
                    out.append(number & 127 | 128)
                    number >>= 7
                out.append(number)
            before = bucket
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> "Sketch":
        """What `encode` made."""
        numbers: list[int] = []
        value = shift = 0
        for byte in data:
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                numbers.append(value)
                value = shift = 0
        counts, bucket = [], 0
        for distance, count in zip(numbers[::2], numbers[1::2], strict=True):
            bucket += distance
            counts.append((bucket, count))
        return cls(tuple(counts))
