"""It cannot reach its Redis, or is not let in."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest
from everwake.diagnose.rules._seen import has_fallen_silent, in_health
from everwake.diagnose.rules._store import FOLLOWS, no_way_to

__all__ = ["RULE", "explain"]

NEXT = "Try REDIS_URL with a client of your own: host, port, password, and rediss:// where the server wants TLS."
WORDS = ("redis", "cache", "valkey", "upstash")


def explain(facts: Facts) -> Finding | None:
    """Lines of a client that does not get through, a health document that says so, or silence after the attempt."""
    if has_fallen_silent(facts, K.REDIS, K.REDIS_AUTH):
        return surest(_outbox(facts), in_health(facts, WORDS, NEXT))
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
        _outbox(facts),
        *no_way_to(facts, K.REDIS, K.CONNECTING_REDIS, WORDS, NEXT, is_redis=True),
    )


def _outbox(facts: Facts) -> Finding | None:
    """A service of ours that says of its outbox in Redis that it is not there."""
    for look in facts.looks:
        if look.is_json and '"redis"' in look.low and any(one.path.startswith("outbox") for one in look.unwell()):
            because = (look.cite_status(), look.cite_body("outbox"))
            over = frozenset({"health_check_failing", "app_error"})
            return Finding(sure=0.72, because=because, next=NEXT, remedy="wait-for-dependency", beats=over)
    return None


RULE = Rule(
    cause="dependency_redis",
    explain=explain,
    needs=frozenset({"http", "log"}),
    beats=FOLLOWS,
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
