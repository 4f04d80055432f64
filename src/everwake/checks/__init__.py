"""Ways of looking at a service: one file per kind, found by scanning this folder and the entry points `everwake.checks`.

`Checks` runs them. A kind declares `KIND = CheckKind(...)`; files that begin with `_` are the folder's own.
"""

from everwake.checks._kind import CheckKind, Tape, Unmet
from everwake.checks._registry import kinds, specs
from everwake.checks._run import Checks

__all__ = ["CheckKind", "Checks", "Tape", "Unmet", "kinds", "specs"]
