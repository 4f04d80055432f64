"""New instances of the same deploy."""

from everwake.model import Cause, FailureKind, State
from everwake.remedy.plan import Act, Case, Playbook, Unfit, Wait, live_deploy
from everwake.remedy.steps import Do, step

__all__ = ["PLAYBOOK", "fits"]

_HUNG = (FailureKind.TIMEOUT, FailureKind.CLOSED_EARLY, FailureKind.RESET)
FLAPS_MOST = 2


def fits(case: Case, cause: Cause) -> Act | Wait | Unfit:
    """Of what is live and hangs; a program that answers, only wrongly, would answer the same again."""
    if case.deploys is not None and live_deploy(case) is None:
        return Unfit(why="no deploy is live that could be restarted")
    if case.host is not None and case.host.is_suspended:
        return Unfit(why="it is suspended")
    if cause.cause == "instance_unreachable" and case.state is State.DEGRADED and not case.asked:
        return Wait(why="one look got no answer of it, which others did", for_s=case.pace_s)
    hung = case.first is not None and case.first.failure is not None and case.first.failure.kind in _HUNG
    if cause.cause == "health_check_failing" and not hung:
        return Unfit(why="it answers, only not as its platform wants; a restart would change nothing")
    if case.incident is not None and case.incident.flaps >= FLAPS_MOST:
        return Unfit(why=f"it came back and fell again {case.incident.flaps} times by itself")
    return Act(
        playbook=PLAYBOOK.name, cause=cause.cause, why=cause.next, costs=PLAYBOOK.costs, proved_by=PLAYBOOK.proved_by,
        steps=(step(Do.RESTART, "restart it"),),
    )  # fmt: skip


PLAYBOOK = Playbook(
    name="restart", rank=50, fits=fits, about="New instances of the deploy that is live.",
    costs="some seconds without an instance", proved_by="it answers, and goes on to",
    cures=frozenset({"instance_unreachable", "health_check_failing", "platform_incident"}),
)  # fmt: skip
