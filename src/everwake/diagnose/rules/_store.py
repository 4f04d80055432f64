"""A store that a service cannot reach, Redis or a database: what both are known by."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import Sign
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, by_signs
from everwake.diagnose.rules._seen import ended_while, in_health, name_is_known

__all__ = ["FOLLOWS", "no_way_to"]

_REDIS_NAMES = ("redis", "cache", "valkey", "keydb")
_REDIS_PORT = "6379"

# What a service shows that cannot reach its store.
FOLLOWS = frozenset(
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
)


def no_way_to(
    facts: Facts, lost: K, connecting: K, words: tuple[str, ...], next: str, *, is_redis: bool
) -> tuple[Finding | None, ...]:
    """Lines of a client that does not get through, an address that is right only on one machine, silence after the attempt, or a
    health document that says so. lost, connecting: the signs of this store.   words: its names in a health document.

    By port and host name whatever is not Redis counts as a database.
    """

    def by_port(sign: Sign) -> bool:
        return (_REDIS_PORT in sign.text) is is_redis

    def by_name(sign: Sign) -> bool:
        return (sign.key in _REDIS_NAMES) is is_redis

    is_first = facts.log is not None and facts.root() is None
    return (
        by_signs(facts, (lost,), 0.82, next, "wait-for-dependency"),
        by_signs(facts, (K.LOOPBACK_REFUSED,), 0.58, next, "fix-variables", only=by_port),
        by_signs(facts, (K.COMPOSE_HOST,), 0.55, next, "fix-variables", only=by_name),
        by_signs(
            facts,
            (K.COMPOSE_HOST,),
            0.8,
            next,
            "wait-for-dependency",
            only=lambda sign: by_name(sign) and name_is_known(facts, sign),
        ),
        ended_while(facts, connecting, next) if is_first else None,
        in_health(facts, words, next),
    )
