"""Why a service is not up: ranked causes with evidence, out of facts."""

from everwake.diagnose import _registry
from everwake.diagnose.engine import rank
from everwake.diagnose.facts import Facts
from everwake.model import Diagnosis

__all__ = ["diagnose"]


def diagnose(facts: Facts) -> Diagnosis:
    """What all known rules make of the facts."""
    return rank(facts, _registry.rules())
