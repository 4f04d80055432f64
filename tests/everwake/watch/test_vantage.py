"""Is it them, or is it us?"""

import pytest

from everwake.watch.vantage import Glance, Probe, Suspicion, judge, suspect


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
