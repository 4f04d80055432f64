"""The criteria as JUnit XML, which every CI shows: a suite for each service, a case for each criterion. Pure.

Not met is a failure, not shown is an error (it says nothing of the service), what a service does not have is skipped. The format
is that of Jenkins' junit-10.xsd.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from everwake.model import Criterion

__all__ = ["Suite", "junit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One service. titles: criteria in words, by name.   lacking: what it does not have, and why."""

    service: str
    at: datetime
    took_s: float
    criteria: Sequence[Criterion]
    titles: Mapping[str, str]
    lacking: Mapping[str, str]


def junit(suites: Sequence[Suite]) -> str:
    """The document."""
    cases = sum(len(one.criteria) + len(one.lacking) for one in suites)
    failed = sum(criterion.met is False for one in suites for criterion in one.criteria)
    unshown = sum(criterion.met is None for one in suites for criterion in one.criteria)
    head = f'<testsuites name="everwake verify" tests="{cases}" failures="{failed}" errors="{unshown}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *map(_suite, suites), "</testsuites>", ""])


def _suite(one: Suite) -> str:
    counts = (
        f'tests="{len(one.criteria) + len(one.lacking)}" failures="{sum(c.met is False for c in one.criteria)}" '
        f'errors="{sum(c.met is None for c in one.criteria)}" skipped="{len(one.lacking)}"'
    )
    at = f"{one.at:%Y-%m-%dT%H:%M:%S}"
    rows = [f'  <testsuite name={_attr(one.service)} {counts} time="{one.took_s:.3f}" timestamp="{at}">']
    for criterion in one.criteria:
        rows.append(_case(one, criterion.name, _outcome(criterion)))
    for name, why in one.lacking.items():
        rows.append(_case(one, name, f"<skipped message={_attr(why)}/>"))
    return "\n".join([*rows, "  </testsuite>"])


def _outcome(criterion: Criterion) -> str:
    said = _clean(criterion.said)
    if criterion.met:
        return f"<system-out>{escape(said)}</system-out>"
    kind = "failure" if criterion.met is False else "error"
    return f"<{kind} type={_attr(criterion.name)} message={_attr(said)}/>"


def _case(one: Suite, name: str, outcome: str) -> str:
    titled = _attr(one.titles.get(name, name))
    return f"    <testcase classname={_attr(f'everwake.verify.{one.service}')} name={titled}>{outcome}</testcase>"


def _attr(text: str) -> str:
    return quoteattr(_clean(text))


def _clean(text: str) -> str:
    """Without what XML 1.0 has no place for (its `Char` production): some of it comes from strangers' logs."""
    return "".join(
        char if char in "\t\n" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char > "\uffff" else "�"
        for char in text
    )
