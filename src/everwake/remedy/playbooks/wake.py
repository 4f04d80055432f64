"""Wake it: one GET that may take long."""

from everwake.model import Cause
from everwake.remedy.plan import Act, Case, Playbook, Unfit, Wait
from everwake.remedy.steps import Do, step

__all__ = ["PLAYBOOK", "fits"]

# The keeper's next look wakes it as well, and a start takes 19-90 s.
LOOKS_PACES = 3


def fits(case: Case, cause: Cause) -> Act | Wait | Unfit:
    """Once: who cannot be woken by one long GET has another trouble."""
    if case.host is not None and case.host.is_suspended:
        return Unfit(why="it is suspended, and asking does not wake it")
    left_s = LOOKS_PACES * case.pace_s - case.waited_s
    if left_s > 0 and not case.asked:
        return Wait(why="the next look may wake it", for_s=min(case.pace_s, left_s + 0.1))
    return Act(
        playbook=PLAYBOOK.name, cause=cause.cause, why=cause.next, costs=PLAYBOOK.costs, proved_by=PLAYBOOK.proved_by,
        steps=(step(Do.WAKE, "wake it with one long GET"),),
    )  # fmt: skip


PLAYBOOK = Playbook(
    name="wake", rank=20, fits=fits, about="One GET that may take as long as waking does; no HEAD, no POST, no quick retries.",
    costs="instance hours for as long as it is awake", proved_by="it answers, and goes on to",
    cures=frozenset({"asleep", "wake_failed"}),
)  # fmt: skip
