"""Another service of the same owner is down."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.look import Look
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Run everwake why on that service: it is the one to mend."
BROKER = "Try the message broker's address with a client of your own: host, port, user, and whether it runs."
_OTHERS = ("redis", "cache", "database", "db.", "postgres", "mongo", "mysql", "openai", "disk", "memory")


def explain(facts: Facts) -> Finding | None:
    """Lines about a call to a sibling that failed, a health document that lists others, or the edge of a site's rewrite."""
    return surest(
        by_signs(facts, (K.SIBLING,), 0.72, NEXT, "wait-for-dependency"),
        by_signs(facts, (K.BROKER,), 0.8, BROKER, "wait-for-dependency"),
        _listed(facts),
        by_edge(facts, "dependency_service", NEXT, "wait-for-dependency"),
    )


def _listed(facts: Facts) -> Finding | None:
    look = facts.look
    if look is None or look.status is None or not (look.is_good or look.status in (502, 503)):
        return None
    parts = [
        part for part in look.unwell() if "." in part.path and not any(word in f"{part.path}." for word in _OTHERS)
    ]
    if not parts:
        return None
    return Finding(
        sure=0.68 if _names_services(look) else 0.4,
        because=(look.cite_status(), look.cite_body()),
        next=NEXT,
        remedy="wait-for-dependency",
        beats=frozenset({"healthy"}),
    )


def _names_services(look: Look) -> bool:
    return any(
        word in look.low
        for word in (
            '"services"',
            '"upstream',
            '"microservices"',
            '"downstream',
            '"providers"',
            "-service",
            '"dependencies"',
            '"backends"',
        )
    )


RULE = Rule(
    cause="dependency_service",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"app_error", "health_check_failing", "crashed_at_start", "healthy"}),
    examples=(
        {
            "http": {
                "url": "https://gw.onrender.com/health",
                "status": 200,
                "body": '{"status":"ok","services":{"auth":"down","users":"up"}}',
            }
        },
        {
            "log": [
                "Error: Request failed with status code 502: https://chat.onrender.com/api/session",
                'INFO: "POST /chat HTTP/1.1" 502 Bad Gateway',
            ]
        },
        {"log": ["AxiosError: connect ECONNREFUSED 10.2.0.4:8000 backend unreachable"]},
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://gw.onrender.com/health",
                "status": 200,
                "body": '{"status":"ok","services":{"auth":"up"}}',
            }
        },
    ),
)
