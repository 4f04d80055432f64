"""kill -9 at any moment: what was said to be safe is there exactly once, and incidents and alerts agree."""

import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("SOAK", "10"))


def run_until_killed(path: Path, number: int, after_lines: int, after_s: float) -> list[int]:
    """The numbers that the process said are safe."""
    command = [sys.executable, "-m", "tests.everwake.history.killed", str(path), str(number)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            said = [process.stdout.readline() for _ in range(after_lines)]
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(after_s)  # anywhere in what it does next
        finally:
            process.kill()
        said += process.stdout.readlines()
    return [int(word) for line in said if line.endswith("\n") for word in line.split()]


def check(path: Path, safe: list[int]) -> int:
    """Everything that must hold, read without any of our code; the highest number that is stored."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    moves = connection.execute("SELECT service, old, new, cause FROM transitions ORDER BY id").fetchall()
    times = Counter(int(cause) for *_, cause in moves)
    assert set(times.values()) <= {1}, "stored twice"
    assert set(safe) <= set(times), "said to be safe and not there"
    last: dict[int, str] = {}
    for service, old, new, _ in moves:
        assert old == last.get(service, "unknown"), "a gap in the chain"
        last[service] = new
    assert dict(connection.execute("SELECT service, state FROM standings").fetchall()) == last
    incidents = connection.execute("SELECT id, service, closed_us, told FROM incidents").fetchall()
    opened = Counter(service for _, service, closed_us, _ in incidents if closed_us is None)
    assert all(count == 1 for count in opened.values()), "two open incidents of one service"
    for service, state in last.items():
        assert not (state == "down" and not opened[service]), "down and no incident"
        assert not (state == "up" and opened[service]), "up and an open incident"
    keys = {f"{number}:opened" for number, *_ in incidents} | {
        f"{row[0]}:closed" for row in incidents if row[2] is not None
    }
    outbox = [key for (key,) in connection.execute("SELECT key FROM notices").fetchall()]
    assert sorted(outbox) == sorted(keys), "incidents and alerts do not agree"
    assert all(was_told for *_, was_told in incidents)
    connection.close()
    return max(times, default=0)


@pytest.mark.soak
@pytest.mark.timeout(60 + 10 * KILLS)
def test_a_killed_keeper_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path, dice, number, safe = tmp_path / "history.sqlite3", random.Random(7), 0, list[int]()
    for kill in range(KILLS):
        safe += run_until_killed(path, number, after_lines=dice.randrange(6), after_s=dice.uniform(0.0, 0.15))
        # One keeper after the other: some find a journal that is not yet in the file, some a file that was just tidied.
        number = max(check(path, safe), *safe, number) + 1
        assert kill < 3 or safe
