"""What was seen supports no name; the honest answer is to ask for more.

The engine says it when no rule is sure enough; this rule only for what is known to tell nothing.
"""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule

__all__ = ["RULE", "explain"]


def explain(facts: Facts) -> Finding | None:
    """A platform that lost the log says so; a log of nothing but a start says nothing about its end."""
    log = facts.log
    if log is None or facts.looks:
        return None
    lost = next((sign for sign in facts.signs(K.EXIT) if "?" in sign.text), None)
    if lost is not None:
        return Finding(
            sure=0.6,
            because=(lost.cite(),),
            next="Restart it with the log open: the platform kept none of this end.",
            remedy="ask-person",
        )
    return None


RULE = Rule(
    cause="unknown",
    explain=explain,
    needs=frozenset({"log"}),
    beats=frozenset(),
    examples=(
        {"log": ["Exit code: ?. Reason: ", "Container logs:", "Failed to retrieve error logs: SSE is not enabled"]},
        {"log": ["Starting init (commit: 15238e9)...", "Preparing to run: `/app/start` as root"]},
        {"http": {"url": "https://api.example.com/", "status": None}},
        {},
    ),
    counter_examples=({"log": ["Server listening on port 10000", "==> Your service is live"]},),
)
