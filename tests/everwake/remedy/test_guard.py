"""Whether a plan may be carried out: what stands against it, how often, and how soon after the last."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everwake.model import RemedyRun, RunState, State
from everwake.ports import Switch
from everwake.remedy.guard import Asked, Go, Later, Limits, No, judge, pause_s
from tests.everwake.remedy.cases import NOW, deploy, incident, plan, run


def asked(**given: Any) -> Asked:
    return Asked(
        **{
            "service": "chatbot",
            "plan": plan(),
            "at": NOW,
            "state": State.DOWN,
            "repair": "auto",
            "incident": incident(),
            **given,
        }
    )


def test_nothing_stands_against_the_first_remedy() -> None:
    assert judge(asked(), ()) == Go()


@pytest.mark.parametrize("yes", [False, True])
def test_the_red_switch_stops_everything_even_what_a_person_asks_for(yes: bool) -> None:
    assert isinstance(judge(asked(switch=Switch(is_stopped=True), yes=yes), ()), No)


def test_off_is_off_ask_needs_a_yes_and_auto_needs_none() -> None:
    assert isinstance(judge(asked(repair="off"), ()), No)
    assert judge(asked(repair="ask"), ()) == Go(needs_yes=True)
    assert judge(asked(repair="ask", yes=True), ()) == Go()
    assert judge(asked(repair="off", yes=True), ()) == Go()


@pytest.mark.parametrize("state", [State.UP, State.PAUSED, State.ASLEEP, State.UNKNOWN])
def test_what_is_not_down_is_not_repaired(state: State) -> None:
    assert isinstance(judge(asked(state=state), ()), No)


def test_a_folded_incident_is_not_repaired() -> None:
    assert isinstance(judge(asked(incident=incident(parent="inc-0"), yes=True), ()), No)


def test_nothing_is_done_while_our_own_line_is_ill() -> None:
    assert isinstance(judge(asked(own_trouble=("No route to anywhere",), yes=True), ()), Later)


def test_a_deploy_of_somebody_is_waited_for() -> None:
    verdict = judge(asked(deploys=(deploy("dep-2", "build_in_progress", 5), deploy("dep-1"))), ())
    assert isinstance(verdict, Later)
    assert "dep-2" in verdict.why


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PROVING])
def test_one_remedy_at_a_time(state: RunState) -> None:
    assert isinstance(judge(asked(), (run(10, state),)), Later)
    assert judge(asked(), (run(10, state, service="backend"),)) == Go()


def test_who_comes_back_and_falls_again_is_a_persons() -> None:
    verdict = judge(asked(incident=incident(flaps=3)), ())
    assert isinstance(verdict, No)
    assert verdict.needs_person
    assert judge(asked(incident=incident(flaps=3), yes=True), ()) == Go()


def test_five_remedies_of_one_incident_are_enough() -> None:
    past = tuple(run(50_000 + n, RunState.UNPROVED) for n in range(5))
    verdict = judge(asked(), past)
    assert isinstance(verdict, No)
    assert verdict.needs_person
    assert not isinstance(judge(asked(incident=incident(id="inc-2")), past), No)


def test_the_pause_grows_with_what_was_done_in_vain() -> None:
    assert [pause_s(n, 20.0) for n in (1, 2, 3, 20)] == [60.0, 120.0, 240.0, 3_600.0]
    assert isinstance(judge(asked(), (run(59, RunState.UNPROVED),)), Later)
    assert judge(asked(), (run(61, RunState.UNPROVED),)) == Go()
    assert isinstance(judge(asked(), (run(500, RunState.UNPROVED), run(119, RunState.UNPROVED))), Later)
    assert judge(asked(), (run(500, RunState.PROVED), run(61, RunState.PROVED))) == Go()
    assert judge(asked(yes=True), (run(1, RunState.UNPROVED),)) == Go()


def test_deploys_of_an_hour_and_a_day_are_counted_for_the_service_and_for_the_fleet() -> None:
    hour = tuple(run(3_000 - n * 500) for n in range(3))
    verdict = judge(asked(), hour)
    assert isinstance(verdict, Later)
    assert verdict.for_s == pytest.approx(600, abs=2)
    assert isinstance(judge(asked(yes=True), hour), Later)
    assert judge(asked(plan=plan(deploys=0)), hour) == Go()
    day = tuple(run(80_000 - n * 9_000, incident=f"inc-{n + 5}") for n in range(8))
    verdict = judge(asked(), day)
    assert isinstance(verdict, No)
    assert verdict.needs_person
    fleet = tuple(run(3_000 - n * 100, service=f"s{n}") for n in range(10))
    assert isinstance(judge(asked(), fleet), Later)


PAST = st.lists(
    st.builds(
        lambda ago, state, service, deploys: run(ago, state, service=service, deploys=deploys, incident=f"inc-{int(ago)}"),
        st.floats(1, 200_000), st.sampled_from([RunState.PROVED, RunState.UNPROVED, RunState.FAILED]),
        st.sampled_from(["chatbot", "backend"]), st.integers(0, 1),
    ),
    max_size=40,
)  # fmt: skip


@given(past=PAST, hours=st.integers(1, 30))
def test_whatever_came_before_no_hour_and_no_day_sees_more_deploys_than_allowed(
    past: list[RemedyRun], hours: int
) -> None:
    """As long as somebody asks every minute, for hours: the limits hold in every window."""
    limits, now = Limits(), NOW
    made: list[RemedyRun] = [
        one for one in sorted(past, key=lambda one: one.asked_at) if NOW - one.asked_at < timedelta(0)
    ]
    for n in range(hours * 12):
        now = NOW + timedelta(minutes=5 * n)
        wanted = replace(asked(incident=incident(id=f"inc-new-{n}")), at=now)
        if isinstance(judge(wanted, made, limits), Go):
            made.append(replace(run(0), id=f"rem-{n}", asked_at=now, began_at=now, ended_at=now))
    times = [one.began_at for one in made if one.began_at]
    for at in times:
        assert sum(timedelta(0) <= at - other < timedelta(hours=1) for other in times) <= limits.service_hour
        assert sum(timedelta(0) <= at - other < timedelta(days=1) for other in times) <= limits.service_day
