"""What several rules look for in the same way."""

import re

from everwake.diagnose.facts import Facts
from everwake.diagnose.log._prefix import peel
from everwake.diagnose.log._recovery import is_outlived as served_after
from everwake.diagnose.log.signs import Sign
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding

__all__ = [
    "EVERYTHING", "MISSING_PROBLEMS", "doctors", "ended_while", "goes_on", "has_fallen_silent", "in_health", "is_nodes_end",
    "is_outlived", "is_owners", "is_suspended_still", "is_weak", "name_is_known", "port_wanted",
]  # fmt: skip

# Words without which an error's line is only an error: a customer's card, a wrong form, a job that is tried again.
_DEADLY = (
    "uncaught", "unhandled", "panic", "fatal", "throw", "failed to start", "failed to load", "startup failed", "cannot start",
    "could not start", "failed to boot", "failed to run", "error starting", "error in app", "segmentation", "core dumped",
    "application run failed", "rails aborted", "exception in thread", "listen ", "syntaxerror", "indentationerror",
    "improperlyconfigured", "beancreation", "applicationcontext", "critical",
)  # fmt: skip
# What belongs to an error and is no sign of life: frames, brackets, the runtime's last word, and the platform's own lines.
_OF_THE_ERROR = re.compile(
    r"at |File \"|\^|[\])}]|Node\.js v|npm |goroutine |exit|==>|\.\.\. |Caused by|code:|errno|syscall|"
    r"from |node:|heroku\[|error Command"
)
LINES_OF_LIFE = 2
_NODES_END = re.compile(r"Node\.js v\d{1,3}\.\d{1,3}\.\d{1,3}")
_PORT_WANTED = re.compile(r"\bPORT[=: ]{1,2}(\d{2,5})\b|\b[Pp]ort (?:on )?(\d{2,5})\b")

# Problems of the doctor that mean: a variable is not there.
MISSING_PROBLEMS = frozenset(
    {"missing_key", "empty_value", "misspelled_key", "wrong_key_name", "credential_path_missing"}
)

# Words of our own services that try again within seconds, for ever.
_OURS = ("outbox not available: ", "hub.wire_broken ")
SILENT_S = 90.0

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


def is_weak(sign: Sign) -> bool:
    """Whether a line says that something failed, and not that the program did."""
    low = sign.text.lower()
    return sign.kind is K.EXCEPTION and not any(word in low for word in _DEADLY)


def goes_on(facts: Facts) -> bool:
    """Whether the program went on after its last error: it served or came to listen; after a weak one, it wrote further lines."""
    log = facts.log
    last = log.last(K.EXCEPTION, K.TRACEBACK) if log else None
    if (
        log is None
        or last is None
        or is_nodes_end(facts)
        or log.has(K.EXIT, K.CRASHED, K.EXITED_EARLY, K.LOOPING, K.KILLED)
    ):
        return False
    alive = log.last(K.SERVED, K.LISTENING, K.LIVE, K.HEALTHY, K.DEPENDENCY_READY)
    if alive is not None and alive.seq > last.seq:
        return True
    if not all(is_weak(sign) for sign in log.all(K.EXCEPTION, K.TRACEBACK)):
        return False
    gone = log.lines - last.n
    after = log.tail[-gone:] if gone > 0 else ()
    words = [line for line in after if line and _OF_THE_ERROR.match(peel(line).text) is None]
    return len(words) >= LINES_OF_LIFE and not log.has(K.BOOT_TIMEOUT, K.PORT_TIMEOUT, K.HEALTH_TIMEOUT)


def is_nodes_end(facts: Facts) -> bool:
    """Whether Node.js has said its version as its last word, as it does when nobody caught an error."""
    return facts.log is not None and any(_NODES_END.fullmatch(peel(line).text) for line in facts.log.tail)


def name_is_known(facts: Facts, sign: Sign) -> bool:
    """Whether a store's name of a compose file was found: somebody refused, and no platform without such names is known."""
    return facts.where in ("", "generic", "docker", "local") and "refused" in sign.text.lower()


def port_wanted(sign: Sign) -> int | None:
    """The port at which a platform looked in vain, where its line says so."""
    found = _PORT_WANTED.search(sign.text)
    return int(found[1] or found[2]) if found else None


def doctors(facts: Facts, sure: float) -> float:
    """How sure the doctor's word alone makes: of a service that answers well, its variables are no cause of anything yet."""
    return 0.3 if facts.is_answering else sure


def is_suspended_still(facts: Facts) -> bool:
    """Whether neither its platform nor an answer of its own says that what a line tells of a suspension is over."""
    return not facts.is_answering and not (facts.host is not None and facts.host.suspenders == ())


def has_fallen_silent(facts: Facts, *kinds: K) -> bool:
    """Whether a service of ours that answers well complains of its store no more: while that is away, it does so all the time."""
    signs = facts.signs(*kinds)
    if not signs or not facts.is_answering or not all(any(word in sign.text for word in _OURS) for sign in signs):
        return False
    last = signs[-1].at
    return last is not None and facts.at is not None and (facts.at - last).total_seconds() > SILENT_S


def is_outlived(facts: Facts, sign: Sign) -> bool:
    """Whether the process that said it answered a request well after."""
    return facts.log is not None and served_after(facts.log.signs, sign.seq)


def is_owners(text: str) -> bool:
    """Whether a line about a suspension says that the owner did it."""
    low = text.lower()
    return any(
        word in low
        for word in ("owner", "by user", "by the user", "(user)", "by you", "by a member", "suspenders: user")
    )
