"""Run every benchmark beside its floor and write what came out, with machine and versions, to bench/RESULTS.md.

python bench/run.py                 all of them, in short
python bench/run.py --full          in full, as RESULTS.md is made
python bench/run.py keepalive       only some
"""

import argparse
import ast
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PACKAGES = (
    "uvicorn",
    "fastapi",
    "starlette",
    "websockets",
    "uvloop",
    "httptools",
    "openai",
    "firebase_admin",
    "redis",
    "aiohttp",
)
LONGEST_S = 1800
HEAD = """\
# Results

What the scripts here printed, each beside its floor or a peer in the same run. Ratios count; absolute figures are the machine's.
`make bench` runs them in short; `python bench/run.py --full --write` makes this file anew.
"""


def benchmarks() -> dict[str, Path]:
    """Every script here but this one: name -> path."""
    return {
        path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem != "run" and not path.stem.startswith("_")
    }


def first_line(path: Path) -> str:
    """What the script says it measures."""
    return (ast.get_docstring(ast.parse(path.read_text())) or path.stem).splitlines()[0]


def machine() -> str:
    """Cores, memory and versions, in one paragraph."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; {versions}."
    )


def today() -> str:
    """The day, for the record."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def written() -> dict[str, str]:
    """The sections that RESULTS.md holds already, by name."""
    if not RESULTS.exists():
        return {}
    _, *found = RESULTS.read_text().split("\n## ")
    return {section.partition("\n")[0]: f"## {section.rstrip()}\n" for section in found}


def shown(command: list[str], env: dict[str, str]) -> tuple[list[str], int]:
    """Run it and show what it prints as it comes: its lines and its exit status."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        return lines, process.wait(LONGEST_S)


def main() -> int:
    """Run, show as it goes, then write."""
    known = benchmarks()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"some of: {', '.join(known)}")
    parser.add_argument("--full", action="store_true", help="the full sizes and all rounds")
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="first the soak tests, N kills each")
    parser.add_argument("--write", action="store_true", help="write what came out to RESULTS.md")
    options = parser.parse_args()
    unknown = set(options.only) - set(known)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}")

    sections, failed = written(), []
    if options.soak:
        print("\n== soak: processes killed by the hundred", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-m", "soak", "--timeout", "3600", "tests"]
        lines, status = shown(command, {**os.environ, "SOAK": str(options.soak)})
        failed += ["soak"] if status else []
        sections["soak"] = (
            f"## soak\n\nProcesses killed at random moments, {options.soak} times in each test that is marked `soak`.\n"
            f"`SOAK={options.soak} pytest -m soak`, {today()}: {machine()}\n\n```text\n{''.join(lines[-3:]).strip()}\n```\n"
        )
    for name in options.only or ([] if options.soak and not options.full else known):
        print(f"\n== {name}: {first_line(known[name])}", flush=True)
        command = [sys.executable, str(known[name]), *([] if options.full else ["--quick"])]
        lines, status = shown(command, dict(os.environ))
        failed += [name] if status else []
        how = "python bench/" + known[name].name + ("" if options.full else " --quick")
        sections[name] = (
            f"## {name}\n\n{first_line(known[name])}\n`{how}`, {today()}: {machine()}\n\n"
            f"```text\n{''.join(lines).strip()}\n```\n"
        )
    if options.write:
        RESULTS.write_text("\n".join([HEAD, *(sections[name] for name in sorted(sections))]))
        print(f"\nwritten: {RESULTS.relative_to(HERE.parent)}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
