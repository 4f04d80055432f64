"""What the doctor looks for: every file of this folder is one family of problems, with examples that a test runs.

One new family is one new file with its `RULE`; names and sentences stand in `doctor.problems`.
"""

import pkgutil
from functools import cache
from importlib import import_module

from everwake.doctor.case import Rule

__all__ = ["rules"]


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule of this folder, in the order in which they look."""
    names = (found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))
    return tuple(
        sorted((import_module(f"{__name__}.{name}").RULE for name in names), key=lambda rule: (rule.order, rule.name))
    )
