"""It answers as it should: 2xx, an application's own refusal of an unsuitable request, a log of a good start."""

from everwake.diagnose.edges import hints
from everwake.diagnose.facts import ROOTS, Facts
from everwake.diagnose.log.reader import GRAVE
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.look import Look
from everwake.diagnose.rule import Finding, Rule
from everwake.model import FailureKind

__all__ = ["RULE", "explain"]

_REFUSALS = frozenset({400, 401, 403, 404, 405, 406, 409, 410, 415, 422, 426})
# The answer came; only the check had wanted another.
_ONLY_EXPECTATIONS = (FailureKind.STATUS, FailureKind.JSON, FailureKind.TEXT, FailureKind.HEADER)
_TROUBLE = (
    *ROOTS,
    K.EXCEPTION,
    K.TRACEBACK,
    K.CRASHED,
    K.EXIT,
    K.KILLED,
    K.LOOPING,
    K.BOOT_TIMEOUT,
    K.PORT_TIMEOUT,
    K.PORT_SCAN,
    K.HEALTH_FAILED,
    K.HEALTH_TIMEOUT,
    K.WORKER_TIMEOUT,
    K.REFUSED_BY_PROXY,
    K.SERVER_ERROR,
    K.NO_CANDIDATE,
    K.BUILD,
    K.EXITED_EARLY,
    K.REQUEST_TIMEOUT,
)
_GOOD = (K.LIVE, K.LISTENING, K.HEALTHY, K.SERVED, K.PORT_FOUND)


def explain(facts: Facts) -> Finding | None:
    """What an answer, the platform or the log says of a service that is well."""
    return _answer(facts) or _platform(facts) or _log(facts)


def _answer(facts: Facts) -> Finding | None:
    look = facts.look
    if look is None or next(hints(look, facts.where), None) is not None:
        return None
    if look.is_good and not look.unwell():
        return _finding(0.9, look)
    own_limit = look.status == 429 and look.is_own
    has_come = look.failure is None or look.failure.kind in _ONLY_EXPECTATIONS
    if has_come and look.status in _REFUSALS and not look.is_preflight and (look.is_own or _is_plain(look)):
        return _finding(0.6 if look.is_own else 0.5, look)
    return _finding(0.6, look) if own_limit else None


def _is_plain(look: Look) -> bool:
    return len(look.body) < 600 and "cloudflare" not in look.low and "cdn" not in look.low


def _finding(sure: float, look: Look) -> Finding:
    return Finding(
        sure=sure,
        because=(look.cite_status(),),
        next="Nothing to do.",
        beats=frozenset({"app_error"} if not look.is_good else ()),
    )


def _platform(facts: Facts) -> Finding | None:
    host = facts.host
    if facts.looks or host is None or host.live is None or host.suspenders or host.is_in_maintenance:
        return None
    return Finding(sure=0.6, because=(host.cite_deploy(host.live),), next="Nothing to do.")


def _log(facts: Facts) -> Finding | None:
    log = facts.log
    if (
        facts.looks
        or log is None
        or log.has(*(kind for kind in _TROUBLE if kind not in (K.PORT_SCAN, K.EXIT, K.HEALTH_FAILED)))
    ):
        return None
    good = log.last(*_GOOD)
    bad = log.last(K.PORT_SCAN, K.HEALTH_FAILED, K.UNHEALTHY)
    if good is not None and (bad is None or bad.seq < good.seq):
        return Finding(
            sure=0.7,
            because=(good.cite(),),
            next="Nothing to do.",
            beats=frozenset({"health_check_failing", "wrong_port"}),
        )
    noise = log.last(K.NOISE)
    if noise is not None and len(log.counts) == 1 and not any(sign.key == GRAVE for sign in log.all(K.NOISE)):
        return Finding(sure=0.4, because=(noise.cite(),), next="Nothing to do: such lines are noise.")
    return None


RULE = Rule(
    cause="healthy",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset(),
    examples=(
        {"http": {"url": "https://a.onrender.com/health", "status": 200, "body": '{"status":"healthy"}'}},
        {
            "http": {
                "url": "https://a.onrender.com/v1/nothing",
                "status": 404,
                "headers": {"content-type": "application/json"},
                "body": '{"detail":"Not Found"}',
            }
        },
        {
            "http": {
                "url": "https://a.fly.dev/me",
                "status": 401,
                "body": '{"error":"unauthorized"}',
                "headers": {"server": "Fly/1", "fly-request-id": "1"},
            }
        },
        {
            "log": [
                "==> Deploying...",
                "==> Running 'npm start'",
                "Server listening on port 10000",
                "==> Your service is live",
            ]
        },
        {
            "log": [
                "Instance is starting... Waiting for health checks to pass.",
                "HTTP health check failed on port 8000.",
                "Instance is healthy. All health checks are passing.",
            ]
        },
    ),
    counter_examples=(
        {"http": {"url": "https://a.onrender.com/health", "status": 404, "headers": {"x-render-routing": "no-server"}}},
        {
            "http": {
                "url": "https://a.onrender.com/health",
                "status": 200,
                "body": '{"status":"healthy","database":"disconnected"}',
            }
        },
        {"log": ["==> Running 'npm start'", "Server listening on port 10000", "==> Out of memory (used over 512Mi)"]},
    ),
)
