"""The domain points elsewhere, or has no certificate for this name."""

from everwake.diagnose.edges import platform_of
from everwake.diagnose.facts import Facts
from everwake.diagnose.rule import Finding, Rule, by_edge, surest
from everwake.model import FailureKind

__all__ = ["RULE", "explain"]

NEXT = "Compare the domain's DNS records with what the platform asks for, then let it issue the certificate."
_CERTIFICATE = {
    FailureKind.CERTIFICATE_WRONG_HOST: 0.85,
    FailureKind.CERTIFICATE_EXPIRED: 0.75,
    FailureKind.CERTIFICATE_UNTRUSTED: 0.6,
}


def explain(facts: Facts) -> Finding | None:
    """A certificate for another name, a page of somebody else, or a name of one's own that does not exist."""
    look, own = facts.look, None
    if look is not None and look.failure is not None:
        if look.failure.kind in _CERTIFICATE:
            own = Finding(
                sure=_CERTIFICATE[look.failure.kind], because=(look.cite_status(),), next=NEXT, remedy="ask-person"
            )
        elif look.failure.kind is FailureKind.DNS_NO_SUCH_NAME and not platform_of(look):
            own = Finding(sure=0.6, because=(look.cite_status(),), next=NEXT, remedy="ask-person")
    return surest(own, by_edge(facts, "domain_misrouted", NEXT, "ask-person"))


RULE = Rule(
    cause="domain_misrouted",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"healthy", "instance_unreachable"}),
    examples=(
        {"http": {"url": "https://www.example.com/", "status": 200, "body": "<h1>This domain is for sale</h1>"}},
        {
            "http": {
                "url": "https://www.example.com/",
                "status": None,
                "failure": {"kind": "certificate_wrong_host", "phase": "tls"},
            }
        },
        {
            "http": {
                "url": "https://www.example.com/",
                "status": 530,
                "headers": {"server": "cloudflare"},
                "body": "error code: 1016",
            }
        },
    ),
    counter_examples=({"http": {"url": "https://www.example.com/", "status": 200, "body": "<h1>Our shop</h1>"}},),
)
