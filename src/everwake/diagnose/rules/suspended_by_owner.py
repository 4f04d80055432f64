"""A member of its workspace paused it, so probing cannot wake it."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.diagnose.rules._seen import EVERYTHING, is_owners, is_suspended_still

__all__ = ["RULE", "explain"]

NEXT = "Resume it, if it is meant to run."


def explain(facts: Facts) -> Finding | None:
    """The edge or the platform says so."""
    host, told = facts.host, None
    names = (host.suspenders or ()) if host else ()
    if host is not None and ("user" in names or "parent_service" in names):
        others = [name for name in names if name not in ("user", "parent_service")]
        step = NEXT if not others else f"Resuming alone will not bring it back: {', '.join(others)} stopped it too."
        told = Finding(
            sure=0.96 if "user" in names else 0.7,
            because=(host.cite("suspenders", ", ".join(names)),),
            next=step,
            remedy="ask-person" if others else "resume",
        )
    if host is not None and host.stage in ("PAUSED", "STOPPED"):
        told = Finding(sure=0.85, because=(host.cite("stage", host.stage),), next=NEXT, remedy="resume")
    said = by_signs(
        facts,
        (K.SUSPENDED,),
        0.75,
        NEXT,
        "resume",
        only=lambda sign: is_owners(sign.text) and is_suspended_still(facts),
    )
    return surest(told, by_edge(facts, "suspended_by_owner", NEXT, "resume"), said)


def ruled_out(facts: Facts) -> str | None:
    """The platform says who suspended it."""
    return "its platform says it is not suspended" if facts.host is not None and facts.host.suspenders == () else None


RULE = Rule(
    cause="suspended_by_owner",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=EVERYTHING,
    examples=(
        {"http": {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend-by-user"}}},
        {"platform_state": {"service": {"suspended": "suspended", "suspenders": ["user"]}}},
        {
            "log": [
                "GET https://a.onrender.com/ net::ERR_FAILED 503",
                "Access to fetch has been blocked by CORS policy",
                "x-render-routing: suspend-by-user",
            ]
        },
    ),
    counter_examples=(
        {"http": {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend"}}},
    ),
    ruled_out=ruled_out,
)
