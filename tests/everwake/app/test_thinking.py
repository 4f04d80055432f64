"""For how long a cause has been known by what both the checks and the platform say."""

from everwake.app.thinking import Thought
from everwake.model import Cause, Diagnosis, State
from everwake.remedy.plan import AskHuman


def why(name: str) -> Diagnosis:
    return Diagnosis(state=State.DOWN, causes=(Cause(cause=name, sure=0.7),))


def test_a_cause_is_known_since_it_is_the_surest_one() -> None:
    thought = Thought(due_s=0.0)
    named = [
        thought.named_s(why(name), is_told=True, now_s=now_s)
        for name, now_s in (("wake_throttled", 10.0), ("wake_throttled", 310.0), ("instance_unreachable", 320.0),
                            ("wake_throttled", 330.0))
    ]  # fmt: skip
    assert named == [0.0, 300.0, 0.0, 0.0]


def test_what_is_named_while_the_platform_cannot_be_asked_is_named_anew_when_it_can() -> None:
    """Ten minutes without a network end between our look and our question: that is no reason to restart anything."""
    thought = Thought(due_s=0.0)
    assert thought.named_s(why("instance_unreachable"), is_told=False, now_s=10.0) > 0.0
    assert thought.named_s(why("instance_unreachable"), is_told=False, now_s=610.0) > 0.0
    assert thought.named_s(why("instance_unreachable"), is_told=True, now_s=620.0) == 0.0
    assert thought.named_s(Diagnosis(state=State.UP), is_told=True, now_s=640.0) == 0.0


def test_the_same_question_asked_again_is_counted_and_another_one_is_not() -> None:
    thought = Thought(due_s=0.0)
    counted = []
    for reason in ("a", "a", "a", "b"):
        thought.decided(AskHuman(cause="unknown", reason=reason, next=""))
        counted.append(thought.unchanged)
    assert counted == [0, 1, 2, 0]
