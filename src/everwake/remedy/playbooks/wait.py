"""Wait: what is under way ends by itself."""

from everwake.model import Cause, State
from everwake.remedy.plan import LOOK_INTO_IT, WELL, AskHuman, Case, Playbook, Unfit, Wait, live_deploy

__all__ = ["PLAYBOOK", "fits"]

# A start takes 19-90 s (measured on Render, 2026-07), a deploy minutes; what is not over by then is not under way.
PACES = {
    "waking": 15, "asleep": 9, "wake_throttled": 15, "deploy_in_progress": 90, "deploy_superseded": 15, "benign_shutdown": 15,
    "healthy": 15, "platform_incident": 90, "instance_unreachable": 15, "health_check_failing": 9,
}  # fmt: skip
# Render restarts by itself what fails its checks for 60 s (its documents, 2026-11). What the edge says that it misses, while a
# deploy is live and nobody tells of trouble, is not found again after that. Only the edge's own word hurries: a look that met no
# answer at all may have been lost on our side of it.
RECOVERS_S = 60.0
# Causes by which nothing is wrong: what is not well all the same has another one.
_NO_FAULT = ("benign_shutdown", "deploy_superseded", "healthy")


def fits(case: Case, cause: Cause) -> Wait | AskHuman | Unfit:
    """For as long as what is waited for usually takes."""
    newest = case.newest
    if newest is not None and newest.is_running:
        return Wait(why=f"the deploy {newest.id} is under way", for_s=case.pace_s / 4)
    if case.state in WELL:
        return Wait(why=cause.next or f"it is {case.state.value}", for_s=case.pace_s, is_well=True)
    if case.asked and cause.remedy not in ("", PLAYBOOK.name):
        return Unfit(why="somebody wants it back now")
    most_s = PACES.get(cause.cause, 15) * case.pace_s
    is_edges_word = case.last is not None and case.last.status is not None
    if cause.cause == "instance_unreachable" and is_edges_word and live_deploy(case) is not None:
        most_s = max(RECOVERS_S, 3 * case.pace_s)
    if case.waited_s >= most_s and cause.cause in _NO_FAULT:
        if case.state is State.DEGRADED:
            return Wait(why="nothing wrong was found, and it serves", for_s=most_s)
        said = f"nothing wrong was found, and it is {case.state.value} for {case.age_s:.0f} s"
        return AskHuman(cause="unknown", reason=said, next=LOOK_INTO_IT)
    if case.waited_s >= most_s:
        return Unfit(why=f"waited for {most_s:.0f} s, and it is not over")
    return Wait(why=cause.next or "it is over in a moment", for_s=min(case.pace_s, most_s - case.waited_s + 0.1))


PLAYBOOK = Playbook(
    name="wait", rank=10, fits=fits, about="Leave it alone while it starts, rolls over or is moved.", costs="nothing",
    proved_by="it comes up by itself",
    cures=frozenset({
        "waking", "wake_throttled", "deploy_in_progress", "deploy_superseded", "benign_shutdown", "healthy", "platform_incident",
        "instance_unreachable",
    }),
)  # fmt: skip
