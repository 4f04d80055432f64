"""Mend what has exactly one safe answer, and nothing else: what is not mended keeps every byte. Pure.

A mend is proved before it is made: the new text is examined again, and an edit after which its problem is still found, or by
which another error came in, is left out.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from everwake.doctor.case import Edit
from everwake.doctor.examination import Finding, Study, apply

__all__ = ["Mended", "mend", "mend_values"]

_PASSES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A text after mending. fixed: what was wrong and is no more.   study: of the new text."""

    text: str = field(repr=False)
    fixed: tuple[Finding, ...]
    study: Study


def mend(text: str, examine: Callable[[str], Study]) -> Mended:
    """The text with everything mended that can be. examine: how such a text is studied; called a few times."""
    study, fixed, refused = examine(text), [], set[tuple[str, str]]()
    for _ in range(_PASSES):
        chosen = [one for one in study.findings if _name(one) not in refused and (one.text_edits or one.value_edits)]
        edits, made, unwritten = _edits(study, chosen)
        refused |= {_name(one) for one in unwritten}
        if not made:
            break
        mended = apply(text, edits)
        after = examine(mended)
        still = _not_better(study, after, made)
        if still:
            refused |= still
            continue
        text, study = mended, after
        fixed += made
        refused.clear()  # what could not be said in the text of before may be said in this one
    return Mended(text=text, fixed=tuple(fixed), study=study)


def _name(finding: Finding) -> tuple[str, str]:
    return finding.name, finding.problem.problem


def _edits(study: Study, chosen: list[Finding]) -> tuple[list[Edit], list[Finding], list[Finding]]:
    """Edits into the text, the findings they stand for, and those the text cannot say; what overlaps waits for the next pass.

    The text's own edits come first: a line that moves takes its value along.
    """
    edits: list[Edit] = []
    made: list[Finding] = []
    unwritten: list[Finding] = []
    for one in chosen:
        if one.text_edits and not any(_overlaps(edit, other) for edit in one.text_edits for other in edits):
            edits += one.text_edits
            made.append(one)
    by_name: dict[str, list[Finding]] = {}
    for one in chosen:
        if one.value_edits and not one.text_edits:
            by_name.setdefault(one.name, []).append(one)
    for name, findings in by_name.items():
        value = apply(study.values[name], [edit for one in findings for edit in one.value_edits])
        written = study.write(name, value) if study.write is not None else None
        if written is None:
            unwritten += findings
        elif not any(_overlaps(written, other) for other in edits):
            edits.append(written)
            made += findings
    return edits, made, unwritten


def _overlaps(one: Edit, other: Edit) -> bool:
    return (one[0] < other[1] and other[0] < one[1]) or one[0] == other[0]


def _not_better(before: Study, after: Study, made: list[Finding]) -> set[tuple[str, str]]:
    """What to leave out, since it is still found, or since a new error stands at its variable."""
    left = Counter(_name(one) for one in after.findings)
    had = Counter(_name(one) for one in before.findings)
    tried = Counter(_name(one) for one in made)
    still = {name for name in tried if left[name] > had[name] - tried[name]}
    new = {one.name for one in after.findings if one.problem.is_error and _name(one) not in had}
    # A value that was mended may show what its quotes had hidden; that is told in the next pass, and is no fault of the mend.
    worse = {one.name for one in made if one.name in new and one.text_edits}
    lost = {one.name for one in made if one.name != "*" and one.name not in after.values and one.name in before.values}
    return still | _of(made, worse | lost)


def _of(made: list[Finding], names: set[str]) -> set[tuple[str, str]]:
    return {_name(one) for one in made if one.name in names}


def mend_values(study: Study) -> dict[str, str]:
    """Variable -> new value, for a deployed service: what has one safe answer, and only what changes."""
    by_name: dict[str, list[Edit]] = {}
    for one in study.findings:
        by_name.setdefault(one.name, []).extend(one.value_edits)
    new = {name: apply(study.values[name], edits) for name, edits in by_name.items() if edits}
    return {name: value for name, value in new.items() if value != study.values[name]}
