"""The platform itself is at fault, or moves things for its own reasons."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Look at the platform's status page; restart once, and otherwise wait."
_MESSAGES = ("scheduling failure", "unable to schedule", "internal error", "no capacity", "node", "hardware")


def explain(facts: Facts) -> Finding | None:
    """An evicted instance, an error of scheduling, an internal error of the edge."""
    host, told = facts.host, None
    if host is not None:
        event = next((one for one in host.events if one.reason.get("evicted")), None)
        if event is not None:
            told = Finding(
                sure=0.75,
                because=(event.cite(),),
                next="Nothing to do: the platform moved the instance; look whether it is back.",
                remedy="wait",
                beats=frozenset({"crashed_at_start"}),
            )
        low = host.message.lower()
        if host.stage.endswith("ERROR") and any(word in low for word in _MESSAGES):
            told = Finding(
                sure=0.86,
                because=(host.cite("errorMessage", host.message),),
                next=NEXT,
                remedy="restart",
                beats=frozenset({"crashed_at_start"}),
            )
    return surest(
        told, by_signs(facts, (K.PLATFORM,), 0.8, NEXT, "restart"), by_edge(facts, "platform_incident", NEXT, "wait")
    )


RULE = Rule(
    cause="platform_incident",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset({"instance_unreachable"}),
    examples=(
        {
            "platform": "huggingface",
            "platform_state": {"stage": "RUNTIME_ERROR", "errorMessage": "Scheduling failure: unable to schedule"},
        },
        {"log": ["Scheduling failure: unable to schedule"]},
        {"platform_state": {"events": [{"type": "server_failed", "details": {"reason": {"evicted": True}}}]}},
    ),
    counter_examples=(
        {
            "platform": "huggingface",
            "platform_state": {"stage": "RUNTIME_ERROR", "errorMessage": "Exit code: 1. Reason: Traceback"},
        },
    ),
)
