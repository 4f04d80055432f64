"""Its process ends by itself before it serves."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.diagnose.rules._seen import goes_on, is_nodes_end, is_outlived, is_weak

__all__ = ["RULE", "explain"]

NEXT = "Mend what its log names first, then deploy again."
_CERTAIN = (K.MODULE_MISSING, K.ENTRY_MISSING, K.COMMAND_MISSING, K.ADDRESS_IN_USE)
_LIKELY = (K.PERMISSION, K.MIGRATION)
_ENDED = (K.EXIT, K.CRASHED, K.EXITED_EARLY)


def explain(facts: Facts) -> Finding | None:
    """An error that no program gets past, an exit that nobody asked for, or the platform's own word."""
    log = facts.log
    logged = None
    if log is not None:
        has_ended = any(sign.kind is not K.EXIT or sign.number not in (0, None) for sign in facts.signs(*_ENDED))
        cut_off = log.has(K.BOOT_TIMEOUT)  # then its end is the platform's doing
        serves = log.has(K.LISTENING, K.LIVE, K.SERVED, K.SERVER_ERROR) and not has_ended
        logged = surest(
            by_signs(facts, _CERTAIN, _certain(facts, serves=serves), NEXT, "ask-person"),
            None if serves else by_signs(facts, _LIKELY, 0.75 if has_ended else 0.45, NEXT, "ask-person"),
            None if serves else _raised(facts, has_ended=has_ended),
            by_signs(facts, (K.EXITED_EARLY,), 0.7, "Let its start command run a server that stays.", "ask-person"),
            None if cut_off else by_signs(facts, (K.CRASHED,), 0.62, NEXT, "ask-person"),
            None
            if cut_off
            else by_signs(
                facts, (K.EXIT,), 0.6, NEXT, "ask-person", only=lambda sign: sign.number != 0 and "?" not in sign.text
            ),
        )
    edge = by_edge(facts, "crashed_at_start", NEXT, "ask-person")
    return surest(logged, _platform(facts), edge, _front_door(facts), _persistent(facts))


def _front_door(facts: Facts) -> Finding | None:
    """A function that fails where everybody comes in has hardly ever answered; one of many is an error of its own."""
    look = facts.look
    if look is None or not look.url or look.path != "/":
        return None
    if not any("function ended" in hint.means for hint in facts.hints("crashed_at_start")):
        return None
    return Finding(sure=0.8, because=(look.cite_status(), look.cite_body()), next=NEXT, remedy="ask-person")


def _certain(facts: Facts, *, serves: bool) -> float:
    """How sure an error makes that no program gets past: not at all when the process that said it answered requests after."""
    if serves and all(is_outlived(facts, sign) for sign in facts.signs(*_CERTAIN)):
        return 0.3
    return 0.6 if serves else 0.85


def _raised(facts: Facts, *, has_ended: bool) -> Finding | None:
    """An error that may be the end of the process: hardly one that only says that something failed, and none that it outlived."""
    if not has_ended and goes_on(facts):
        return None
    log = facts.log
    is_start = has_ended or is_nodes_end(facts) or (log is not None and log.has(K.STARTING, K.HEALTHY))
    sure = 0.7 if is_start else 0.5
    if not is_start and all(is_weak(sign) for sign in facts.signs(K.EXCEPTION, K.TRACEBACK)):
        sure = 0.36  # one line of an error, and nothing that says that the process was starting or has ended
    return by_signs(facts, (K.EXCEPTION, K.TRACEBACK), sure, NEXT, "ask-person")


