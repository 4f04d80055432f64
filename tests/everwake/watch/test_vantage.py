"""Is it them, or is it us?"""

from datetime import UTC, datetime

import pytest

from everwake.model import Failure, FailureKind, Observation, Phase
from everwake.watch.vantage import Glance, OwnLine, Probe, Suspicion, judge, suspect

CUT_OFF = Probe(resolves=False, has_route=False)
NO_ROUTE = Failure(kind=FailureKind.NO_ROUTE, phase=Phase.CONNECT)


def lost(host: str, at_s: float = 100.0) -> Glance:
    return Glance(at_s=at_s, host=host, answered=False, failed_on_the_way=True)


def answer(host: str, at_s: float = 100.0) -> Glance:
    return Glance(at_s=at_s, host=host, answered=True, failed_on_the_way=False)


def test_three_unrelated_hosts_lost_at_once_could_be_us() -> None:
    assert suspect([lost("a"), lost("b"), lost("c")], 101.0) is Suspicion.MAYBE_US


def test_one_lost_host_is_enough_to_ask_when_nobody_else_answers() -> None:
    assert suspect([lost("a")], 101.0) is Suspicion.MAYBE_US


def test_what_runs_on_this_machine_needs_no_line() -> None:
    here = Glance(at_s=100.0, host="127.0.0.1", answered=False, failed_on_the_way=True, is_here=True)
    assert suspect([here], 101.0) is Suspicion.THEM
    answered_here = Glance(at_s=100.0, host="127.0.0.1", answered=True, failed_on_the_way=False, is_here=True)
    assert suspect([answered_here, lost("a")], 101.0) is Suspicion.MAYBE_US


def test_any_answer_in_the_same_moment_proves_our_line() -> None:
    assert suspect([lost("a"), lost("b"), lost("c"), answer("d")], 101.0) is Suspicion.THEM


def test_an_answer_from_before_the_failures_proves_nothing() -> None:
    assert suspect([answer("d", 92.0), lost("a"), lost("b"), lost("c")], 101.0) is Suspicion.MAYBE_US
    assert suspect([answer("d", 98.0), lost("a")], 101.0) is Suspicion.MAYBE_US


def test_old_failures_are_not_this_moment() -> None:
    assert suspect([lost("a", 50.0), lost("b", 70.0)], 101.0) is Suspicion.THEM


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (Probe(slept_s=3600), "suspended for 3600 s"),
        (Probe(clock_jump_s=-3600), "jumped by -3600 s"),
        (Probe(has_route=False, resolves=False), "no route"),
        (Probe(has_route=True, resolves=False), "look up names"),
    ],
)
def test_what_is_wrong_with_us_is_said_in_words(probe: Probe, said: str) -> None:
    assert said in (judge(probe) or "")


def test_a_sound_line_clears_us() -> None:
    assert judge(Probe(resolves=True, has_route=True)) is None
    assert judge(Probe()) is None


def look(status: int | None = None, failure: Failure | None = NO_ROUTE) -> Observation:
    return Observation(
        service="a", check="http", at=datetime(2026, 1, 1, tzinfo=UTC), took_s=0.1, status=status, failure=failure
    )


def cut_off() -> OwnLine:
    line = OwnLine()
    assert line.saw(look(), "a.example", 100.0), "one failure is enough to ask"
    line.probed(CUT_OFF)
    assert line.excuses(look())
    return line


@pytest.mark.parametrize("status", [200, 404, 429, 500, 503])
def test_any_http_answer_proves_our_line_whatever_it_says(status: int) -> None:
    line = cut_off()
    answer_ = look(status, None if status == 200 else Failure(kind=FailureKind.STATUS, phase=Phase.EXPECT))
    assert not line.excuses(answer_)
    assert not line.saw(answer_, "b.example", 101.0)
    assert line.ours is None
    assert not line.saw(look(), "a.example", 101.5), "it is them: nobody has to ask"
    assert not line.excuses(look())


def test_an_answer_from_this_machine_or_one_that_broke_off_proves_nothing() -> None:
    line = cut_off()
    line.saw(look(200, None), "127.0.0.1", 101.0)
    line.saw(look(200, Failure(kind=FailureKind.TIMEOUT, phase=Phase.TRANSFER)), "b.example", 101.0)
    assert line.ours is not None


def test_a_sound_probe_clears_us_and_one_that_could_not_be_made_changes_nothing() -> None:
    line = cut_off()
    assert line.saw(look(), "a.example", 102.0)
    line.probed(None)
    assert line.ours is not None
    assert line.saw(look(), "a.example", 104.0)
    line.probed(Probe(resolves=True, has_route=True))
    assert line.ours is None


def test_we_are_looked_at_once_at_a_time_and_once_a_second_at_most() -> None:
    line = OwnLine()
    assert line.saw(look(), "a.example", 100.0)
    assert not line.saw(look(), "b.example", 102.0), "one is under way"
    line.probed(Probe(resolves=True, has_route=True))
    assert line.saw(look(), "a.example", 102.0)
    line.probed(Probe(resolves=True, has_route=True))
    assert not line.saw(look(), "a.example", 102.5)
