"""A repair that was not needed is a failure: the keeper's own loop, diagnosing and repairing through hours full of noise.

`SOAK=1 pytest -m soak` passes all 10,000 hours; otherwise two nights of it. A run that fails is made again by its seed:
`python bench/quiet.py --seed N --hours H --tell`.
"""

import os
from collections import Counter

import pytest

from everwake.model import RunState
from tests.support.quiet_noise import FAULTS, KINDS
from tests.support.quiet_run import run_hours

SEEDS, HOURS = ((1, 2), 20.0) if "SOAK" not in os.environ else (tuple(range(1, 21)), 500.0)
# What every night has many of, looked for at the keeper's end: looks, beats and questions that met it.
MET = {
    "good": 30.0, "own network": 1.0, "lost look": 0.5, "slow": 1.0, "nobody there": 0.5, "line closed": 0.3,
    "beat missed": 0.2,
}  # fmt: skip
RARELY_MET = (
    "lossy network", "other check", "platform has trouble", "platform out of reach", "platform silent", "platform throttles",
    "stalled", "suspended", "throttled", "unwell for another", "waking", "fell asleep", "line refused", "own line asked",
)  # fmt: skip


@pytest.mark.soak
@pytest.mark.timeout(7_200 if "SOAK" in os.environ else 120)
def test_in_quiet_hours_with_noise_nothing_is_ever_repaired() -> None:
    noises, met, states, hours = Counter[str](), Counter[str](), Counter[str](), 0.0
    for seed in SEEDS:
        one = run_hours(seed, HOURS)
        assert (seed, one.remedies, one.writes, one.errors) == (seed, (), (), [])
        assert one.looks > 3 * 30 * HOURS
        assert one.own_line > 0
        assert one.incidents > HOURS / 4
        assert one.diagnoses > HOURS / 10
        noises, met, states = noises + one.noises, met + one.met, states + one.states
        hours += HOURS
    # The noise was heard: else nothing would be shown by this.
    assert {kind for kind, an_hour in MET.items() if met[kind] < an_hour * hours} == set()
    assert {"up", "down", "degraded", "unknown", "waking"} <= set(states)
    assert noises.total() > 2 * hours
    if hours > 5_000:
        assert {kind for kind in KINDS if noises[kind] < hours / 100} == set()
        assert {kind for kind in RARELY_MET if met[kind] < hours / 50} == set()


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_amid_the_same_noise_what_is_really_broken_is_repaired(fault: str) -> None:
    one = run_hours(3, 6.0, fault=fault)
    wanted = {"bad variable": "fix-variables", "bad commit": "rollback", "hung": "restart"}[fault]
    assert [(run.playbook, run.state) for run in one.remedies] == [(wanted, RunState.PROVED)]
    assert one.mended
    assert one.writes


def test_where_a_person_has_to_say_yes_nothing_is_done_even_then() -> None:
    one = run_hours(3, 6.0, repair="ask", fault="bad variable")
    assert one.remedies[-1].state is RunState.ASKED
    assert [run.began_at for run in one.remedies if run.began_at] == []
    assert (one.writes, one.mended) == ((), False)


def test_a_run_is_made_again_by_its_seed() -> None:
    first, again = run_hours(9, 3.0), run_hours(9, 3.0)
    assert (first.looks, first.noises, first.met, first.states) == (again.looks, again.noises, again.met, again.states)
