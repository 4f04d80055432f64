"""The one noun of `everwake.model` that `everwake doctor` needs; everybody else takes it from there.

It stands alone since the other twenty cost as long to make (15 ms) as the doctor takes to examine a file (bench/doctor.py).
"""

from dataclasses import dataclass, field

__all__ = ["VariableProblem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableProblem:
    """Something wrong with one variable. problem: a name of `doctor.problems`.   is_error: it will not work; else advice.

    line, column: from 1, in the file or in the value; None where there is no place.   found: the offending text, masked.
    fix: what to do, in words.   value: what it should be, only where there is exactly one safe answer (never shown: it may be a
    secret).
    """

    key: str
    problem: str
    is_error: bool
    fix: str
    line: int | None = None
    column: int | None = None
    found: str = ""
    service: str | None = None
    value: str | None = field(default=None, repr=False)
