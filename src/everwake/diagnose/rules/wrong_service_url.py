"""A wrong address of a sibling service is used: a name that is nobody's, or a rewrite that leads nowhere."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.model import Evidence

__all__ = ["RULE", "explain"]

NEXT = "Write the sibling's real address where this one stands."
_NOBODY = (
    "enotfound",
    "name or service not known",
    "no such host",
    "could not resolve",
    "nodename nor servname",
    "name resolution",
    "getaddrinfo",
)


def explain(facts: Facts) -> Finding | None:
    """The doctor knows the fleet; the log may say that the name does not exist; the edge that a rewrite has no answer."""
    problems = [one for one in facts.problems if one.is_error and one.problem == "wrong_sibling_host"]
    doctor = None
    if problems:
        because = tuple(Evidence(source=f"variables.{one.key}", quote=one.found or one.fix) for one in problems[:3])
        doctor = Finding(
            sure=0.82,
            because=because,
            next=f"{problems[0].key}: {problems[0].fix}"[:300],
            remedy="point-to-sibling",
        )
    return surest(
        doctor,
        by_edge(facts, "wrong_service_url", NEXT, "point-to-sibling"),
        by_signs(
            facts,
            (K.SIBLING,),
            0.78,
            NEXT,
            "point-to-sibling",
            only=lambda sign: any(word in sign.text.lower() for word in _NOBODY),
        ),
        by_signs(
            facts,
            (K.SIBLING,),
            0.76,
            NEXT,
            "point-to-sibling",
            only=lambda sign: "no-server" in sign.text.lower() or "status code 404" in sign.text.lower(),
        ),
    )


RULE = Rule(
    cause="wrong_service_url",
    explain=explain,
    needs=frozenset({"http", "log", "variables"}),
    beats=frozenset({"dependency_service", "app_error", "healthy"}),
    examples=(
        {
            "http": {
                "url": "https://web.onrender.com/api/x",
                "status": 502,
                "headers": {"x-render-routing": "rewrite-error"},
            }
        },
        {"log": ["Error: getaddrinfo ENOTFOUND chatify-chatbot-ww0z.onrender.com"]},
        {
            "http": {
                "url": "https://web.vercel.app/api/x",
                "status": 502,
                "headers": {"x-vercel-error": "DNS_HOSTNAME_NOT_FOUND"},
            }
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://web.onrender.com/",
                "status": 404,
                "headers": {"x-render-routing": "static-no-asset"},
            }
        },
    ),
)
