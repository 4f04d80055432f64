"""The edge knows a live instance, and got no answer from it: a restart, a crash or a kill; it does not tell."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.model import FailureKind, Phase

__all__ = ["RULE", "explain"]

NEXT = "Read its log around that moment: killed for memory, crashed, or restarted; then restart it if it does not come back."
_SILENT = (FailureKind.REFUSED, FailureKind.RESET, FailureKind.CLOSED_EARLY, FailureKind.TIMEOUT, FailureKind.NO_ROUTE)


def explain(facts: Facts) -> Finding | None:
    """The edge's word, a proxy's line, or a connection that came to nothing."""
    look, silent = facts.look, None
    if look is not None and look.status is None and look.failure is not None and look.failure.kind in _SILENT:
        held = look.failure.kind is FailureKind.TIMEOUT and look.failure.phase in (Phase.FIRST_BYTE, Phase.TRANSFER)
        silent = Finding(sure=0.5 if held else 0.62, because=(look.cite_status(),), next=NEXT, remedy="restart")
    return surest(
        silent,
        by_edge(facts, "instance_unreachable", NEXT, "restart"),
        by_signs(facts, (K.NO_CANDIDATE,), 0.6, NEXT, "restart"),
    )


RULE = Rule(
    cause="instance_unreachable",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset(),
    examples=(
        {
            "http": {
                "url": "https://a.onrender.com/",
                "status": 502,
                "headers": {"x-render-routing": "dynamic-paid-error"},
            }
        },
        {"http": {"url": "https://a.fly.dev/", "status": 503}},
        {
            "http": {
                "url": "https://a.example.com/",
                "status": 522,
                "headers": {"server": "cloudflare"},
                "body": "<title>522: Connection timed out</title>",
            }
        },
        {"http": {"url": "https://a.example.com/", "status": None, "failure": {"kind": "refused", "phase": "connect"}}},
        {
            "http": {
                "url": "https://a.example.com/",
                "status": 502,
                "body": "<html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1><hr><center>nginx/1.18.0</center></html>",
            }
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://a.onrender.com/",
                "status": 503,
                "headers": {"x-render-routing": "hibernate-pending-wake"},
            }
        },
    ),
)
