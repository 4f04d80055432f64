"""An API of somebody else refuses: key, quota, rate, a model that is gone, an outage."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest
from everwake.diagnose.rules._seen import in_health

__all__ = ["RULE", "explain"]

NEXT = "Look at the provider's console: key, quota, billing, model name, status page."
KEY = "Put a key that the provider accepts into its variable (its console makes a new one), then deploy."
_OF_A_KEY = ("provider_rejected_key", "invalid_api_key", "incorrect api key")
WORDS = ("openai", "llm", "anthropic", "gemini", "stripe", "firebase", "external_api")


def explain(facts: Facts) -> Finding | None:
    """The provider's own words in the log, or in the service's answer."""
    next_ = KEY if facts.signs(K.KEY_REFUSED) else NEXT
    return surest(
        by_signs(facts, (K.EXTERNAL,), 0.8, next_, "ask-person"),
        by_signs(facts, (K.KEY_REFUSED,), 0.75 if facts.has_variables else 0.6, next_, "ask-person"),
        in_health(facts, WORDS, NEXT, 0.55),
        _coded(facts),
    )


def _coded(facts: Facts) -> Finding | None:
    """An answer whose own code says that a provider refused."""
    words = (
        "provider_unavailable",
        "provider_rejected_key",
        "insufficient_quota",
        "invalid_api_key",
        "incorrect api key",
        "exceeded your current quota",
        "upstream_provider",
        "model_not_found",
    )
    for look in facts.looks:
        is_refusal = look.status in (429, 500, 502, 503) and look.is_json
        found = next((word for word in words if word in look.low), None) if is_refusal else None
        if found is not None:
            because = (look.cite_status(), look.cite_body(found))
            over = frozenset({"health_check_failing"})
            next_ = KEY if found in _OF_A_KEY else NEXT
            return Finding(sure=0.82, because=because, next=next_, remedy="ask-person", beats=over)
    return None


RULE = Rule(
    cause="dependency_external",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"app_error", "crashed_at_start", "healthy", "dependency_service", "instance_unreachable"}),
    examples=(
        {"log": ["openai.RateLimitError: Error code: 429 - {'error': {'message': 'You exceeded your current quota'}}"]},
        {
            "log": [
                "anthropic.InternalServerError: Error code: 529 - overloaded_error",
                'INFO: 1.2.3.4:0 - "POST /chat HTTP/1.1" 500 Internal Server Error',
            ]
        },
        {
            "http": {
                "url": "https://a.onrender.com/api/v1/chatbot/session/1/message",
                "request": {"method": "POST"},
                "status": 502,
                "headers": {"content-type": "application/problem+json"},
                "body": '{"code":"provider_rejected_key","status":502}',
            }
        },
        {"log": ["StripeAuthenticationError: error 401 from api.stripe.com"]},
    ),
    counter_examples=({"log": ["Connected to api.openai.com", "Server listening on port 10000"]},),
)
