"""Write the real address of a sibling service where a wrong one stands, then deploy."""

from everwake.model import Cause
from everwake.remedy.plan import Act, AskHuman, Case, Playbook, Unfit
from everwake.remedy.playbooks.fix_variables import SIBLING, mending

__all__ = ["PLAYBOOK", "fits"]


def fits(case: Case, cause: Cause) -> Act | AskHuman | Unfit:
    """Where the doctor knows which sibling is meant."""
    return mending(case, cause, PLAYBOOK, only=SIBLING)


PLAYBOOK = Playbook(
    name="point-to-sibling", rank=30, fits=fits, about="Write the sibling's address from the fleet file; then deploy.",
    costs="one deploy", proved_by="the sibling is reached", cures=frozenset({"wrong_service_url"}),
)  # fmt: skip
