"""Wake it: one GET that may take long."""

from everwake.model import Cause
from everwake.remedy.plan import Act, Case, Playbook, Unfit
from everwake.remedy.steps import Do, step

__all__ = ["PLAYBOOK", "fits"]


def fits(case: Case, cause: Cause) -> Act | Unfit:
    """Once: who cannot be woken by one long GET has another trouble."""
    if case.host is not None and case.host.is_suspended:
        return Unfit(why="it is suspended, and asking does not wake it")
    return Act(
        playbook=PLAYBOOK.name, cause=cause.cause, why=cause.next, costs=PLAYBOOK.costs, proved_by=PLAYBOOK.proved_by,
        steps=(step(Do.WAKE, "wake it with one long GET"),),
    )  # fmt: skip


PLAYBOOK = Playbook(
    name="wake", rank=20, fits=fits, about="One GET that may take as long as waking does; no HEAD, no POST, no quick retries.",
    costs="instance hours for as long as it is awake", proved_by="it answers, and goes on to",
    cures=frozenset({"asleep", "wake_failed"}),
)  # fmt: skip
