"""The platform paused it: billing, policy or quota; the edge does not say which."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.diagnose.rules._seen import EVERYTHING, is_owners, is_suspended_still

__all__ = ["RULE", "explain"]

NEXT = "Look at the billing page and the mails of the workspace: only a person can lift this."
_NAMES = frozenset({"admin", "billing", "hipaa_enablement", "unknown", "stuck_crashlooping"})


def explain(facts: Facts) -> Finding | None:
    """The edge or the platform says so."""
    host, told = facts.host, None
    names = (host.suspenders or ()) if host else ()
    stopped = [name for name in names if name not in ("user", "parent_service")]
    if host is not None and stopped:
        told = Finding(
            sure=0.9 if "user" not in names else 0.8,
            because=(host.cite("suspenders", ", ".join(names)),),
            next=NEXT,
            remedy="ask-person",
        )
    return surest(
        told,
        by_edge(facts, "suspended_by_platform", NEXT, "ask-person"),
        by_signs(
            facts,
            (K.SUSPENDED,),
            0.7,
            NEXT,
            "ask-person",
            only=lambda sign: not is_owners(sign.text) and is_suspended_still(facts),
        ),
    )


def ruled_out(facts: Facts) -> str | None:
    """The platform says who suspended it."""
    return "its platform says it is not suspended" if facts.host is not None and facts.host.suspenders == () else None


RULE = Rule(
    cause="suspended_by_platform",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=EVERYTHING,
    examples=(
        {"http": {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend"}}},
        {"platform_state": {"service": {"suspended": "suspended", "suspenders": ["billing"]}}},
        {"http": {"url": "https://a.vercel.app/", "status": 402, "headers": {"x-vercel-error": "DEPLOYMENT_DISABLED"}}},
    ),
    counter_examples=(
        {"http": {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend-by-user"}}},
        {"log": ["==> Service suspended (billing)"], "platform_state": {"service": {"suspended": "not_suspended"}}},
        {"log": ["==> Service suspended (billing)", "==> Service resumed"]},
    ),
    ruled_out=ruled_out,
)
