"""What a remedy can do, by name: the steps that playbooks are made of. Pure.

A step is remembered by these names, so they outlive an update: a name may come, none may change its meaning.
"""

from collections.abc import Mapping
from enum import StrEnum

from everwake.model import RemedyStep

__all__ = ["NEEDS", "Do", "step"]


class Do(StrEnum):
    """One kind of step. Each may be done again after a crash without being done twice: see `execute`."""

    WAKE = "wake"  # one patient GET
    WRITE_VARIABLES = "write-variables"  # args: `keys`, blank between; values come from the doctor at the time
    PUT_BACK_VARIABLES = "put-back-variables"  # args: `run`, whose writes are undone
    DEPLOY = "deploy"
    DEPLOY_CLEAR_CACHE = "deploy-clear-cache"
    ROLLBACK = "rollback"  # args: `deploy`, the one that is deployed again
    FOLLOW = "follow"  # the deploy of the step before, to its end
    RESTART = "restart"
    RESUME = "resume"


NEEDS: Mapping[Do, frozenset[str]] = {
    Do.WAKE: frozenset(),
    Do.WRITE_VARIABLES: frozenset({"variables", "set_variables"}),
    Do.PUT_BACK_VARIABLES: frozenset({"variables", "set_variables"}),
    Do.DEPLOY: frozenset({"deploy"}),
    Do.DEPLOY_CLEAR_CACHE: frozenset({"deploy"}),
    Do.ROLLBACK: frozenset({"rollback"}),
    Do.FOLLOW: frozenset({"follow"}),
    Do.RESTART: frozenset({"restart"}),
    Do.RESUME: frozenset({"resume", "service"}),
}
"""The verbs (`ports.Platform`) that a step asks a platform for."""


def step(do: Do, says: str, **args: str) -> RemedyStep:
    """One step of a plan."""
    return RemedyStep(do=do.value, says=says, args=args)
