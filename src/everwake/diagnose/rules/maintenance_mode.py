"""Its owner switched on a maintenance page."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.diagnose.rules._seen import is_outlived

__all__ = ["RULE", "explain"]

NEXT = "Switch maintenance mode off when the work is done."


def explain(facts: Facts) -> Finding | None:
    """The platform's setting, its page, or its router's code."""
    host, told = facts.host, None
    if host is not None and host.is_in_maintenance:
        told = Finding(sure=0.96, because=(host.cite("maintenanceMode", "enabled"),), next=NEXT, remedy="ask-person")
    look, page = facts.look, None
    if look is not None and look.status == 503 and "maintenancemodeexception" in look.low:
        page = Finding(
            sure=0.85, because=(look.cite_status(), look.cite_body("maintenancemode")), next=NEXT, remedy="ask-person"
        )
    return surest(
        told,
        page,
        by_edge(facts, "maintenance_mode", NEXT, "ask-person"),
        by_signs(
            facts,
            (K.MAINTENANCE,),
            0.75,
            NEXT,
            "ask-person",
            only=lambda sign: not facts.is_answering and not is_outlived(facts, sign),
        ),
    )


RULE = Rule(
    cause="maintenance_mode",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset(
        {"instance_unreachable", "app_error", "healthy", "waking", "asleep", "no_live_deploy", "crashed_at_start"}
    ),
    examples=(
        {"platform_state": {"service": {"serviceDetails": {"maintenanceMode": {"enabled": True}}}}},
        {
            "http": {
                "url": "https://a.herokuapp.com/",
                "status": 503,
                "body": '<iframe src="//www.herokucdn.com/error-pages/maintenance-mode.html">',
            }
        },
    ),
    counter_examples=(
        {"platform_state": {"service": {"suspenders": [], "serviceDetails": {"maintenanceMode": {"enabled": False}}}}},
    ),
)
