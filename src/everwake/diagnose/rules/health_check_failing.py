"""It runs and listens, and the path that its platform checks answers wrongly or late."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Ask the checked path yourself: it must answer 2xx within 5 s, without waiting for anything else."


def explain(facts: Facts) -> Finding | None:
    """The platform's word; or a listening program that is killed again; or a health document that says no."""
    log, told = facts.log, None
    if facts.host is not None:
        event = next((one for one in facts.host.events if one.reason.get("unhealthy")), None)
        failing = next((one for one in facts.host.events if one.type == "server_unhealthy"), None)
        if event is not None:
            told = Finding(
                sure=0.9,
                because=(event.cite(),),
                next=NEXT,
                remedy="ask-person",
                beats=frozenset({"instance_unreachable", "crashed_at_start"}),
            )
        elif failing is not None:
            told = Finding(sure=0.7, because=(failing.cite(),), next=NEXT, remedy="ask-person")
    killed = None
    if (
        log is not None
        and log.first(K.KILLED) is not None
        and log.has(K.LISTENING)
        and not log.has(K.MEMORY, K.HEAP, K.BOOT_TIMEOUT, K.WORKER_TIMEOUT)
    ):
        killed = by_signs(facts, (K.KILLED,), 0.52, NEXT, "ask-person", only=lambda sign: sign.number == 137)
    look, unwell = facts.look, None
    if look is not None and look.asks_health and look.status in (500, 503) and look.is_json:
        unwell = Finding(
            sure=0.72,
            because=(look.cite_status(), look.cite_body()),
            next="Read which part of the health document is not well.",
            remedy="ask-person",
        )
    failed = by_signs(facts, (K.HEALTH_FAILED,), 0.78, NEXT, "ask-person")
    after = log.last(K.HEALTHY, K.LIVE) if log is not None else None
    last = log.last(K.HEALTH_FAILED, K.UNHEALTHY) if log is not None else None
    if failed is not None and after is not None and last is not None and after.seq > last.seq:
        failed = Finding(sure=0.35, because=failed.because, next=NEXT, remedy="wait")
    return surest(told, failed, by_signs(facts, (K.HEALTH_TIMEOUT,), 0.62, NEXT, "ask-person"), killed, unwell)


RULE = Rule(
    cause="health_check_failing",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset({"instance_unreachable", "no_live_deploy", "app_error", "crash_loop"}),
    examples=(
        {"log": ["Server listening on port 8000", "HTTP health check failed on port 8000.", "Instance stopped."]},
        {"log": ["==> Timed out after waiting for internal health check at: a.onrender.com:10000 /healthz"]},
        {"log": ["Warning  Unhealthy  kubelet  Readiness probe failed: HTTP probe failed with statuscode: 404"]},
        {
            "platform_state": {
                "events": [{"type": "server_failed", "details": {"reason": {"unhealthy": "timed out after 5 seconds"}}}]
            }
        },
        {"http": {"url": "https://a.fly.dev/readyz", "status": 503, "body": '{"ready":false,"disk":"critical"}'}},
    ),
    counter_examples=(
        {
            "log": [
                "Server listening on port 8000",
                "Instance is unhealthy. Attempting recovery...",
                "Instance is healthy. All health checks are passing.",
            ]
        },
        {"log": ["ModuleNotFoundError: No module named 'app'", "HTTP health check failed on port 8000."]},
    ),
)
