"""A connection it needs works only with TLS, only without, or has certificate trouble."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import Sign
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.diagnose.rules._seen import doctors, has_fallen_silent
from everwake.model import Evidence

__all__ = ["RULE", "explain"]

NEXT = "Ask with and without TLS which one the server speaks, then write that scheme (redis:// or rediss://, sslmode=require)."
_CLOSED = (
    "econnreset",
    "connection reset",
    "closed the connection",
    "connection closed",
    "closed by server",
    "closed unexpectedly",
    "disconnected",
)
_PROBLEMS = frozenset({"tls_required", "tls_not_supported", "missing_sslmode"})


def explain(facts: Facts) -> Finding | None:
    """TLS words in the log; a store that hangs up at once while its variable has the wrong scheme."""
    problems = [
        one
        for one in facts.problems
        if one.is_error and (one.problem in _PROBLEMS or (one.problem == "wrong_scheme" and "redis" in one.key.lower()))
    ]
    doctor = None
    if problems:
        cut = facts.signs(K.REDIS, K.DATABASE)
        because = tuple(
            Evidence(source=f"variables.{one.key}", quote=f"{one.problem}: {one.found}"[:300]) for one in problems[:2]
        )
        doctor = Finding(
            sure=0.93 if cut else doctors(facts, 0.6),
            because=because + tuple(sign.cite() for sign in cut[:2]),
            next=f"{problems[0].key}: {problems[0].fix}"[:300],
            remedy="fix-variables",
            beats=frozenset({"dependency_redis", "dependency_database"} if cut else ()),
        )
    hung_up = by_signs(
        facts,
        (K.REDIS,),
        0.62,
        "Use rediss:// for that host: the server hangs up on plain text.",
        "fix-variables",
        only=lambda sign: (
            any(
                word in sign.text.lower()
                for word in (
                    "econnreset",
                    "connection reset",
                    "closed the connection",
                    "connection closed",
                    "socket closed unexpectedly",
                )
            )
            and _speaks_tls(facts)
        ),
    )
    return surest(
        _hung_up(facts),
        by_signs(facts, (K.TLS,), 0.86, NEXT, "fix-variables", only=lambda sign: not _is_second_try(facts, sign)),
        doctor,
        hung_up,
        by_edge(facts, "dependency_tls", NEXT, "ask-person"),
    )


def _speaks_tls(facts: Facts) -> bool:
    """A host that is known to want TLS is named in the log, and nothing says that TLS is used."""
    named = any("upstash" in sign.text.lower() for sign in facts.signs(K.REDIS, K.CONNECTING_REDIS))
    return named and facts.redis_scheme != "rediss"


def _is_second_try(facts: Facts, sign: Sign) -> bool:
    """Whether libpq only tried again without TLS what was refused for another reason before: the first error is the cause."""
    return "pg_hba" in sign.text and any(one.seq < sign.seq for one in facts.signs(K.DATABASE_AUTH))


def _hung_up(facts: Facts) -> Finding | None:
    """Plain text, and a server that takes the connection and closes it: a refusal or a wrong password looks different."""
    # Who is refused, or told that the password is wrong, has met no such server.
    is_other = bool(facts.signs(K.REDIS_AUTH)) or any("refused" in sign.text.lower() for sign in facts.signs(K.REDIS))
    if facts.redis_scheme != "redis" or is_other or has_fallen_silent(facts, K.REDIS):
        return None
    cut = [sign.cite() for sign in facts.signs(K.REDIS) if any(word in sign.text.lower() for word in _CLOSED)]
    for look in facts.looks:
        if any("redis" in part.path and part.value.lower() in ("disconnected", "closed") for part in look.unwell()):
            cut.append(look.cite_body("redis"))
    if not cut:
        return None
    next = "Use rediss:// in that variable: the server closes what is not TLS."
    return Finding(
        sure=0.86, because=tuple(cut[:4]), next=next, remedy="fix-variables", beats=frozenset({"dependency_redis"})
    )


RULE = Rule(
    cause="dependency_tls",
    explain=explain,
    needs=frozenset({"http", "log", "variables"}),
    beats=frozenset(
        {
            "crashed_at_start",
            "crash_loop",
            "wrong_port",
            "slow_start",
            "health_check_failing",
            "instance_unreachable",
            "no_live_deploy",
            "app_error",
            "dependency_redis",
            "dependency_database",
            "dependency_external",
            "dependency_service",
            "healthy",
            "wake_failed",
        }
    ),
    examples=(
        {
            "log": ["redis.exceptions.ConnectionError: Connection closed by server."],
            "variables": {"REDIS_URL": "redis://h.example.com:6379"},
        },
        {"log": ['error: no pg_hba.conf entry for host "203.0.113.9", user "app", database "app", no encryption']},
        {
            "log": [
                "Error: self-signed certificate in certificate chain",
                "    at TLSSocket.onConnectSecure (node:_tls_wrap:1674:34)",
            ]
        },
        {"log": ["[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1007)"]},
        {"log": ["x509: certificate signed by unknown authority"]},
    ),
    counter_examples=(
        {
            "log": ["redis.exceptions.ConnectionError: Error 111 connecting to h:6379. Connection refused."],
            "variables": {"REDIS_URL": "redis://h:6379"},
        },
        {"log": ["Listening on https://0.0.0.0:8443 with TLS enabled"]},
    ),
)
