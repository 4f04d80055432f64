"""What comes back by itself is waited for since its cause is known, not since something else was wrong."""

from dataclasses import replace

import pytest

from everwake.model import Evidence, Failure, FailureKind, Observation, Phase, State
from everwake.remedy import playbooks
from everwake.remedy.plan import Act, AskHuman, Case, Tried, Wait, decide
from everwake.remedy.telling import notice_of_person
from tests.everwake.remedy.cases import HOST, KEY, NOW, case, cause, deploy, diagnosis, incident, problem

BOOKS = playbooks()


def look(kind: FailureKind, status: int | None = None) -> Observation:
    failure = Failure(kind=kind, phase=Phase.CONNECT if status is None else Phase.EXPECT)
    return Observation(service="chatbot", check="http", at=NOW, took_s=0.1, status=status, failure=failure)


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


def test_only_the_edges_own_word_hurries_a_restart() -> None:
    """A look that met no answer at all may have been lost on our side."""
    one = long_unwell("instance_unreachable", 0.75, "restart")
    lost = replace(one, named_s=120.0, last=look(FailureKind.RESET))
    assert isinstance(decide(lost, BOOKS), Wait)
    assert isinstance(decide(replace(lost, named_s=301.0), BOOKS), Act)
    told = decide(replace(lost, last=look(FailureKind.STATUS, 502)), BOOKS)
    assert isinstance(told, Act)
    assert told.playbook == "restart"


@pytest.mark.parametrize("name", ["healthy", "benign_shutdown", "deploy_superseded"])
def test_nobody_is_called_for_nothing_while_it_serves_and_told_where_to_look_when_it_does_not(name: str) -> None:
    one = long_unwell(name, 0.8, "wait")
    assert isinstance(decide(replace(one, state=State.DEGRADED), BOOKS), Wait)
    down = decide(one, BOOKS)
    assert isinstance(down, AskHuman)
    assert down.cause == "unknown"
    assert "everwake why" in down.next


def test_what_helped_and_came_again_is_done_again_when_somebody_asks_for_it() -> None:
    found = diagnosis(cause("instance_unreachable", 0.9, "restart"))
    tried = (Tried(run="r", playbook="restart", about="", cause="instance_unreachable", helped=True),)
    one = case(found, incident=incident(900), tried=tried)
    assert isinstance(decide(one, BOOKS), AskHuman)
    assert isinstance(decide(replace(one, asked=True), BOOKS), Act)
    in_vain = replace(one, asked=True, tried=(replace(tried[0], helped=False),))
    assert isinstance(decide(in_vain, BOOKS), AskHuman)


def test_another_next_step_of_the_same_cause_is_told_too_and_the_same_once() -> None:
    def key(next_: str) -> str:
        ask = AskHuman(cause="bad_env_var", reason="so", next=next_)
        return notice_of_person("chatbot", "Chatbot", "inc-1", ask, "", NOW).key

    assert key("OPENAI_API_KEY: paste the real key") == key("OPENAI_API_KEY: paste the real key")
    assert key("OPENAI_API_KEY: paste the real key") != key("BACKEND_CORS_ORIGINS: write a list")


def test_who_answers_slowly_is_not_restarted_for_a_look_that_was_lost() -> None:
    """The looks that would tell take their time, so that the lost one stays the newest for a minute."""
    one = replace(long_unwell("instance_unreachable", 0.62, "restart"), named_s=400.0)
    assert isinstance(decide(replace(one, state=State.DEGRADED), BOOKS), Wait)
    assert isinstance(decide(replace(one, state=State.DEGRADED, asked=True), BOOKS), Act)


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


def test_a_variable_that_only_the_doctor_finds_wrong_is_not_mended_while_a_deploy_is_live_with_it() -> None:
    """It may have been so for a year, and the service is throttled by its edge."""
    doctors = replace(cause(sure=0.75), evidence=(Evidence(source=f"variables.{KEY}", quote="json_trailing_garbage"),))
    one = case(diagnosis(doctors, variables=(problem(),)))
    asked = decide(one, BOOKS)
    assert isinstance(asked, AskHuman)
    assert asked.plan is not None
    assert isinstance(decide(replace(one, asked=True), BOOKS), Act)
    served_on = (deploy("dep-2", "build_failed", 610, "c2"), deploy("dep-1", "live", 9_000, "c1"))
    assert isinstance(decide(replace(one, deploys=served_on), BOOKS), AskHuman)
    failed = (deploy("dep-2", "update_failed", 610, "c1"), deploy("dep-1", "deactivated", 9_000, "c1"))
    assert isinstance(decide(replace(one, deploys=failed), BOOKS), Act)
    both = replace(doctors, evidence=(*doctors.evidence, Evidence(source="log", quote=f"{KEY}: Extra data")))
    assert isinstance(decide(case(diagnosis(both, variables=(problem(),))), BOOKS), Act)
