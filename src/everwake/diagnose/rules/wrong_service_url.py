"""A wrong address of a sibling service is used: a name that is nobody's, or a rewrite that leads nowhere."""

from dataclasses import replace

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
_NO_HOST = ('"detail":"no_such_host', '"detail": "no_such_host')


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
    told = _told(facts)
    if doctor is not None and (told is not None or facts.signs(K.SIBLING)):
        doctor = replace(doctor, sure=0.92)  # what the doctor reads in the value, somebody has seen come true
    elif doctor is not None and facts.is_answering:
        doctor = replace(doctor, sure=0.5)  # nothing is done on a value alone while nobody misses anything
    return surest(
        doctor,
        told,
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


def _told(facts: Facts) -> Finding | None:
    """The service's own health document says that the name of a sibling is nobody's."""
    for look in facts.looks:
        word = next((word for word in _NO_HOST if word in look.low), None) if look.is_json else None
        if word is not None:
            return Finding(sure=0.8, because=(look.cite_body(word),), next=NEXT, remedy="point-to-sibling")
    return None


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
                "url": "https://backend.onrender.com/health",
                "status": 200,
                "headers": {"content-type": "application/json"},
                "body": '{"status":"healthy","chatbot":{"state":"waking","detail":"no_such_host 404"}}',
            }
        },
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
