"""A bot check or firewall answered, not the service: this look says nothing about it."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Let the check pass the firewall (a rule for its path or a header), or ask the platform's own address; this is no outage."


def explain(facts: Facts) -> Finding | None:
    """The CDN's own pages and headers."""
    return surest(
        by_edge(facts, "edge_blocked", NEXT, "ask-person"), by_signs(facts, (K.BLOCKED,), 0.6, NEXT, "ask-person")
    )


RULE = Rule(
    cause="edge_blocked",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"healthy", "app_error", "instance_unreachable", "waking"}),
    examples=(
        {
            "http": {
                "url": "https://a.example.com/",
                "status": 403,
                "headers": {"cf-mitigated": "challenge", "server": "cloudflare"},
                "body": "<title>Just a moment...</title>",
            }
        },
        {
            "http": {
                "url": "https://a.example.com/",
                "status": 403,
                "headers": {"server": "cloudflare"},
                "body": "Sorry, you have been blocked",
            }
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://a.example.com/",
                "status": 403,
                "headers": {"content-type": "application/json"},
                "body": '{"error":"forbidden"}',
            }
        },
    ),
)
