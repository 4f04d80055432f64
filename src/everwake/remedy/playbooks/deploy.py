"""Deploy the latest commit."""

from everwake.model import Cause
from everwake.remedy.plan import Act, Case, Playbook, Unfit, live_deploy
from everwake.remedy.steps import Do, step

__all__ = ["PLAYBOOK", "fits"]


def fits(case: Case, cause: Cause) -> Act | Unfit:
    """Where nothing is live, and the same commit has not failed again and again."""
    if live_deploy(case) is not None:
        return Unfit(why="a deploy is live")
    newest = case.newest
    if newest is not None and newest.is_running:
        return Unfit(why=f"the deploy {newest.id} is under way")
    failed = [one for one in case.deploys or () if one.has_failed and newest and one.commit_id == newest.commit_id]
    if len(failed) >= 2:
        return Unfit(why=f"this commit failed {len(failed)} times already")
    return Act(
        playbook=PLAYBOOK.name, cause=cause.cause, why=cause.next, deploys=1, costs=PLAYBOOK.costs,
        proved_by=PLAYBOOK.proved_by, steps=(step(Do.DEPLOY, "deploy"), step(Do.FOLLOW, "watch the deploy")),
    )  # fmt: skip


PLAYBOOK = Playbook(
    name="deploy", rank=60, fits=fits, about="Deploy the latest commit with the variables as they are.", costs="one deploy",
    proved_by="the deploy goes live and it answers", cures=frozenset({"no_live_deploy"}),
)  # fmt: skip
