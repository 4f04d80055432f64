"""Quiet hours: the keeper's own loop, diagnosing and repairing through noise that needs nobody; in full, 10,000 hours of it.

    python bench/quiet.py [--hours 10000] [--seeds 20] [--workers N]
    python bench/quiet.py --seed 7 --hours 500 --tell       one of them again, with what the log says about repairs

Three services that depend on each other, looked at every minute, all in `repair = "auto"`. Real are the keeper, the state
machine, the incidents, the own line, the rules of the diagnosis, plan, guard, steps and proof; scripted are what a look or a
line meets and what the platform's API tells (`tests/support/quiet_*.py`). Hours are of the keeper's clock, which is virtual, and
are spread over seeds: each is a keeper of its own, so nothing is shown here of one that runs for a year. At the end a real fault
is put in, amid the same noise. Exit 1 when anything was repaired that need not have been, or what was broken was not.
"""

import argparse
import logging
import os
import pickle
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.quiet_noise import FAULTS, KINDS
from tests.support.quiet_run import Outcome, run_hours

__all__ = ["main"]


def told(counts: Counter[str], width: int = 118) -> str:
    """Counts by name in lines of one width."""
    lines = [""]
    for name, count in sorted(counts.items()):
        said = f"{name} {count:,}"
        if len(lines[-1]) + len(said) + 2 > width:
            lines.append("")
        lines[-1] += f"{', ' if lines[-1] else '  '}{said}"
    return ",\n  ".join(lines)


def one_seed(seed: int, hours: float, keep: Path | None) -> Outcome:
    """In a process of its own. keep: a folder where what was passed before is found, and is not passed again."""
    logging.disable(logging.WARNING)
    kept = keep / f"{seed}.pickle" if keep is not None else None
    if kept is not None and kept.exists():
        one: Outcome = pickle.loads(kept.read_bytes())
        if (one.seed, one.hours) == (seed, hours):
            return one
    one = run_hours(seed, hours)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(one))
    return one


def quiet(hours: float, seeds: int, workers: int, keep: Path | None = None) -> bool:
    """Pass the hours and print what they held; whether nothing was repaired."""
    outcomes = list[Outcome]()
    with ProcessPoolExecutor(workers) as pool:
        for one in pool.map(one_seed, range(1, seeds + 1), [hours / seeds] * seeds, [keep] * seeds):
            outcomes.append(one)
            print(f"seed {one.seed}: {len(one.remedies)} remedies, {one.took_s:.0f} s", file=sys.stderr, flush=True)
    took_s = sum(one.took_s for one in outcomes) / seeds
    noises, met, states = Counter[str](), Counter[str](), Counter[str]()
    for one in outcomes:
        noises, met, states = noises + one.noises, met + one.met, states + one.states
    failed, looks = sum(one.failed for one in outcomes), sum(one.looks for one in outcomes)
    services = outcomes[0].services
    print(
        f"{hours:,.0f} hours of the keeper's clock x {services} services, as {seeds} keepers of {hours / seeds:,.0f} hours"
    )
    print(
        f"{looks:,} looks, {failed:,} of them failed ({failed / looks:.1%}); {took_s:,.0f} s for each keeper, {workers} at once"
    )
    print(f"{noises.total():,} noises of {len(noises)} of {len(KINDS)} kinds:\n{told(noises)}")
    print(f"met by the keeper's looks, beats and questions:\n{told(met)}")
    print(f"moves of services to a state:\n{told(states)}")
    ours, incidents = sum(one.own_line for one in outcomes), sum(one.incidents for one in outcomes)
    found, asked = sum(one.diagnoses for one in outcomes), sum(one.asked for one in outcomes)
    print(
        f"{ours:,} times a service was not judged, for it was our own line; {incidents:,} incidents, {found:,} findings, "
        f"{asked:,} messages that a person is needed"
    )
    remedies = [(one.seed, run) for one in outcomes for run in one.remedies]
    print(
        f"remedies begun or proposed: {len(remedies)}; writes to the platform: {sum(len(one.writes) for one in outcomes)}"
    )
    for seed, run in remedies[:20]:
        print(
            f"  seed {seed}: {run.asked_at:%m-%d %H:%M:%S} {run.service} {run.playbook} for {run.cause}: {run.why}"[
                :150
            ]
        )
    errors = [text for one in outcomes for text in one.errors]
    print(f"errors of our own: {len(errors)}{f', the first: {errors[0]}' if errors else ''}")
    return not (remedies or errors or any(one.writes for one in outcomes))


def faults() -> bool:
    """Break it for real in the middle of six such hours; whether each was mended."""
    print("and with a real fault put in amid the same noise:")
    are_mended = True
    for fault in FAULTS:
        one = run_hours(3, 6.0, fault=fault)
        are_mended = are_mended and one.mended
        done = ", ".join(f"{run.playbook} {run.state.value}" for run in one.remedies) or "nothing"
        print(f"  {fault:<14} {done:<26} {'it is well again' if one.mended else 'STILL BROKEN'}")
    return are_mended


def main() -> int:
    """Run it; 0 when all is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=10_000.0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="a folder: a run that was stopped goes on from it")
    parser.add_argument("--seed", type=int, help="only this one, for all of --hours")
    parser.add_argument("--tell", action="store_true", help="print what the log says about repairs")
    parser.add_argument("--quick", action="store_true", help="200 hours")
    given = parser.parse_args()
    if given.seed is not None:
        one = run_hours(given.seed, given.hours, said=print if given.tell else lambda text: None)
        for run in one.remedies:
            print(f"{run.id} {run.playbook} for {run.cause}, {run.state.value}: {run.why}")
        return 1 if one.remedies else 0
    hours, seeds = (200.0, 4) if given.quick else (given.hours, given.seeds)
    are_quiet = quiet(hours, seeds, given.workers, given.keep)
    return 0 if faults() and are_quiet else 1


if __name__ == "__main__":
    sys.exit(main())
