"""What a rule is: one cause, what it rests on, what it explains away. Values only; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import Sign, SignKind
from everwake.model import Evidence

__all__ = ["REMEDIES", "Finding", "Rule", "by_edge", "by_signs", "surest"]

EVIDENCE_MOST = 6

# Names of the playbooks that a finding may ask for.
REMEDIES = frozenset(
    {
        "wait",
        "wake",
        "fix-variables",
        "deploy",
        "deploy-clear-cache",
        "restart",
        "resume",
        "rollback",
        "point-to-sibling",
        "wait-for-dependency",
        "ask-person",
    }
)

# What is told of the same store in several words: none of them came before the others.
_KIN = {
    one: kin
    for kin in (
        (SignKind.REDIS, SignKind.REDIS_AUTH, SignKind.REDIS_LIMIT),
        (SignKind.DATABASE, SignKind.DATABASE_AUTH),
    )
    for one in kin
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found. sure: 0..1.   because: at least one piece of evidence.   next: the next step, one sentence.

    remedy: name of a playbook, None when there is nothing to do.   beats: causes that it explains away this time, beside the
    rule's own.
    """

    sure: float
    because: tuple[Evidence, ...]
    next: str
    remedy: str | None = None
    beats: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One cause. explain: the finding, or None when the facts do not support it.

    needs: places of which at least one must hold something ("http", "platform", "log", "variables", "context").
    beats: causes that only follow from this one, so they are not named beside it when both were found.
    examples: facts as JSON documents in which this cause comes first; counter_examples: in which it must not.
    ruled_out: why it is not this one, in words, when it was thought of; None when nothing speaks against it.
    """

    cause: str
    explain: Callable[[Facts], Finding | None]
    needs: frozenset[str]
    beats: frozenset[str] = frozenset()
    examples: Sequence[Mapping[str, Any]] = ()
    counter_examples: Sequence[Mapping[str, Any]] = ()
    ruled_out: Callable[[Facts], str | None] = lambda facts: None


def surest(*findings: Finding | None) -> Finding | None:
    """The surest of several, with the evidence of the others behind its own."""
    found = sorted((one for one in findings if one is not None), key=lambda one: -one.sure)
    if not found:
        return None
    best, *others = found
    because = tuple(dict.fromkeys(evidence for one in found for evidence in one.because))[:EVIDENCE_MOST]
    more = min(
        0.99,
        best.sure
        + 0.03
        * len(
            {e.source.split(".")[0] for one in others for e in one.because}
            - {e.source.split(".")[0] for e in best.because}
        ),
    )
    return Finding(
        sure=more,
        because=because,
        next=best.next,
        remedy=best.remedy,
        beats=frozenset().union(*(one.beats for one in found)),
    )


def by_edge(facts: Facts, cause: str, next: str, remedy: str | None) -> Finding | None:
    """What the edge's signatures say for a cause."""
    found = max(facts.hints(cause), key=lambda hint: hint.sure, default=None)
    return (
        None
        if found is None
        else Finding(sure=found.sure, because=found.evidence[:EVIDENCE_MOST], next=next, remedy=remedy)
    )


def by_signs(
    facts: Facts,
    kinds: Iterable[SignKind],
    sure: float,
    next: str,
    remedy: str | None,
    *,
    most: int = 3,
    only: Callable[[Sign], bool] = lambda sign: True,
    beats: Iterable[str] = (),
) -> Finding | None:
    """What lines of these kinds say. The first error of a log is the cause: what comes after another one is less sure."""
    found = [sign for sign in facts.signs(*kinds) if only(sign)]
    if not found:
        return None
    root = facts.root()
    if (
        root is not None
        and root.seq < found[0].seq
        and not {root.kind, *_KIN.get(root.kind, ())} & {sign.kind for sign in found}
        and _is_ahead(root, found[0])
    ):
        sure -= 0.12
    return Finding(
        sure=sure, because=tuple(sign.cite() for sign in found[:most]), next=next, remedy=remedy, beats=frozenset(beats)
    )


def _is_ahead(root: Sign, sign: Sign) -> bool:
    """Whether one sign may have led to the other: not when two instances of the same log said them."""
    if not root.group or not sign.group:
        return True
    return root.group.split("/")[0] == sign.group.split("/")[0]
