"""Go back to the deploy before: the last one broke it, and the one before was healthy."""

from everwake.model import Cause, DeployRecord
from everwake.remedy.plan import Act, Case, Playbook, Unfit, Wait, live_deploy
from everwake.remedy.steps import Do, step

__all__ = ["PLAYBOOK", "fits", "good_one_before"]

# Who served well for longer than so many paces before it fell was not broken by its last deploy: 1 h at the usual pace. A health
# check that fails later than 5 min after it was passed is more often a setting that was changed.
RECENT_PACES = 180
RECENT_OF = {"health_check_failing": 15, "app_error": 15}
# Who went live and ended by itself once is started again by its platform, in 19-90 s; the second time it is a loop.
ONCE_PACES = 6


def fits(case: Case, cause: Cause) -> Act | Wait | Unfit:
    """Where the newest deploy brought another commit, and one of before was live."""
    newest = case.newest
    if newest is None:
        return Unfit(why="its platform names no deploy")
    if newest.is_running:
        return Unfit(why=f"the deploy {newest.id} is under way")
    if newest.trigger == "rollback":
        return Unfit(why="the newest deploy is a rollback already")
    live = live_deploy(case)
    if newest.has_failed and live is not None:
        return Unfit(why=f"{newest.id} failed, and {live.id} went on serving: there is nothing to go back from")
    if newest.status == "live" and not _is_recent(case, cause, newest):
        return Unfit(why="it served well for long with this deploy")
    good = good_one_before(case, newest)
    if good is None:
        return Unfit(why="no deploy of another commit was live before")
    left_s = ONCE_PACES * case.pace_s - case.waited_s
    if newest.status == "live" and cause.cause == "crashed_at_start" and left_s > 0 and not case.asked:
        return Wait(why="it ended once, and its platform starts it again", for_s=min(case.pace_s, left_s + 0.1))
    return Act(
        playbook=PLAYBOOK.name, cause=cause.cause, about=f"from {newest.commit_id[:12] or newest.id}", deploys=1,
        why=f"{newest.id} broke it ({cause.cause}), and {good.id} was healthy before", costs=PLAYBOOK.costs,
        proved_by=PLAYBOOK.proved_by,
        steps=(step(Do.ROLLBACK, f"roll back to {good.id}", deploy=good.id), step(Do.FOLLOW, "watch the deploy")),
    )  # fmt: skip


def good_one_before(case: Case, newest: DeployRecord) -> DeployRecord | None:
    """The newest deploy of another commit that was live before `newest`; a restart or a change of variables brings no commit."""
    for one in case.deploys or ():
        older = one.created_at is None or newest.created_at is None or one.created_at < newest.created_at
        if older and one.status in ("live", "deactivated") and one.commit_id and one.commit_id != newest.commit_id:
            return one
    return None


def _is_recent(case: Case, cause: Cause, newest: DeployRecord) -> bool:
    """Whether the incident came soon after it went live."""
    if newest.finished_at is None or case.incident is None:
        return True
    paces = RECENT_OF.get(cause.cause, RECENT_PACES)
    return (case.incident.opened_at - newest.finished_at).total_seconds() < paces * case.pace_s


PLAYBOOK = Playbook(
    name="rollback", rank=40, fits=fits, about="Deploy again what was live before the last commit.",
    costs="one deploy; what the last commit brought is not live until it is mended", proved_by="it answers as it did before",
    cures=frozenset({
        "crashed_at_start", "crash_loop", "out_of_memory", "slow_start", "wrong_port", "build_failed", "health_check_failing",
        "app_error", "static_assets_missing",
    }),
)  # fmt: skip