def _platform(facts: Facts) -> Finding | None:
    host = facts.host
    if host is None:
        return None
    for event in host.events:
        said = event.reason
        if said.get("nonZeroExit") or said.get("earlyExit"):
            return Finding(sure=0.85, because=(event.cite(),), next=NEXT, remedy="ask-person")
        if event.type in ("server_failed", "server_unhealthy") and not said:
            return Finding(sure=0.45, because=(event.cite(),), next=NEXT, remedy="ask-person")
    told = any(event.reason for event in host.events if event.type in ("server_failed", "deploy_ended"))
    if not told and host.newest is not None and host.newest.status in ("update_failed", "pre_deploy_failed"):
        return Finding(
            sure=0.5 if facts.log else 0.6,
            because=(host.cite_deploy(host.newest),),
            next="Read the log of that deploy.",
            remedy="ask-person",
        )
    if host.stage in ("RUNTIME_ERROR", "CRASHED", "NO_APP_FILE", "CONFIG_ERROR", "ERROR"):
        return Finding(
            sure=0.65, because=(host.cite("stage", f"{host.stage} {host.message}"),), next=NEXT, remedy="ask-person"
        )
    return None


def _persistent(facts: Facts) -> Finding | None:
    """A wake that fails again and again over minutes is a start that cannot succeed."""
    failed = [
        look for look in facts.looks if look.headers.get("x-render-routing", "").startswith("hibernate-wake-error")
    ]
    times = sorted(look.at for look in failed if look.at is not None)
    lasts = len(times) >= 2 and (times[-1] - times[0]).total_seconds() >= 300
    if lasts or len(failed) >= 4:
        return Finding(
            sure=0.8,
            because=tuple(look.cite_header("x-render-routing") for look in failed[:3]),
            next="Read the log of its last start.",
            remedy="ask-person",
            beats=frozenset({"wake_failed"}),
        )
    return None


RULE = Rule(
    cause="crashed_at_start",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset(
        {
            "wrong_port",
            "no_live_deploy",
            "instance_unreachable",
            "wake_failed",
            "slow_start",
            "health_check_failing",
            "app_error",
            "waking",
            "asleep",
        }
    ),
    examples=(
        {
            "http": {
                "url": "https://a.vercel.app/",
                "status": 500,
                "body": "500: INTERNAL_SERVER_ERROR Code: FUNCTION_INVOCATION_FAILED ID: bom1::x",
            }
        },
        {
            "log": [
                "==> Running 'python main.py'",
                "Traceback (most recent call last):",
                '  File "main.py", line 1, in <module>',
                "ModuleNotFoundError: No module named 'fastapi'",
                "==> Exited with status 1",
                "==> No open ports detected, continuing to scan...",
            ]
        },
        {"log": ["/bin/sh: 1: uvicorn: not found", "==> Exited with status 127"]},
        {"log": ['Error: Cannot find module "./server"', "npm error code ELIFECYCLE"]},
        {"log": ["APPLICATION FAILED TO START", "Web server failed to start. Port 8080 was already in use."]},
        {
            "log": [
                "panic: runtime error: index out of range [3] with length 3",
                "exit status 2",
                "==> Exited with status 2",
            ]
        },
        {
            "log": [
                'Exception in thread "main" java.lang.NoClassDefFoundError: org/app/Main',
                "Process exited with status 1",
            ]
        },
        {
            "platform": "render",
            "platform_state": {"events": [{"type": "server_failed", "details": {"reason": {"nonZeroExit": 1}}}]},
        },
    ),
    counter_examples=(
        {
            "http": {
                "url": "https://a.vercel.app/api",
                "status": 500,
                "headers": {"x-vercel-error": "FUNCTION_INVOCATION_FAILED"},
            }
        },
        {"log": ["==> Out of memory (used over 512Mi)", "==> Exited with status 137"]},
        {"log": ["KeyError: 'DATABASE_URL'", "==> Exited with status 1"]},
        {
            "log": [
                "2024-01-01T10:00:00+00:00 heroku[web.1]: Stopping all processes with SIGTERM",
                "2024-01-01T10:00:01+00:00 heroku[web.1]: Process exited with status 0",
            ]
        },
        {"log": ["Error: card declined", "GET /health 200 1ms", "GET / 200 3ms"]},
        {"log": ["==> Running 'npm start'", "Error: no such coupon", "job 12 done", "job 13 done"]},
    ),
)
