"""What a deploy has not broken is not taken back: whoever failed while the one before it served on, and whoever fell once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from everwake.model import State
from everwake.remedy import playbooks
from everwake.remedy.plan import Act, AskHuman, Wait, decide
from tests.everwake.remedy.cases import NOW, case, cause, deploy, diagnosis, incident

BOOKS = playbooks()
LIVE = deploy("dep-1", "live", 9_000, "c1")


@pytest.mark.parametrize("state", [State.DOWN, State.DEGRADED])
@pytest.mark.parametrize(("name", "status"), [("crashed_at_start", "update_failed"), ("build_failed", "build_failed")])
def test_a_deploy_that_failed_while_the_one_before_served_on_is_nothing_to_go_back_from(
    name: str, status: str, state: State
) -> None:
    """Three looks were lost some hours after a person's commit could not be built: that is not why."""
    found = diagnosis(cause(name, 0.93, remedy="deploy-clear-cache"))
    served_on = case(found, state=state, deploys=(deploy("dep-2", status, 610, "c2"), LIVE))
    asked = decide(served_on, BOOKS)
    assert isinstance(asked, AskHuman)
    assert "dep-1 went on serving" in asked.reason
    stopped = replace(served_on, deploys=(deploy("dep-2", status, 610, "c2"), replace(LIVE, status="deactivated")))
    acted = decide(stopped, BOOKS)
    assert isinstance(acted, Act)
    assert acted.playbook == "rollback"


def test_who_ended_once_after_it_went_live_is_left_to_its_platform_and_the_second_time_it_is_a_loop() -> None:
    """Started again in 19-90 s; else the commit is taken back."""
    deploys = (deploy("dep-2", "live", 1_000, "c2"), deploy("dep-1", "deactivated", 9_000, "c1"))
    once = diagnosis(cause("crashed_at_start", 0.95, remedy="ask-person"))
    assert isinstance(decide(case(once, incident=incident(60), deploys=deploys), BOOKS), Wait)
    assert isinstance(decide(case(once, incident=incident(60), deploys=deploys, asked=True), BOOKS), Act)
    later = case(once, incident=incident(150), deploys=deploys, at=NOW + timedelta(seconds=1))
    assert isinstance(decide(later, BOOKS), Act)
    loop = diagnosis(cause("crash_loop", 0.95, remedy="ask-person"))
    assert isinstance(decide(case(loop, incident=incident(60), deploys=deploys), BOOKS), Act)
