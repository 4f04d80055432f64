"""The edge tried to wake it and gave up: bad luck once, a crash at start when it persists."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.rule import Finding, Rule, by_edge

__all__ = ["RULE", "explain"]

NEXT = "Ask once more with one long GET; when that fails too, read the log of its last start."


def explain(facts: Facts) -> Finding | None:
    """Only the edge can say it."""
    return by_edge(facts, "wake_failed", NEXT, "wake")


RULE = Rule(
    cause="wake_failed",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"waking", "asleep"}),
    examples=(
        {
            "http": {
                "url": "https://a.onrender.com/x",
                "status": 502,
                "headers": {"x-render-routing": "hibernate-wake-error"},
            }
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://a.onrender.com/x",
                "status": 503,
                "headers": {"x-render-routing": "hibernate-pending-wake"},
            }
        },
        {
            "http": {
                "url": "https://a.onrender.com/",
                "status": 503,
                "headers": {"x-render-routing": "hibernate-wake-error"},
            },
            "log": ["ModuleNotFoundError: No module named 'app'", "==> Exited with status 1"],
        },
    ),
)
