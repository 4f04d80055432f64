"""The diagnosis of logs: 10,000 lines in one go, and 1, 10 and 100 MB for its course, beside the bare reading of the same lines.

python bench/diagnose.py [--full]     without --full the largest log is 20 MB
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterator

from everwake.diagnose import _registry
from everwake.diagnose._masking import quote
from everwake.diagnose.engine import rank
from everwake.diagnose.facts import Facts
from everwake.diagnose.log.reader import read

WANTED_MS = 200.0
_LINES = (
    '2026-02-24T18:{m:02}:31.154789Z INFO:     203.0.113.7:0 - "GET /api/v1/items/{n} HTTP/1.1" 200 OK',
    "2026-02-24T18:{m:02}:31.154789Z DEBUG handled request {n} of user u{n} in 32 ms",
    '2026-02-24T18:{m:02}:31.154789Z {{"level":"info","message":"[AI_ORCHESTRATOR] Message sent to AI successfully","n":{n}}}',
    "2026-02-24T18:{m:02}:31.154789Z WARN cache miss for key item:{n}, reading from the store",
    "2026-02-24T18:{m:02}:31.154789Z [SESSION] Created session s{n} with response limit: 20",
)
_OPENINGS = '(((("://@:=' * 400
_BAD = (
    "2026-02-24T18:{m:02}:31.154789Z redis.exceptions.ConnectionError: Error 111 connecting to red-{n}:6379.",
    "2026-02-24T18:{m:02}:31.154789Z Traceback (most recent call last):",
    "2026-02-24T18:{m:02}:31.154789Z ==> No open ports detected, continuing to scan...",
)


def log(size: int, *, lines: int | None = None) -> Iterator[str]:
    """A log of about so many bytes, or exactly so many lines: one in twenty says something notable. Made while it is read."""
    made = n = 0
    while made < size if lines is None else n < lines:
        line = (_BAD[n // 20 % len(_BAD)] if n % 20 == 7 else _LINES[n % len(_LINES)]).format(n=n, m=n // 1000 % 60)
        made += len(line) + 1
        n += 1
        yield line


def hostile(size: int) -> Iterator[str]:
    """Lines that are notable all over and never fit: openings without ends, 5 KB each, no two alike."""
    made = n = 0
    while made < size:
        line = f"{n} error error: connection refused port status 1 {_OPENINGS}{'a' * 400}!{n}"
        made += len(line) + 1
        n += 1
        yield line


def diagnosed(lines: Iterator[str]) -> str:
    """What comes first."""
    facts = Facts(platform="render", log=read(lines, quote))
    return rank(facts, _registry.rules()).causes[0].cause


def peak_mb(make: Callable[[int], Iterator[str]], size: int) -> float:
    """Most memory that the reading of so many megabytes holds at once."""
    tracemalloc.start()
    read(make(size * 1_000_000), quote)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    arguments, _ = parser.parse_known_args()
    _registry.rules()
    ten_thousand = list(log(0, lines=10_000))
    best_ms = 1e9
    for _ in range(5):
        began = time.perf_counter()
        cause = diagnosed(iter(ten_thousand))
        best_ms = min(best_ms, (time.perf_counter() - began) * 1000)
    print(f"10,000 lines: {best_ms:.0f} ms, {cause} first (wanted at most {WANTED_MS:.0f} ms)")
    megabytes = (1, 10, 100) if arguments.full else (1, 5, 20)
    for name, make in (("log", log), ("hostile", hostile)):
        per_mb = []
        for size in megabytes:
            began = time.perf_counter()
            for _ in make(size * 1_000_000):
                pass
            floor_s = time.perf_counter() - began
            began = time.perf_counter()
            found = read(make(size * 1_000_000), quote)
            took_s = time.perf_counter() - began
            per_mb.append(took_s / size)
            print(
                f"{name:<8} {size:>3} MB: {took_s:6.2f} s, {took_s / floor_s:4.1f} x bare reading, {found.lines} lines, "
                f"{len(found.signs)} signs kept"
            )
        small, large = (peak_mb(make, size) for size in (1, 10))
        print(
            f"{name:<8} time a megabyte, largest over smallest log: {per_mb[-1] / per_mb[0]:.2f} (1 is linear); "
            f"memory at most {small:.1f} MB for 1 MB, {large:.1f} MB for 10 MB"
        )


if __name__ == "__main__":
    main()
