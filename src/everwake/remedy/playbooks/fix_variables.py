"""Mend the variables that the diagnosis blames, and only those, then deploy."""

from everwake.model import Cause
from everwake.remedy.plan import Act, AskHuman, Case, Playbook, Unfit, blamed, live_deploy
from everwake.remedy.steps import Do, step

__all__ = ["PLAYBOOK", "fits", "mending"]

SIBLING = "wrong_sibling_host"


def fits(case: Case, cause: Cause) -> Act | AskHuman | Unfit:
    """Where each of them has exactly one safe answer, and more than the doctor speaks against it."""
    found = mending(case, cause, PLAYBOOK)
    live = live_deploy(case)
    if isinstance(found, Act) and not case.asked and live is not None and _is_doctors(cause):
        said = f"{found.about} is wrong, but nothing says that it is why: {live.id} is live with it"
        return AskHuman(cause=cause.cause, reason=said, next=cause.next, plan=found)
    return found


def _is_doctors(cause: Cause) -> bool:
    """Whether only the doctor names it: no line of a log, no answer."""
    return bool(cause.evidence) and all(one.source.startswith("variables.") for one in cause.evidence)


def mending(case: Case, cause: Cause, playbook: Playbook, only: str | None = None) -> Act | AskHuman | Unfit:
    """The plan. only: of this problem alone."""
    keys = blamed(case, cause)
    problems = [
        one for one in case.diagnosis.variables if one.key in keys and one.is_error and only in (None, one.problem)
    ]
    # A placeholder is only advice, for many services go without that key; where the log names it, it is what is wrong.
    advised = blamed(case, cause, is_error=False) if not problems and cause.cause == "bad_env_var" else ()
    suspects = problems or [one for one in case.diagnosis.variables if one.key in advised and not one.is_error]
    unsafe = [one for one in suspects if one.value is None]
    if unsafe:
        first = unsafe[0]
        said = f"{first.key}: {first.problem.replace('_', ' ')}, and only a person knows what it should be"
        return AskHuman(cause=cause.cause, reason=said, next=f"{first.key}: {first.fix}"[:300])
    if not problems:
        return Unfit(why="no variable is to blame that the doctor finds something wrong with")
    named = tuple(dict.fromkeys(one.key for one in problems))
    first = problems[0]
    place = f", column {first.column}" if first.column else ""
    return Act(
        playbook=playbook.name, cause=cause.cause, about=" ".join(sorted(named)), deploys=1, costs=playbook.costs,
        why=f"{first.key}{place}: {first.problem.replace('_', ' ')}; {first.fix}"[:300], proved_by=playbook.proved_by,
        steps=(
            step(Do.WRITE_VARIABLES, f"mend {', '.join(named)}", keys=" ".join(named)),
            step(Do.DEPLOY, "deploy"),
            step(Do.FOLLOW, "watch the deploy"),
        ),
    )  # fmt: skip


PLAYBOOK = Playbook(
    name="fix-variables", rank=30, fits=fits,
    about="Write what the doctor says into the variables that are to blame, and into no other; then deploy.",
    costs="one deploy", proved_by="it starts with the mended variables and goes on to answer",
    cures=frozenset({"bad_env_var", "missing_env_var", "dependency_redis", "dependency_database", "dependency_tls", "cors_only"}),
)  # fmt: skip
