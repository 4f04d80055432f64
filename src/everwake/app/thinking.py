"""What is being thought about one service that is not well, from one time to the next. Pure: time comes in."""

from dataclasses import dataclass

from everwake.model import Diagnosis, RemedyRun
from everwake.remedy.plan import Act, AskHuman, Decision

__all__ = ["Thought", "is_same"]


@dataclass(slots=True, kw_only=True)
class Thought:
    """due_s: monotonic, when next.   unchanged: how often the same came out.   named: the surest cause, since `named_at_s`."""

    due_s: float
    unchanged: int = 0
    decision: Decision | None = None
    refused: str | None = None
    named: str = ""
    named_at_s: float = float("-inf")

    def decided(self, decision: Decision) -> None:
        """It came to this."""
        self.unchanged = self.unchanged + 1 if _gist(decision) == _gist(self.decision) else 0
        self.decision, self.refused = decision, None

    def named_s(self, diagnosis: Diagnosis, *, is_told: bool, now_s: float) -> float:
        """For how long the same cause has been the surest. is_told: its platform could be asked; while it could not, our own line
        may be what is wrong, and what is named then is named anew when it can."""
        named = diagnosis.causes[0].cause if diagnosis.causes and is_told else ""
        if named != self.named:
            self.named, self.named_at_s = named, now_s
        return now_s - self.named_at_s


def _gist(decision: Decision | None) -> object:
    match decision:
        case Act():
            return decision.playbook, decision.about
        case AskHuman():
            return decision.cause, decision.reason
        case _:
            return None


def is_same(run: RemedyRun, decision: Decision) -> bool:
    """Whether the remedy that waits is still the one that would be proposed."""
    plan = decision if isinstance(decision, Act) else decision.plan if isinstance(decision, AskHuman) else None
    return plan is not None and (plan.playbook, plan.about) == (run.playbook, run.about)
