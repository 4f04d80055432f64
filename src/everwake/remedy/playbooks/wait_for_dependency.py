"""Wait for the service that it depends on: what is mended there mends this."""

from everwake.model import Cause
from everwake.remedy.plan import Case, Playbook, Unfit, Wait

__all__ = ["PLAYBOOK", "fits"]


def fits(case: Case, cause: Cause) -> Wait | Unfit:
    """While one of ours that it depends on is not well."""
    if not case.needs_down:
        return Unfit(why="everything of the fleet that it depends on is well")
    return Wait(why=f"it waits for {', '.join(case.needs_down[:5])}", for_s=case.pace_s)


PLAYBOOK = Playbook(
    name="wait-for-dependency", rank=15, fits=fits, about="Mend what it depends on first.", costs="nothing",
    proved_by="it comes up once the other does",
    cures=frozenset({"dependency_service", "dependency_redis", "dependency_database", "dependency_tls"}),
)  # fmt: skip
