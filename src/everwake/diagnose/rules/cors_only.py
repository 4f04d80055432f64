"""The service answers; only a browser refuses, because the origin is not allowed."""

from everwake.diagnose.edges import hints
from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.look import Look
from everwake.diagnose.rule import Finding, Rule, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Add the page's origin (scheme, host and port, no path, no slash at the end) to the list of allowed origins."


def explain(facts: Facts) -> Finding | None:
    """An answer from the application that refuses an origin. Over an edge's 5xx a browser's CORS message says nothing."""
    seen = next((found for look in facts.looks if (found := _refused(look, facts))), None)
    is_edge = any(True for look in facts.routed for _ in hints(look, facts.where))
    sure = 0.3 if is_edge else 0.68 if not facts.looks or facts.is_answering else 0.45
    return surest(seen, by_signs(facts, (K.CORS,), sure, NEXT, "fix-variables"))


def _refused(look: Look, facts: Facts) -> Finding | None:
    origin = look.request_headers.get("origin", "")
    allowed = look.headers.get("access-control-allow-origin")
    if next(hints(look, facts.where), None) is not None or look.status is None:
        return None
    if "disallowed cors origin" in look.low or "not allowed by cors" in look.low or "cors policy" in look.low:
        return Finding(sure=0.93, because=(look.cite_status(), look.cite_body()), next=NEXT, remedy="fix-variables")
    if look.is_preflight and 300 <= look.status < 400:
        return Finding(
            sure=0.85,
            because=(look.cite_status(), look.cite_header("location")),
            next="Call the address that needs no redirect (slash at the end, https): browsers refuse a redirected preflight.",
            remedy="ask-person",
        )
    if not origin or look.status >= 500:
        return None
    if allowed is None and (look.is_preflight or look.is_good):
        sure = 0.75 if look.is_preflight else 0.5
        return Finding(
            sure=sure,
            because=(look.cite_status(), look.cite_header("access-control-allow-origin")),
            next=NEXT,
            remedy="fix-variables",
        )
    if allowed is not None and allowed not in ("*", origin):
        return Finding(
            sure=0.88,
            because=(look.cite_status(), look.cite_header("access-control-allow-origin")),
            next=NEXT,
            remedy="fix-variables",
        )
    if allowed == "*" and look.headers.get("access-control-allow-credentials") == "true":
        return Finding(
            sure=0.6,
            because=(look.cite_header("access-control-allow-origin"),),
            next="Name the origin: with credentials a browser does not take *.",
            remedy="fix-variables",
        )
    return None


RULE = Rule(
    cause="cors_only",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"healthy", "app_error"}),
    examples=(
        {
            "http": {
                "url": "https://api.example.com/x",
                "request": {
                    "method": "OPTIONS",
                    "headers": {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"},
                },
                "status": 400,
                "body": "Disallowed CORS origin",
            }
        },
        {
            "http": {
                "url": "https://api.example.com/x",
                "request": {"method": "GET", "headers": {"Origin": "https://app.example.com"}},
                "status": 200,
                "headers": {"access-control-allow-origin": "https://other.example.com"},
            }
        },
        {
            "log": [
                "Access to fetch at 'https://api.example.com/x' from origin 'https://app.example.com' blocked by CORS policy"
            ]
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://api.onrender.com/x",
                "request": {"method": "OPTIONS", "headers": {"Origin": "https://app.example.com"}},
                "status": 503,
                "headers": {"x-render-routing": "hibernate-pending-wake"},
            }
        },
        {
            "http": {
                "url": "https://api.example.com/x",
                "request": {"method": "GET", "headers": {"Origin": "https://app.example.com"}},
                "status": 200,
                "headers": {"access-control-allow-origin": "https://app.example.com"},
            }
        },
    ),
)
