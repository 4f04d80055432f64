"""Resume what its owner suspended: only when somebody asks for it."""

from everwake.model import Cause
from everwake.remedy.plan import Act, AskHuman, Case, Playbook, Unfit
from everwake.remedy.steps import Do, step

__all__ = ["PLAYBOOK", "fits"]

OWNERS = frozenset({"user", "parent_service"})


def fits(case: Case, cause: Cause) -> Act | AskHuman | Unfit:
    """Whoever stopped it had a reason that we do not know."""
    others = [name for name in case.host.suspenders if name not in OWNERS] if case.host else []
    if others:
        return Unfit(why=f"{', '.join(others)} stopped it too, so that resuming would not bring it back")
    return Act(
        playbook=PLAYBOOK.name, cause=cause.cause, why=cause.next, only_if_asked=True, costs=PLAYBOOK.costs,
        proved_by=PLAYBOOK.proved_by, steps=(step(Do.RESUME, "resume it"),),
    )  # fmt: skip


PLAYBOOK = Playbook(
    name="resume", rank=45, fits=fits, about="Undo the owner's suspension.", costs="instance hours from now on",
    proved_by="it answers", cures=frozenset({"suspended_by_owner"}),
)  # fmt: skip
