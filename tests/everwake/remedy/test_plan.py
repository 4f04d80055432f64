"""What is to be done: which remedy for which cause, and when a person is asked instead."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.diagnose.causes import CAUSES
from everwake.model import Failure, FailureKind, Incident, Phase, State
from everwake.remedy import playbooks
from everwake.remedy.plan import WELL, Act, AskHuman, Case, Tried, Wait, blamed, decide
from everwake.remedy.steps import Do
from tests.everwake.remedy.cases import HOST, KEY, NOW, case, cause, deploy, diagnosis, incident, problem

BOOKS = playbooks()
RECENT = (deploy("dep-2", "update_failed", 610, "c2"), deploy("dep-1", "deactivated", 9_000, "c1"))


def act(one: Case) -> Act:
    found = decide(one, BOOKS)
    assert isinstance(found, Act), found
    return found


def ask(one: Case) -> AskHuman:
    found = decide(one, BOOKS)
    assert isinstance(found, AskHuman), found
    return found


def test_a_variable_that_is_to_blame_is_mended_deployed_and_watched() -> None:
    found = act(case())
    assert (found.playbook, found.about, found.deploys) == ("fix-variables", KEY, 1)
    assert [one.do for one in found.steps] == [Do.WRITE_VARIABLES, Do.DEPLOY, Do.FOLLOW]
    assert "column 88" in found.why
    assert not any("https://a.example" in value for one in found.steps for value in one.args.values())


def test_a_placeholder_that_the_log_names_is_a_persons_with_what_to_write_though_the_doctor_only_advises() -> None:
    advice = problem("API_KEY", None, problem="placeholder", is_error=False, fix="paste the real key")
    found = ask(case(diagnosis(cause(says="API_KEY"), variables=(advice,))))
    assert found.reason == "API_KEY: placeholder, and only a person knows what it should be"
    assert found.next == "API_KEY: paste the real key"
    unnamed = ask(case(diagnosis(cause(says="OTHER"), variables=(advice,))))
    assert "API_KEY" not in unnamed.reason + unnamed.next, "nobody blames it"


def test_what_else_the_doctor_finds_in_the_same_service_is_left_alone() -> None:
    others = (problem("REDIS_URL"), problem("LOG_LEVEL"))
    found = act(case(diagnosis(cause(), variables=(problem(), *others))))
    assert found.steps[0].args == {"keys": KEY}


def test_a_variable_whose_name_only_contains_another_is_not_to_blame() -> None:
    one = case(diagnosis(cause(says=f"OLD_{KEY}"), variables=(problem(),)))
    assert blamed(one, one.diagnosis.causes[0]) == ()


def test_a_variable_that_only_a_person_can_know_is_asked_for() -> None:
    found = ask(case(diagnosis(cause(), variables=(problem(value=None),))))
    assert (found.cause, found.plan) == ("bad_env_var", None)
    assert found.next.startswith(KEY)


def test_advice_is_no_reason_to_write_anything() -> None:
    assert isinstance(decide(case(diagnosis(cause(), variables=(problem(is_error=False),))), BOOKS), AskHuman)


@pytest.mark.parametrize("name", ["crashed_at_start", "crash_loop", "out_of_memory", "slow_start", "wrong_port"])
def test_what_the_last_commit_broke_is_rolled_back_to_the_deploy_that_was_healthy(name: str) -> None:
    found = act(case(diagnosis(cause(name, remedy="ask-person")), deploys=RECENT))
    assert (found.playbook, found.steps[0].args) == ("rollback", {"deploy": "dep-1"})


@pytest.mark.parametrize(
    "deploys",
    [
        (deploy("dep-2", "update_failed", 610, "c1"), deploy("dep-1", "deactivated", 9_000, "c1")),  # the same commit
        (deploy("dep-2", "update_failed", 610, "c2"), deploy("dep-1", "build_failed", 9_000, "c1")),  # never live
        (deploy("dep-2", "live", 90_000, "c2"), deploy("dep-1", "deactivated", 99_000, "c1")),  # served well for a day
        (deploy("dep-3", "live", 610, "c1", "rollback"), *RECENT),  # rolled back already
        (),
    ],
)
def test_there_is_nothing_to_roll_back_to(deploys: tuple[object, ...]) -> None:
    found = ask(case(diagnosis(cause("crash_loop", remedy="ask-person")), deploys=deploys))
    assert found.cause == "crash_loop"


def test_a_suspended_service_is_resumed_only_when_somebody_asks() -> None:
    host = replace(HOST, suspenders=("user",))
    one = case(diagnosis(cause("suspended_by_owner", remedy="resume")), host=host)
    found = ask(one)
    assert found.plan is not None
    assert found.plan.playbook == "resume"
    assert act(replace(one, asked=True)).playbook == "resume"
    others = replace(one, host=replace(HOST, suspenders=("user", "billing")), asked=True)
    assert ask(others).plan is None


@pytest.mark.parametrize("name", sorted(name for name, about in CAUSES.items() if about.needs_person))
def test_what_needs_a_person_is_never_acted_on_without_a_plan_that_fits(name: str) -> None:
    found = decide(case(diagnosis(cause(name, remedy="ask-person")), deploys=(deploy("dep-1"),)), BOOKS)
    assert not isinstance(found, Act)


def test_a_hung_program_is_restarted_and_one_that_answers_wrongly_is_not() -> None:
    hung = replace(incident().first, failure=Failure(kind=FailureKind.TIMEOUT, phase=Phase.FIRST_BYTE), status=None)  # type: ignore[type-var]
    found = diagnosis(cause("health_check_failing", remedy="ask-person"))
    assert act(case(found, first=hung, deploys=(deploy("dep-1", ago_s=90_000),))).playbook == "restart"
    assert isinstance(decide(case(found, deploys=(deploy("dep-1", ago_s=90_000),)), BOOKS), AskHuman)


def test_who_waits_for_another_service_is_left_alone_until_that_is_well() -> None:
    found = diagnosis(cause("dependency_service", remedy="wait-for-dependency"))
    assert isinstance(decide(case(found, needs_down=("redis",)), BOOKS), Wait)
    assert isinstance(decide(case(found), BOOKS), AskHuman)


def test_what_is_under_way_is_waited_for_and_not_for_ever() -> None:
    running = (deploy("dep-2", "update_in_progress", 5, "c2"), deploy("dep-1", "live", 9_000))
    found = diagnosis(cause("deploy_in_progress", 0.9, "wait"))
    assert isinstance(decide(case(found, deploys=running), BOOKS), Wait)
    assert isinstance(decide(case(found, incident=incident(20_000)), BOOKS), AskHuman)


def test_what_fell_again_is_given_its_time_anew() -> None:
    found = diagnosis(cause("instance_unreachable", 0.9, "restart"))
    again = incident(20_000, flaps=1, fell_at=NOW - timedelta(seconds=45))
    assert isinstance(decide(case(found, incident=again), BOOKS), Wait)
    assert act(case(found, incident=replace(again, fell_at=NOW - timedelta(seconds=400)))).playbook == "restart"


@pytest.mark.parametrize("settling", [None, incident(20_000)])
def test_somebody_who_asks_about_what_is_well_is_told_that_nothing_is_to_be_done(settling: Incident | None) -> None:
    for name in ("healthy", "benign_shutdown", "deploy_superseded"):
        well = case(diagnosis(cause(name, 0.9, "wait")), state=State.UP, incident=settling, asked=True)
        found = decide(well, BOOKS)
        assert isinstance(found, Wait)
        assert found.is_well


def test_who_asks_for_a_service_that_is_down_is_not_told_to_wait_where_something_can_be_done() -> None:
    found = diagnosis(cause("instance_unreachable", 0.9, "restart"))
    assert act(case(found, incident=incident(1), asked=True)).playbook == "restart"
    waking = diagnosis(cause("waking", 0.9, "wait"))
    patient = decide(case(waking, state=State.WAKING, incident=incident(1), asked=True), BOOKS)
    assert isinstance(patient, Wait)
    assert not patient.is_well


def test_an_instance_the_edge_cannot_reach_is_waited_for_and_then_restarted_once() -> None:
    found, said = diagnosis(cause("instance_unreachable", 0.9, "restart")), incident().first
    assert isinstance(decide(case(found, incident=incident(45), last=said), BOOKS), Wait), (
        "its platform restarts it, or finds it again"
    )
    assert act(case(found, incident=incident(61), last=said)).playbook == "restart"
    quick = case(found, incident=incident(45), pace_s=2.0, last=said)
    assert isinstance(decide(quick, BOOKS), Wait), "its platform is no quicker for a keeper that is"
    unknown = replace(case(found, incident=incident(100)), deploys=None)
    assert isinstance(decide(unknown, BOOKS), Wait), "whether anything is live nobody knows: it may be started just now"
    tried = (Tried(run="r", playbook="restart", about="", cause="instance_unreachable"),)
    assert "restart" in ask(case(found, incident=incident(400), tried=tried)).reason


def test_a_remedy_the_platform_has_no_verb_for_is_a_persons() -> None:
    found = ask(case(verbs=frozenset({"variables", "deploy"})))
    assert "set_variables" in found.reason
    assert "no way to its platform" in ask(case(verbs=frozenset())).reason


def test_nothing_is_done_on_a_guess() -> None:
    weak = diagnosis(cause(sure=0.5), variables=(problem(),))
    found = ask(case(weak))
    assert found.plan is not None
    assert act(case(weak, asked=True)).playbook == "fix-variables"
    assert isinstance(
        decide(case(diagnosis(cause(sure=0.6), variables=(problem(),)), incident=incident(30)), BOOKS), Wait
    )
    assert act(case(diagnosis(cause(sure=0.6), variables=(problem(),)))).playbook == "fix-variables"


def test_a_young_incident_is_not_a_persons_yet() -> None:
    unknown = diagnosis(cause("unknown", 0.5, "ask-person"))
    assert isinstance(decide(case(unknown, incident=incident(10)), BOOKS), Wait)
    assert isinstance(decide(case(unknown, incident=incident(100)), BOOKS), AskHuman)


def test_what_was_tried_is_not_tried_again_but_another_variable_is() -> None:
    tried = Tried(run="r", playbook="fix-variables", about=KEY, cause="bad_env_var", outcome="update failed")
    assert "tried already" in ask(case(tried=(tried,))).reason
    other = diagnosis(cause(says="REDIS_URL"), variables=(problem("REDIS_URL"),))
    assert act(case(other, tried=(tried,))).about == "REDIS_URL"


def test_a_remedy_that_made_it_worse_is_taken_back_before_anything_else() -> None:
    tried = Tried(
        run="rem-1",
        playbook="fix-variables",
        about=KEY,
        cause="bad_env_var",
        made_worse=True,
        back_to="dep-1",
        wrote=True,
    )
    found = act(case(tried=(tried,)))
    assert [one.do for one in found.steps] == [Do.PUT_BACK_VARIABLES, Do.ROLLBACK, Do.FOLLOW]
    assert found.steps[0].args == {"run": "rem-1"}
    assert found.steps[1].args == {"deploy": "dep-1"}
    undone = Tried(run="rem-2", playbook="rollback", about="undo rem-1", cause="bad_env_var")
    assert not isinstance(decide(case(tried=(tried, undone)), BOOKS), Act)


def test_a_folded_child_is_left_to_its_parent() -> None:
    assert isinstance(decide(case(incident=incident(parent="inc-0"), asked=True), BOOKS), Wait)


NAMES = st.sampled_from(sorted(CAUSES))
CASES = st.builds(
    lambda name, sure, remedy, state, age_s, flaps, tried, safe, running, asked: case(
        diagnosis(cause(name, sure, remedy), variables=(problem(value="x" if safe else None),)),
        state=state, incident=incident(age_s, flaps=flaps), asked=asked,
        tried=tuple(Tried(run="r", playbook=one, about="", cause=name) for one in tried),
        deploys=(deploy("dep-9", "update_in_progress", 5), *RECENT) if running else RECENT,
    ),
    NAMES, st.floats(0, 1), st.one_of(st.none(), st.sampled_from(sorted(BOOKS)), st.just("a-playbook-nobody-has")),
    st.sampled_from(sorted(State)), st.floats(0, 90_000), st.integers(0, 9), st.lists(st.sampled_from(sorted(BOOKS)), max_size=4),
    st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip


@given(one=CASES)
def test_whatever_the_case_it_is_decided_and_what_is_well_is_not_touched(one: Case) -> None:
    found = decide(one, BOOKS)
    match found:
        case Act():
            assert one.state not in WELL or one.asked
            assert found.steps
            assert not [tried for tried in one.tried if (tried.playbook, tried.about) == (found.playbook, found.about)]
            assert one.diagnosis.causes[0].sure >= 0.55 or one.asked
            assert found.deploys == sum(
                step.do in (Do.DEPLOY, Do.DEPLOY_CLEAR_CACHE, Do.ROLLBACK) for step in found.steps
            )
        case AskHuman():
            assert found.reason
        case Wait():
            assert found.for_s > 0


@given(one=CASES)
def test_a_service_is_given_up_after_finitely_many_remedies(one: Case) -> None:
    """Whatever a remedy brings, the same diagnosis leads to another remedy or a person, never round in a circle."""
    for _ in range(12):
        found = decide(one, BOOKS)
        if not isinstance(found, Act):
            return
        tried = Tried(run="r", playbook=found.playbook, about=found.about, cause=found.cause)
        one = replace(one, tried=(*one.tried, tried), at=NOW)
    raise AssertionError("it goes on for ever")


def test_every_playbook_says_what_it_costs_and_what_proves_it() -> None:
    assert {"wait", "wake", "fix-variables", "deploy", "deploy-clear-cache", "restart", "resume", "rollback", "point-to-sibling",
            "wait-for-dependency", "ask-person"} <= set(BOOKS)  # fmt: skip
    for name, book in BOOKS.items():
        assert (book.name, bool(book.about), bool(book.costs), bool(book.proved_by)) == (name, True, True, True)
        assert book.cures <= set(CAUSES), name
