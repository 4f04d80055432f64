"""The keeper's history: observations a second into SQLite, bytes each on disk, and what the page asks of 90 days.

Every figure stands beside its floor, measured in the same round: for writing, plain sqlite3 executemany of the same packed
rows in one transaction per 20,000; for reading, plain sqlite3 fetching the same rows and doing nothing with them.

python bench/history.py [--quick]
"""

import argparse
import gc
import random
import sqlite3
import statistics
import tempfile
import time
from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from everwake.history import History, Resolution, queries
from everwake.history import statements as sql
from everwake.history._upkeep import cell_of, day_key, merged, packed
from everwake.history._writes import ROLLED
from everwake.history.packing import SLOTS, cell_bytes, day_of, look_ms, pack_key, pack_value, to_us, write_slots
from everwake.model import Observation, Phase, State, Transition
from everwake.ports import Standing

SERVICES = 1_000
PHASES = {Phase.DNS: 0.001, Phase.CONNECT: 0.01, Phase.TLS: 0.02, Phase.FIRST_BYTE: 0.1, Phase.TRANSFER: 0.001}
HEADERS = {"server": "bench", "x-render-origin-server": "Render", "x-request-id": "0123456789"}
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Clock:
    """Real monotonic time, a wall time that stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return time.perf_counter()

    def call_at(self, when_s: float, call: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def looks(count: int, every_s: float) -> list[Observation]:
    """As they come: round by round, each service in its own turn, with a little jitter."""
    dice, rounds = random.Random(1), count // SERVICES
    begin = NOW - timedelta(seconds=rounds * every_s)
    names = [f"service-{n:04d}" for n in range(SERVICES)]
    return [
        Observation(
            service=name, check="http", status=200, took_s=dice.lognormvariate(-1.5, 0.4), phases=PHASES, headers=HEADERS,
            at=begin + timedelta(seconds=turn * every_s + (n + dice.random()) * every_s / SERVICES),
        )
        for turn in range(rounds)
        for n, name in enumerate(names)
    ]  # fmt: skip


def size(path: Path) -> int:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.stat().st_size


def write_all(folder: Path, seen: list[Observation]) -> tuple[float, float]:
    """(seconds from the first `looked` until everything is committed, bytes each)."""
    history = History(folder / "ours.sqlite3", Clock())
    history.open()
    history.looked(seen[:SERVICES])  # names and tables exist, as after the first minute of a keeper
    history.flush()
    empty = size(folder / "ours.sqlite3")
    gc.collect()
    began_s = time.perf_counter()
    for start in range(SERVICES, len(seen), 100):
        while history.waiting > 40_000:
            time.sleep(0.001)
        history.looked(seen[start : start + 100])
    history.flush(60)
    took_s = time.perf_counter() - began_s
    assert history.lost == 0
    history.close()
    return took_s, (size(folder / "ours.sqlite3") - empty) / (len(seen) - SERVICES)


def write_floor(folder: Path, seen: list[Observation]) -> float:
    """Seconds for the bare rows, already packed."""
    number = {f"service-{n:04d}": n for n in range(SERVICES)}
    rows = [
        (pack_key(number[s.service], look_ms(s.at)), pack_value(s.took_s, s.status, failed=False))
        for s in seen[SERVICES:]
    ]
    connection = sqlite3.connect(folder / "floor.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE looks (key INTEGER PRIMARY KEY, value INTEGER NOT NULL)")
    began_s = time.perf_counter()
    for start in range(0, len(rows), 20_000):
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO looks VALUES (?, ?)", rows[start : start + 20_000])
        connection.execute("COMMIT")
    took_s = time.perf_counter() - began_s
    connection.close()
    return took_s


def one_by_one(folder: Path, seen: list[Observation]) -> float:
    """Bytes each when every 20 looks are a commit of their own, as a keeper of this size writes."""
    history = History(folder / "slow.sqlite3", Clock())
    history.open()
    history.looked(seen[:SERVICES])
    history.flush()
    empty = size(folder / "slow.sqlite3")
    for start in range(SERVICES, len(seen), 20):
        history.looked(seen[start : start + 20])
        history.flush()
    history.close()
    return (size(folder / "slow.sqlite3") - empty) / (len(seen) - SERVICES)


def fill(path: Path, days: int) -> History:
    """A history of `days` days of every service, as upkeep leaves it, and 50 transitions each."""
    history = History(path, Clock())
    history.open()
    dice = random.Random(2)
    begin = NOW - timedelta(days=days)
    names = [f"service-{n:04d}" for n in range(SERVICES)]
    for name in names:
        state, at = State.UNKNOWN, begin
        for _ in range(11):
            new = State.DOWN if state is State.UP else State.UP
            history.moved(
                Transition(service=name, old=state, new=new, at=at), Standing(service=name, state=new, since=at)
            )
            state, at = new, at + timedelta(hours=dice.uniform(1, days * 24 / 12))
        history.looked([Observation(service=name, check="http", at=NOW - timedelta(minutes=1), took_s=0.2, status=200)])
    history.flush(60)
    values = [pack_value(dice.lognormvariate(-1.5, 0.4), 200, failed=False) for _ in range(20)]
    cell, sketch = cell_of(values, 0.9999)
    whole, whole_sketch = merged([cell] * SLOTS, [sketch] * SLOTS, 0.9999)

    def put(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM runs")
        connection.execute(sql.ADD_RUN, (to_us(begin), to_us(NOW)))
        first = day_of(begin)
        for day in range(first, day_of(NOW)):
            connection.executemany(
                sql.PUT_ROLLED,
                [(day_key(n, day), cell_bytes(cell) * SLOTS, cell_bytes(whole)) for n in range(1, SERVICES + 1)],
            )
            connection.executemany(
                sql.PUT_SKETCHES,
                [
                    (day_key(n, day), write_slots([sketch.encode()] * SLOTS), whole_sketch.encode())
                    for n in range(1, SERVICES + 1)
                ],
            )
            connection.execute(sql.PUT_DAY, (day, packed(array("I", [999_999_000] * (SERVICES + 1)))))
        connection.execute(sql.HOLD_BACK, (ROLLED, day_of(NOW) * SLOTS + 12))
        connection.execute(sql.HOLD_BACK, ("days", day_of(NOW)))

    history._writer.hand(put).result()
    return history


def timed(run: Callable[[], object]) -> float:
    gc.collect()
    began_s = time.perf_counter()
    run()
    return time.perf_counter() - began_s


def row(name: str, target: str, ours: list[float], floor: list[float], unit: str, scale: float = 1.0) -> None:
    def shown(values: list[float]) -> str:
        scaled = [value * scale for value in values]
        return f"{statistics.median(scaled):>12,.2f} ({min(scaled):,.2f} - {max(scaled):,.2f})"

    ratio = f"{statistics.median(ours) / statistics.median(floor):.2f} x" if floor else ""
    print(
        f"{name:<44} {target:>10}  {shown(ours):<38} {unit:<5} {'floor ' + shown(floor) if floor else '':<44} {ratio}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rounds, count = (2, 200_000) if quick else (5, 400_000)
    seen = looks(count, every_s=60.0)
    wrote, bare, each = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            took_s, bytes_each = write_all(Path(name), seen)
            wrote.append((count - SERVICES) / took_s)
            each.append(bytes_each)
            bare.append((count - SERVICES) / write_floor(Path(name), seen))
    row("observations a second", ">= 300,000", wrote, bare, "/s")
    row("bytes each, in large groups", "<= 20", each, [], "bytes")
    with tempfile.TemporaryDirectory() as name:
        row("bytes each, a commit for every 20", "<= 20", [one_by_one(Path(name), looks(100_000, 180.0))], [], "bytes")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "history.sqlite3"
        history = fill(path, 90)
        connection = sqlite3.connect(path, isolation_level=None)
        first, last = day_of(NOW) - 89, day_of(NOW)
        since = NOW - timedelta(days=90)
        page, page_floor, hours, hours_floor, ups = [], [], [], [], []
        span = day_key(500, first), day_key(500, last)
        for _ in range(rounds * 5):
            page.append(timed(lambda: queries.days(connection, NOW, 90)))
            page_floor.append(timed(lambda: connection.execute(sql.DAYS, (first, last)).fetchall()))
            hours.append(
                timed(
                    lambda: queries.rollups(
                        connection, "service-0499", Resolution.HOUR, since=since, until=NOW, now=NOW
                    )
                )
            )
            hours_floor.append(timed(lambda: connection.execute(sql.ROLLED_HOURS, span).fetchall()))
            ups.append(timed(lambda: queries.uptimes(connection, NOW)))
        row("page: 90 days of 1,000 services", "<= 50 ms", page, page_floor, "ms", 1_000)
        row("90 days of hours of one service", "<= 2 ms", hours, hours_floor, "ms", 1_000)
        row("uptimes of 1,000 services, 4 spans each", "", ups, [], "ms", 1_000)
        connection.close()
        history.close()
        print(f"90 days of roll-ups for ever: {size(path) / SERVICES / 90:,.0f} bytes for a service and day")


if __name__ == "__main__":
    main()
