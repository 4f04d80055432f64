"""The diagnosis against real cases: how often the right cause comes first, for http, log and facts.

Reads ../shared/corpus beside the checkout (or the folder given) when it is there; the rules carry their own examples, so the
tests need none of it. `--misses` prints what was missed.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from everwake.diagnose import diagnose
from everwake.diagnose.documents import facts_of

BESIDE = Path(__file__).parents[2] / "shared" / "corpus"
WANTED = {"http": 0.97, "log": 0.90, "facts": 0.97}


def cases(path: Path) -> Iterator[dict[str, Any]]:
    """One case a line."""
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def first_cause(case: dict[str, Any]) -> tuple[str, float]:
    """What comes first, `healthy` when nothing is wrong."""
    found = diagnose(facts_of(case["facts"]))
    return (found.causes[0].cause, found.causes[0].sure) if found.causes else ("healthy", 1.0)


def main() -> None:
    """Print the score, one line a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=BESIDE)
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--quick", action="store_true", help="ignored: it is quick")
    arguments, _ = parser.parse_known_args()
    if not arguments.folder.is_dir():
        print("the corpus is not beside the checkout; nothing was scored")
        return
    for name, wanted in WANTED.items():
        right = total = exact = 0
        missed = []
        for case in cases(arguments.folder / f"{name}.jsonl"):
            cause, sure = first_cause(case)
            total += 1
            exact += cause == case["truth"]
            if cause in (case["truth"], *case.get("also_acceptable", ())):
                right += 1
            else:
                missed.append(
                    f"  {case['facts']['id']}: said {cause} ({sure:.2f}), was {case['truth']} {case.get('also_acceptable', '')}"
                )
        print(
            f"{name:<6} {right}/{total} right first: {right / total:.1%} (wanted {wanted:.0%}); {exact} say the truth itself"
        )
        if arguments.misses:
            print(*missed, sep="\n")


if __name__ == "__main__":
    main()
