"""It is asleep, and the edge refuses further wake-ups: quick retries are what brings this about."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.rule import Finding, Rule, by_edge

__all__ = ["RULE", "explain"]

NEXT = "Leave it alone for a minute, then wake it with one long GET; who retries quickly is throttled again."


def explain(facts: Facts) -> Finding | None:
    """Only the edge can say it; an application's own 429 is JSON."""
    return by_edge(facts, "wake_throttled", NEXT, "wait")


RULE = Rule(
    cause="wake_throttled",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"waking", "asleep"}),
    examples=(
        {
            "http": {
                "url": "https://a.onrender.com/",
                "status": 429,
                "headers": {"x-render-routing": "hibernate-rate-limited"},
            }
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://a.onrender.com/",
                "status": 429,
                "headers": {"content-type": "application/json"},
                "body": '{"error":"slow down"}',
            }
        },
    ),
)
