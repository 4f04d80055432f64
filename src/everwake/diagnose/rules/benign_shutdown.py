"""An instance was stopped on purpose: by a newer deploy, a scale-down, an idle stop. No fault.

Render sends SIGTERM to the old instance about 60 s after a newer one went live, so its "Shutting down" stands right after
"Your service is live" (render.com/articles, read 2026-11). A crash looks different: it has an error or a status of its own.
"""

from everwake.diagnose.facts import ROOTS, Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule

__all__ = ["RULE", "explain"]

NEXT = "Nothing to do."
_NEWER = (K.LIVE, K.DEPLOYING, K.HEALTHY, K.CYCLING)
_FAULT = (
    K.EXCEPTION,
    K.TRACEBACK,
    K.CRASHED,
    K.LOOPING,
    K.BOOT_TIMEOUT,
    K.PORT_TIMEOUT,
    K.HEALTH_FAILED,
    K.HEALTH_TIMEOUT,
    K.WORKER_TIMEOUT,
    K.REFUSED_BY_PROXY,
)
WITHIN_S = 600.0


def explain(facts: Facts) -> Finding | None:
    """A stop in good order, without an error before it; the surer, the nearer a newer instance is."""
    log = facts.log
    if log is None:
        return _event(facts)
    stop = log.first(K.SHUTTING_DOWN, K.SIGTERM)
    if stop is None or log.has(*ROOTS):
        return _event(facts)
    if any(sign.kind is not K.EXIT for sign in facts.signs(*_FAULT)) or any(
        sign.number not in (0, None) for sign in facts.signs(K.EXIT)
    ):
        return None
    near = [
        sign
        for sign in facts.signs(*_NEWER)
        if sign.at is None or stop.at is None or abs((sign.at - stop.at).total_seconds()) <= WITHIN_S
    ]
    live = facts.host.live if facts.host else None
    went_live = live.finished_at if live else None
    if live and facts.host and went_live and stop.at and 0 <= (stop.at - went_live).total_seconds() <= WITHIN_S:
        return Finding(sure=0.88, because=(stop.cite(), facts.host.cite_deploy(live)), next=NEXT)
    return Finding(sure=0.82 if near else 0.6, because=(stop.cite(), *(sign.cite() for sign in near[:1])), next=NEXT)


def _event(facts: Facts) -> Finding | None:
    host = facts.host
    if host is None or facts.log is not None:
        return None
    event = next((one for one in host.events if one.reason.get("newDeploy") or one.reason.get("newBuild")), None)
    return None if event is None else Finding(sure=0.5, because=(event.cite(),), next=NEXT)


RULE = Rule(
    cause="benign_shutdown",
    explain=explain,
    needs=frozenset({"platform", "log"}),
    beats=frozenset({"healthy", "crashed_at_start"}),
    examples=(
        {
            "log": [
                "2026-01-01T10:00:00Z ==> Your service is live",
                "2026-01-01T10:01:00Z INFO:     Shutting down",
                "2026-01-01T10:01:00Z INFO:     Finished server process [38]",
            ]
        },
        {
            "log": [
                "npm error path /app",
                "npm error command failed",
                "npm error signal SIGTERM",
                "==> Your service is live",
            ]
        },
        {
            "log": [
                "2024-01-01T10:00:00+00:00 heroku[web.1]: Cycling",
                "2024-01-01T10:00:01+00:00 heroku[web.1]: Stopping all processes with SIGTERM",
                "2024-01-01T10:00:02+00:00 heroku[web.1]: Process exited with status 143",
            ]
        },
    ),
    counter_examples=(
        {"log": ["ValidationError: 1 validation error for Settings", "INFO:     Shutting down"]},
        {"log": ["INFO:     Shutting down", "==> Out of memory (used over 512Mi)"]},
    ),
)
