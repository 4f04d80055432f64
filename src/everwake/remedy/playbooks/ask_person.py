"""Ask a person: what only somebody with an account, a key or a wallet can do."""

from everwake.model import Cause
from everwake.remedy.plan import AskHuman, Case, Playbook, in_vain

__all__ = ["PLAYBOOK", "fits"]


def fits(case: Case, cause: Cause) -> AskHuman:
    """With what was tried, and the next step."""
    said = f"no machine can cure {cause.cause.replace('_', ' ')}{in_vain(case)}"
    return AskHuman(cause=cause.cause, reason=said, next=cause.next)


PLAYBOOK = Playbook(
    name="ask-person", rank=1_000, fits=fits, about="Say what is wrong and what to do, and do nothing.", costs="a person's time",
    proved_by="whatever the person did shows in the checks",
)  # fmt: skip
