"""It is starting after sleep: the edge holds or refuses requests for a while, and that is no failure."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.model import FailureKind, Phase

__all__ = ["RULE", "explain"]

NEXT = "Wait: a start after sleep takes 19-90 s on Render; ask once with a long GET and no quick retries."
# Platforms that hold a request to a sleeping service until it answers.
_HOLD = ("render", "railway", "koyeb", "fly", "huggingface", "cloud_run", "heroku")


def explain(facts: Facts) -> Finding | None:
    """The edge says so; or the request was held until the client gave up, on a platform that does that."""
    said = by_signs(facts, (K.WAKING,), 0.6, NEXT, "wait", only=lambda sign: _is_last(facts, sign.seq))
    return surest(by_edge(facts, "waking", NEXT, "wait"), _held(facts), _came(facts), said)


def _held(facts: Facts) -> Finding | None:
    look = facts.look
    if look is None or look.status is not None or look.failure is None or facts.where not in _HOLD:
        return None
    never_sleeps = facts.host is not None and facts.host.plan not in ("", "free")
    if (
        never_sleeps
        or look.failure.kind is not FailureKind.TIMEOUT
        or look.failure.phase not in (Phase.FIRST_BYTE, Phase.TRANSFER)
    ):
        return None
    return Finding(sure=0.55, because=(look.cite_status(),), next=NEXT, remedy="wait")


def _came(facts: Facts) -> Finding | None:
    """Later looks tell how it went on: an edge's refusal that turned into an answer was a start."""
    first, good = (
        facts.look,
        next((one for one in facts.looks[1:] if one.is_good and one.source != "http.earlier"), None),
    )
    if first is None or good is None or first.is_good or first.is_own or first.method != good.method:
        return None
    if first.status not in (404, 429, 502, 503, 504, None) or (first.host and first.host != good.host):
        return None
    over = frozenset({"no_live_deploy", "no_such_service", "instance_unreachable", "suspended_by_owner"})
    return Finding(sure=0.72, because=(first.cite_status(), good.cite_status()), next=NEXT, remedy="wait", beats=over)


def _is_last(facts: Facts, seq: int) -> bool:
    later = facts.log.last(K.LISTENING, K.CRASHED, K.LIVE, K.SERVED, K.EXIT) if facts.log else None
    return later is None or later.seq < seq


RULE = Rule(
    cause="waking",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"instance_unreachable", "slow_start"}),
    examples=(
        {
            "http": {
                "url": "https://a.onrender.com/health",
                "status": 503,
                "headers": {"x-render-routing": "hibernate-pending-wake", "retry-after": "5"},
            }
        },
        {
            "http": {
                "url": "https://a.onrender.com/health",
                "status": None,
                "failure": {"kind": "timeout", "phase": "first_byte"},
                "elapsed_ms": 30000,
            }
        },
        {
            "http": {
                "url": "https://a.onrender.com/",
                "status": 200,
                "body": "<title>Render</title> SERVICE WAKING UP ... ALLOCATING COMPUTE RESOURCES",
            }
        },
        {
            "http": {
                "url": "https://a.up.railway.app/",
                "status": 404,
                "headers": {"x-railway-fallback": "true"},
                "probes": [{"status": 200, "body": "ok"}],
            }
        },
    ),
    counter_examples=(
        {"http": {"url": "https://a.onrender.com/", "status": 503, "headers": {"x-render-routing": "suspend"}}},
        {
            "http": {
                "url": "https://api.example.com/",
                "status": None,
                "failure": {"kind": "refused", "phase": "connect"},
            }
        },
    ),
)
