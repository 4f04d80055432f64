"""It cannot reach its Redis, or is not let in."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest
from everwake.diagnose.rules._seen import ended_while, in_health, name_is_known

__all__ = ["RULE", "explain"]

NEXT = "Try REDIS_URL with a client of your own: host, port, password, and rediss:// where the server wants TLS."
WORDS = ("redis", "cache", "valkey", "upstash")


def explain(facts: Facts) -> Finding | None:
    """Lines of a client that does not get through, a health document that says so, or silence after the attempt."""
    silent = None
    if facts.log is not None and facts.root() is None:
        silent = ended_while(facts, K.CONNECTING_REDIS, NEXT)
    return surest(
        by_signs(
            facts,
            (K.REDIS_AUTH,),
            0.88,
            "Compare user and password of REDIS_URL with the server's.",
            "ask-person",
            beats=("bad_env_var",),
        ),
        by_signs(
            facts, (K.REDIS_LIMIT,), 0.85, "The Redis plan's limit is reached: look at its console.", "ask-person"
        ),
        by_signs(facts, (K.REDIS,), 0.82, NEXT, "wait-for-dependency"),
        by_signs(facts, (K.LOOPBACK_REFUSED,), 0.58, NEXT, "fix-variables", only=lambda sign: "6379" in sign.text),
        by_signs(
            facts,
            (K.COMPOSE_HOST,),
            0.55,
            NEXT,
            "fix-variables",
            only=lambda sign: sign.key in ("redis", "cache", "valkey", "keydb"),
        ),
        by_signs(
            facts,
            (K.COMPOSE_HOST,),
            0.8,
            NEXT,
            "wait-for-dependency",
            only=lambda sign: sign.key in ("redis", "cache", "valkey", "keydb") and name_is_known(facts, sign),
        ),
        silent,
        in_health(facts, WORDS, NEXT),
    )


RULE = Rule(
    cause="dependency_redis",
    explain=explain,
    needs=frozenset({"http", "log"}),
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
            "wake_failed",
            "healthy",
            "dependency_service",
            "build_failed",
        }
    ),
    examples=(
        {
            "log": [
                "redis.exceptions.ConnectionError: Error 111 connecting to red-abc:6379. Connection refused.",
                "==> Exited with status 1",
            ]
        },
        {
            "log": [
                "redis.exceptions.AuthenticationError: invalid username-password pair or user is disabled.",
                "Application startup failed. Exiting.",
            ]
        },
        {"log": ["[ioredis] Unhandled error event: Error: getaddrinfo ENOTFOUND apn1-cool-1234.upstash.io"]},
        {"log": ["ReplyError: ERR max daily request limit exceeded. Limit: 10000, Usage: 10000"]},
        {
            "http": {
                "url": "https://a.onrender.com/health",
                "status": 503,
                "body": '{"status":"unhealthy","redis":"disconnected"}',
            }
        },
        {"log": ["dial tcp 10.0.0.5:6379: i/o timeout"]},
    ),
    counter_examples=(
        {"log": ["Redis service initialized", "Server started successfully on 0.0.0.0:10000"]},
        {"log": ["Redis not configured, using SQLite", "Server started successfully on 0.0.0.0:10000"]},
    ),
)
