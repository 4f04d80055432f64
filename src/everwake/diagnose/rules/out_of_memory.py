"""It was killed for memory, or ran into its runtime's own limit."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Give it more memory, or load less at once."


def explain(facts: Facts) -> Finding | None:
    """The platform's or the runtime's word; 137 alone is only a kill, which health checks and boot limits do too."""
    told, log = None, facts.log
    if facts.host is not None:
        event = next(
            (
                one
                for one in facts.host.events
                if one.reason.get("oomKilled") or one.reason.get("memoryLimit") or "oom" in one.type.lower()
            ),
            None,
        )
        if event is not None:
            told = Finding(sure=0.95, because=(event.cite(),), next=NEXT, remedy="ask-person")
    killed = None
    if log is not None and not log.has(
        K.BOOT_TIMEOUT, K.HEALTH_TIMEOUT, K.HEALTH_FAILED, K.PORT_TIMEOUT, K.SIGTERM, K.SHUTTING_DOWN
    ):
        killed = by_signs(facts, (K.KILLED,), 0.5 if log.has(K.LISTENING) else 0.62, NEXT, "ask-person")
    return surest(
        told,
        by_signs(facts, (K.MEMORY,), 0.92, NEXT, "ask-person"),
        by_signs(facts, (K.HEAP,), 0.88, "Raise the runtime's own limit or load less at once.", "ask-person"),
        killed,
    )


RULE = Rule(
    cause="out_of_memory",
    explain=explain,
    needs=frozenset({"platform", "log"}),
    beats=frozenset(
        {
            "crashed_at_start",
            "crash_loop",
            "wrong_port",
            "instance_unreachable",
            "no_live_deploy",
            "slow_start",
            "health_check_failing",
            "wake_failed",
            "app_error",
            "healthy",
            "build_failed",
            "benign_shutdown",
        }
    ),
    examples=(
        {"log": ["==> Out of memory (used over 512Mi)", "==> No open ports detected, continuing to scan..."]},
        {
            "log": [
                "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
                "Aborted (core dumped)",
                "==> Exited with status 134",
            ]
        },
        {"log": ["java.lang.OutOfMemoryError: Java heap space"]},
        {"log": ["[2024-01-01 10:00:00 +0000] [7] [ERROR] Worker (pid:14) was sent SIGKILL! Perhaps out of memory?"]},
        {"log": ["State: Terminated  Reason: OOMKilled  Exit Code: 137"]},
        {
            "platform_state": {
                "events": [{"type": "server_failed", "details": {"reason": {"oomKilled": {"memoryLimit": "512Mi"}}}}]
            }
        },
    ),
    counter_examples=(
        {"log": ["Web process failed to bind to $PORT within 60 seconds of launch", "Process exited with status 137"]},
        {"log": ["Memory limit set to 512 MB", "Server listening on port 10000"]},
    ),
)
