"""What comes back by itself is waited for since its cause is known, not since something else was wrong."""

from dataclasses import replace

import pytest

from everwake.remedy import playbooks
from everwake.remedy.plan import Act, Case, Wait, decide
from tests.everwake.remedy.cases import HOST, case, cause, deploy, diagnosis, incident

BOOKS = playbooks()


def long_unwell(name: str, sure: float, remedy: str, **given: object) -> Case:
    live = (deploy("dep-1", ago_s=90_000),)
    return case(diagnosis(cause(name, sure, remedy)), incident=incident(20_000), deploys=live, **given)


def test_a_look_lost_late_in_another_trouble_is_no_reason_to_restart() -> None:
    """Throttled for five minutes, then one look is reset: that cause is a moment old."""
    one = long_unwell("instance_unreachable", 0.75, "restart")
    assert isinstance(decide(replace(one, named_s=0.0), BOOKS), Wait)
    found = decide(replace(one, named_s=400.0), BOOKS)
    assert isinstance(found, Act)
    assert found.playbook == "restart"


@pytest.mark.parametrize("is_asked", [False, True])
def test_who_sleeps_is_woken_by_the_next_look_before_a_remedy_does_it(is_asked: bool) -> None:
    one = long_unwell("asleep", 0.8, "wake", host=HOST, asked=is_asked)
    assert isinstance(decide(replace(one, named_s=0.0), BOOKS), Act if is_asked else Wait)
    assert isinstance(decide(replace(one, named_s=70.0), BOOKS), Act)


def test_who_ended_once_is_waited_for_since_that_is_known() -> None:
    deploys = (deploy("dep-2", "live", 20_500, "c2"), deploy("dep-1", "deactivated", 90_000, "c1"))
    one = case(diagnosis(cause("crashed_at_start", 0.95, "ask-person")), incident=incident(20_000), deploys=deploys)
    assert isinstance(decide(replace(one, named_s=0.0), BOOKS), Wait)
    assert isinstance(decide(one, BOOKS), Act)
