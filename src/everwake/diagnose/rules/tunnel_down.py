"""The tunnel in front of it (Cloudflare Tunnel, ngrok) is not connected."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Start the tunnel's agent on the machine that runs the service, and let a supervisor keep it up."


def explain(facts: Facts) -> Finding | None:
    """The edge of the tunnel, or the agent's own log."""
    return surest(
        by_edge(facts, "tunnel_down", NEXT, "ask-person"), by_signs(facts, (K.TUNNEL,), 0.75, NEXT, "ask-person")
    )


RULE = Rule(
    cause="tunnel_down",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"instance_unreachable", "app_error", "healthy"}),
    examples=(
        {
            "http": {
                "url": "https://t.example.com/",
                "status": 530,
                "headers": {"server": "cloudflare"},
                "body": "error code: 1033",
            }
        },
        {
            "http": {
                "url": "https://abc.ngrok-free.app/",
                "status": 404,
                "headers": {"ngrok-error-code": "ERR_NGROK_3200"},
            }
        },
        {"log": ["ERR Failed to dial to edge with quic: timeout: no recent network activity"]},
    ),
    counter_examples=({"http": {"url": "https://t.example.com/", "status": 521, "headers": {"server": "cloudflare"}}},),
)
