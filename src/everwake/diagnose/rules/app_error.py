"""It is up and answers with an error of its own."""

from everwake.diagnose.edges import hints
from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.diagnose.rules._seen import goes_on, is_weak

__all__ = ["RULE", "explain"]

NEXT = "Read the trace of that request in its log; the code or its data is to be mended, a restart will not."

# So many errors of one process are those of its requests.
MANY = 20
_NOT_ONE_LIFE = (K.EXIT, K.CRASHED, K.STARTING, K.LOOPING, K.KILLED, K.EXITED_EARLY)


def explain(facts: Facts) -> Finding | None:
    """A 5xx with the program's own body, or a listening program whose log shows failed requests."""
    look, seen = facts.look, None
    if look is not None and look.status is not None and next(hints(look, facts.where), None) is None:
        if look.status >= 500 and (look.is_own or look.body.strip()):
            seen = Finding(sure=0.68, because=(look.cite_status(), look.cite_body()), next=NEXT, remedy="ask-person")
        elif look.status >= 500:
            seen = Finding(sure=0.5, because=(look.cite_status(),), next=NEXT, remedy="ask-person")
        elif look.status >= 400 and look.status not in (401, 403, 404, 405, 429):
            seen = Finding(sure=0.45, because=(look.cite_status(),), next=NEXT, remedy="ask-person")
    log = facts.log
    serves = (
        log is not None and log.has(K.LISTENING, K.LIVE, K.SERVED, K.SERVER_ERROR) and not log.has(K.EXIT, K.CRASHED)
    )
    many = log is not None and log.counts.get(K.EXCEPTION, 0) >= MANY and not log.has(*_NOT_ONE_LIFE)
    serves = serves or many  # who fails that often is alive
    return surest(
        seen,
        by_edge(facts, "app_error", NEXT, "ask-person"),
        by_signs(facts, (K.SERVER_ERROR,), 0.62, NEXT, "ask-person"),
        by_signs(
            facts,
            (K.DATABASE_SCHEMA,),
            0.72,
            "Run the migrations where the server starts.",
            "ask-person",
            beats=("wrong_port",),
        )
        if serves
        else None,
        by_signs(facts, (K.EXCEPTION, K.TRACEBACK), 0.42 if _is_of_the_day(facts) else 0.62, NEXT, "ask-person")
        if serves
        else None,
        by_signs(
            facts,
            (K.REQUEST_TIMEOUT,),
            0.6,
            "Find the slow request in its log; move long work to the background.",
            "ask-person",
        ),
        by_signs(facts, (K.PERMISSION,), 0.55, "Point it to a folder that it may write to.", "ask-person")
        if log is not None and not log.has(K.EXIT, K.CRASHED, K.STARTING)
        else None,
    )


def _is_of_the_day(facts: Facts) -> bool:
    """Whether its errors are such that it goes on after, with no request that failed: a refused card is no fault of it."""
    weak = all(is_weak(sign) for sign in facts.signs(K.EXCEPTION, K.TRACEBACK))
    return weak and goes_on(facts) and facts.log is not None and not facts.log.has(K.SERVER_ERROR)


RULE = Rule(
    cause="app_error",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=frozenset({"healthy", "instance_unreachable"}),
    examples=(
        {
            "http": {
                "url": "https://a.onrender.com/api/x",
                "status": 500,
                "headers": {"x-render-origin-server": "Render", "content-type": "application/json"},
                "body": '{"detail":"boom"}',
            }
        },
        {
            "log": [
                "INFO:     Uvicorn running on http://0.0.0.0:10000",
                "TypeError: 'NoneType' object is not subscriptable",
                'INFO:     1.2.3.4:0 - "GET /x HTTP/1.1" 500 Internal Server Error',
            ]
        },
        {
            "log": [
                '2024-01-01T10:00:00+00:00 heroku[router]: at=error code=H12 desc="Request timeout" service=30000ms status=503'
            ]
        },
        {
            "http": {
                "url": "https://a.vercel.app/api",
                "status": 500,
                "headers": {"x-vercel-error": "FUNCTION_INVOCATION_FAILED"},
            }
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://a.onrender.com/",
                "status": 502,
                "headers": {"x-render-routing": "dynamic-free-error"},
            }
        },
    ),
)
