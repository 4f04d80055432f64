"""What several rules look for in the same way."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding

__all__ = ["EVERYTHING", "MISSING_PROBLEMS", "doctors", "ended_while", "in_health", "is_owners"]

# Problems of the doctor that mean: a variable is not there.
MISSING_PROBLEMS = frozenset(
    {"missing_key", "empty_value", "misspelled_key", "wrong_key_name", "credential_path_missing"}
)

# What a suspension explains away: a service that is stopped shows all of this.
EVERYTHING = frozenset(
    {
        "asleep",
        "waking",
        "wake_failed",
        "crashed_at_start",
        "crash_loop",
        "no_live_deploy",
        "instance_unreachable",
        "no_such_service",
        "wrong_port",
        "cors_only",
        "app_error",
        "health_check_failing",
        "missing_env_var",
        "bad_env_var",
        "healthy",
        "dependency_service",
        "benign_shutdown",
        "slow_start",
        "deploy_in_progress",
    }
)


def ended_while(facts: Facts, connecting: K, next: str) -> Finding | None:
    """A process that said it connects, then nothing, then ended."""
    log = facts.log
    tried = log.last(connecting) if log else None
    ended = log.last(K.EXIT, K.CRASHED, K.PORT_TIMEOUT, K.BOOT_TIMEOUT, K.HEALTH_TIMEOUT) if log else None
    between = log.last(K.LISTENING, K.LIVE, K.EXCEPTION, K.TRACEBACK, K.SIGTERM) if log else None
    if (
        tried is None
        or ended is None
        or ended.seq < tried.seq
        or ended.number == 0
        or (between is not None and between.seq > tried.seq)
    ):
        return None
    return Finding(
        sure=0.66,
        because=(tried.cite(), ended.cite()),
        next=next,
        remedy="wait-for-dependency",
        beats=frozenset({"crashed_at_start", "wrong_port", "slow_start"}),
    )


def in_health(facts: Facts, words: tuple[str, ...], next: str, sure: float = 0.72) -> Finding | None:
    """The service's own health document names the part that is not well."""
    for look in facts.looks:
        has_come = look.status is not None and (look.status < 400 or look.status in (500, 502, 503))
        parts = look.unwell() if has_come and look.is_json else ()
        if any(word in f"{part.path} {part.value.lower()}" for part in parts for word in words):
            because = (look.cite_status(), look.cite_body())
            over = frozenset({"health_check_failing", "app_error"})
            return Finding(sure=sure, because=because, next=next, remedy="wait-for-dependency", beats=over)
    return None


def doctors(facts: Facts, sure: float) -> float:
    """How sure the doctor's word alone makes: of a service that answers well, its variables are no cause of anything yet."""
    return 0.3 if facts.is_answering else sure


def is_owners(text: str) -> bool:
    """Whether a line about a suspension says that the owner did it."""
    low = text.lower()
    return any(
        word in low
        for word in ("owner", "by user", "by the user", "(user)", "by you", "by a member", "suspenders: user")
    )
