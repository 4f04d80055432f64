"""Deploy the latest commit, built from nothing."""

from everwake.model import Cause
from everwake.remedy.plan import Act, Case, Playbook, Unfit, live_deploy
from everwake.remedy.steps import Do, step

__all__ = ["PLAYBOOK", "fits"]


def fits(case: Case, cause: Cause) -> Act | Unfit:
    """After a build that failed: a cache that is damaged or old is the part of it that nobody sees."""
    newest = case.newest
    if newest is None or newest.status != "build_failed":
        return Unfit(why="the newest deploy did not fail while it was built")
    live = live_deploy(case)
    if live is not None:
        return Unfit(why=f"{live.id} went on serving: what was not built broke nothing")
    return Act(
        playbook=PLAYBOOK.name, cause=cause.cause, about=newest.commit_id[:12], why=cause.next, deploys=1,
        costs=PLAYBOOK.costs, proved_by=PLAYBOOK.proved_by,
        steps=(step(Do.DEPLOY_CLEAR_CACHE, "deploy, built from nothing"), step(Do.FOLLOW, "watch the deploy")),
    )  # fmt: skip


PLAYBOOK = Playbook(
    name="deploy-clear-cache", rank=70, fits=fits, about="Deploy the latest commit without what earlier builds left.",
    costs="one deploy, and a longer build", proved_by="it is built, goes live and answers",
    cures=frozenset({"build_failed"}),
)  # fmt: skip
