"""`everwake doctor .env` beside a bare `python -c "import typer"`: at most 1.3 times that plus 50 ms; then large files.

Whole processes, interleaved, byte code cached as any installed program has it; medians, min-max. Judged are the fastest rounds:
what else runs on the machine only adds. Then files of 1,000 to 100,000 lines in this process: the time must grow as the lines do.

python bench/doctor.py [--quick|--full]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from everwake.doctor.examination import examine

FILE = """\
BACKEND_CORS_ORIGINS=["https://blabinn-frontend.onrender.com", "https://blabbin-backend-rsss.onrender.com"] -rsss
REDIS_URL=redis://default:password1@apn1-happy-cat-12345.upstash.io:6379
DEBUG=true
ENVIRONMENT=production
HOST=0.0.0.0
LOG_LEVEL=INFO
OPENAI_API_KEY=your_openai_api_key_here
PORT=8000
PYTHON_VERSION=3.11.9
"""
FACTOR, EXTRA_S = 1.3, 0.050
GROWTH = 2.0  # a tenfold file may take at most this much more than tenfold


def once(command: list[str], folder: str, env: dict[str, str]) -> float:
    """Seconds from spawn to end."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - began


def shown(name: str, times: list[float]) -> str:
    """Median and range in ms."""
    low, middle, high = (1000 * one for one in (min(times), statistics.median(times), max(times)))
    return f"{name:<28} {middle:7.1f} ms   ({low:.1f}-{high:.1f})"


def startup(rounds: int) -> bool:
    """The command beside its floor."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ".env").write_text(FILE)
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = str(Path(folder, "cache"))
        commands = {
            "python -c 'import typer'": [sys.executable, "-c", "import typer"],
            "everwake doctor .env": [sys.executable, "-m", "everwake", "doctor", ".env"],
            "python -c pass": [sys.executable, "-c", "pass"],
        }
        for command in commands.values():
            once(command, folder, env)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(once(command, folder, env))
    for name, each in times.items():
        print(shown(name, each))
    floor, doctor, _ = (min(each) for each in times.values())
    allowed = FACTOR * floor + EXTRA_S
    print(
        f"allowed: {FACTOR} x {1000 * floor:.1f} + {1000 * EXTRA_S:.0f} = {1000 * allowed:.1f} ms; it took {1000 * doctor:.1f}"
    )
    return doctor <= allowed


def growth(sizes: tuple[int, ...]) -> bool:
    """The same work on files ten times as large."""
    is_linear, before = True, 0.0
    for lines in sizes:
        text = "".join(f"KEY_{n}=value # {n}\nURL_{n}=http://my-api.onrender.com/{n}\n" for n in range(lines // 2))
        began = time.perf_counter()
        found = examine(text, {"environment": "production"})
        took = time.perf_counter() - began
        print(f"{lines:>8,} lines: {1000 * took:9.1f} ms, {1e6 * took / lines:6.1f} us a line, {len(found):,} findings")
        is_linear = is_linear and (not before or took <= before * 10 * GROWTH)
        before = took
    return is_linear


def main() -> int:
    """Both, and whether the figures are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    is_quick_enough = startup(40 if options.full else 15)
    is_linear = growth((1_000, 10_000, 100_000) if options.full else (1_000, 10_000))
    return 0 if is_quick_enough and is_linear else 1


if __name__ == "__main__":
    sys.exit(main())
