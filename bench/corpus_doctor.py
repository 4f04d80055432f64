"""The doctor's score on the corpus of real cases: problems found with the right key, and false alarms on healthy sets.

The corpus lies beside the checkout (../shared/corpus/env.jsonl) and is not part of it; without it there is nothing to score.

python bench/corpus_doctor.py [--quick|--full] [--all] [FILE]
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from everwake.doctor.examination import examine
from everwake.model import VariableProblem

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "env.jsonl"
WANTED = 0.95


def cases(path: Path) -> Iterator[dict[str, Any]]:
    """One case a line."""
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def seen(facts: dict[str, Any]) -> tuple[VariableProblem, ...]:
    """What the doctor says of the facts of one case."""
    context = {"platform": facts.get("platform", ""), **(facts.get("context") or {})}
    return examine(facts["dotenv"] if "dotenv" in facts else facts["variables"], context)


def is_found(truth: dict[str, str], found: tuple[VariableProblem, ...], also: list[str]) -> bool:
    """Whether the right name, or one that must not be counted as wrong, stands at the right key."""
    return any(each.key == truth["key"] and each.problem in (truth["problem"], *also) for each in found)


def main() -> int:
    """Score, print the misses, say whether it is enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=BESIDE)
    parser.add_argument("--all", action="store_true", help="also what was found beyond the truth")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    if not options.file.exists():
        print("no corpus beside the checkout (../shared/corpus/env.jsonl): nothing to score")
        return 0
    wanted = exact = hit = healthy = alarms = beyond = 0
    for case in cases(options.file):
        found, name = seen(case["facts"]), case["facts"]["id"]
        also = case.get("also_acceptable", [])
        for truth in case["truth"]:
            wanted += 1
            exact += is_found(truth, found, [])
            hit += is_found(truth, found, also)
            if not is_found(truth, found, also):
                print(
                    f"missed  {name}: {truth['key']} {truth['problem']}; said {[(each.key, each.problem) for each in found]}"
                )
        if not case["truth"]:
            healthy += 1
            alarms += len(found)
            if found:
                print(f"alarm   {name}: {[(each.key, each.problem, each.fix) for each in found]}")
        else:
            keys = {(truth["key"], problem) for truth in case["truth"] for problem in (truth["problem"], *also)}
            more = [each for each in found if (each.key, each.problem) not in keys]
            beyond += len(more)
            if options.all and more:
                print(f"beyond  {name}: {[(each.key, each.problem) for each in more]}")
    print(
        f"variable problems found with the right key: {hit} of {wanted} ({hit / max(wanted, 1):.1%}; by the first name {exact}); "
        f"findings on {healthy} healthy sets: {alarms}; beyond the truth: {beyond}"
    )
    return 0 if hit >= WANTED * wanted and not alarms else 1


if __name__ == "__main__":
    sys.exit(main())
