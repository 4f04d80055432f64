"""Its free hours or credit are used up."""

from dataclasses import replace

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import Sign
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.diagnose.rules._seen import EVERYTHING, is_suspended_still

__all__ = ["RULE", "explain"]

NEXT = "Wait for the next month or pay for a plan; everwake budget shows when the hours end and how to stretch them."


def explain(facts: Facts) -> Finding | None:
    """An allowance of nothing left, or a page or line that says so."""
    host, spent = facts.host, None
    if host is not None and host.hours_left is not None and host.hours_left <= 0 and host.suspenders != ():
        is_stopped = bool(host.suspenders) or any(True for _ in facts.hints("suspended_by_platform"))
        spent = Finding(
            sure=0.96 if is_stopped else 0.6,
            because=(host.cite("hours_left", f"{host.hours_left:g} h left"),),
            next=NEXT,
            remedy="ask-person",
            beats=frozenset({"suspended_by_platform"}),
        )
    elif host is not None and host.hours_left is None and "billing" in (host.suspenders or ()) and host.plan == "free":
        spent = Finding(
            sure=0.8,
            because=(host.cite("suspenders", "billing, on a free plan"),),
            next=NEXT,
            remedy="ask-person",
            beats=frozenset({"suspended_by_platform"}),
        )
    is_cut_off = any(True for _ in facts.hints("suspended_by_platform")) or bool(facts.signs(K.SUSPENDED))
    has_hours = host is not None and host.hours_left is not None and host.hours_left > 0
    said = by_signs(
        facts,
        (K.QUOTA,),
        0.94 if is_cut_off else 0.7,
        NEXT,
        "ask-person",
        only=lambda sign: _is_of_running(sign) and not has_hours and is_suspended_still(facts),
    )
    if said is not None and is_cut_off:
        said = replace(said, beats=frozenset({"suspended_by_platform"}))
    return surest(
        spent,
        by_edge(facts, "suspended_free_quota", NEXT, "ask-person"),
        said,
    )


def _is_of_running(sign: Sign) -> bool:
    """Not of building: that allowance stops no service."""
    return "minutes" not in sign.text.lower()


def ruled_out(facts: Facts) -> str | None:
    """There are hours left."""
    left = facts.host.hours_left if facts.host else None
    return f"{left:g} free hours are left" if left is not None and left > 0 else None


RULE = Rule(
    cause="suspended_free_quota",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=EVERYTHING - {"healthy"},
    examples=(
        {
            "http": {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend"}},
            "platform_state": {
                "service": {"suspended": "suspended", "suspenders": ["billing"], "plan": "free"},
                "hours_left": 0,
            },
        },
        {"http": {"url": "https://a.ngrok-free.app/", "status": 403, "headers": {"ngrok-error-code": "ERR_NGROK_725"}}},
    ),
    counter_examples=(
        {"http": {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend"}}},
    ),
    ruled_out=ruled_out,
)
