"""Nothing listens where the platform looks: another number, loopback only, or no listener at all."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_edge, by_signs, surest
from everwake.diagnose.rules._seen import port_wanted

__all__ = ["RULE", "explain"]

NEXT = "Listen on 0.0.0.0 and on the port in $PORT."
DENIED = "Listen on the port in $PORT, or one above 1023: the lower ones may not be opened by an ordinary user."


def explain(facts: Facts) -> Finding | None:
    """Port lines are mostly secondary, so any earlier error beats this; alone they are what they say."""
    log = facts.log
    logged = None
    if log is not None:
        loopback = log.first(K.LISTENING_LOOPBACK)
        gave_up = log.first(K.PORT_TIMEOUT, K.BOOT_TIMEOUT, K.REFUSED_BY_PROXY, K.PORT_SCAN) or (
            log.first(K.HEALTH_TIMEOUT) if loopback is not None else None
        )
        opened = log.last(K.PORT_FOUND, K.LIVE)
        if gave_up is not None and gave_up.kind is K.PORT_SCAN and opened is not None and opened.seq > gave_up.seq:
            gave_up = log.first(K.PORT_TIMEOUT, K.BOOT_TIMEOUT, K.REFUSED_BY_PROXY)  # it was only not there yet
        if loopback is not None and gave_up is not None:
            logged = Finding(
                sure=0.9,
                because=(loopback.cite(), gave_up.cite()),
                next="Listen on 0.0.0.0 and on the port in $PORT: 127.0.0.1 is seen by nobody outside.",
                remedy="ask-person",
            )
        else:
            logged = surest(
                by_signs(facts, (K.REFUSED_BY_PROXY,), 0.72, NEXT, "ask-person"),
                by_signs(facts, (K.BOOT_TIMEOUT,), 0.7, NEXT, "ask-person"),
                by_signs(facts, (K.PORT_TIMEOUT,), 0.68, NEXT, "ask-person"),
                by_signs(facts, (K.PORT_DENIED,), 0.82, DENIED, "ask-person", beats=("crashed_at_start", "app_error")),
                by_signs(
                    facts,
                    (K.PORT_SCAN,),
                    0.55,
                    NEXT,
                    "ask-person",
                    only=lambda sign: opened is None or opened.seq < sign.seq,
                ),
            )
        elsewhere = log.first(K.LISTENING)
        if (
            logged is not None
            and elsewhere is not None
            and elsewhere.number in (80, 443, 10000)
            and gave_up is not None
            and gave_up.kind is K.PORT_TIMEOUT
        ):
            logged = Finding(sure=0.45, because=(gave_up.cite(), elsewhere.cite()), next=NEXT, remedy="ask-person")
    return surest(_mismatch(facts), _another(facts), logged, by_edge(facts, "wrong_port", NEXT, "ask-person"))


def _another(facts: Facts) -> Finding | None:
    """A platform that names the port it looked at in vain, and a program that names the one it opened."""
    sought = next((sign for sign in facts.signs(K.BOOT_TIMEOUT, K.PORT_TIMEOUT) if port_wanted(sign)), None)
    opened = [sign for sign in facts.signs(K.LISTENING, K.LISTENING_LOOPBACK) if sign.number is not None]
    if sought is None or not opened or any(sign.number == port_wanted(sought) for sign in opened):
        return None
    return Finding(
        sure=0.92,
        because=(opened[0].cite(), sought.cite()),
        next=f"{NEXT} It opened {opened[0].number}, and {port_wanted(sought)} was looked at.",
        remedy="ask-person",
        beats=frozenset({"slow_start"}),
    )


def _mismatch(facts: Facts) -> Finding | None:
    """A log that looks healthy, and an edge that looks at another port."""
    host, log = facts.host, facts.log
    if host is None or host.target_port is None or log is None:
        return None
    ports = [sign for sign in facts.signs(K.LISTENING, K.LISTENING_LOOPBACK, K.PORT_FOUND) if sign.number is not None]
    if not ports or any(sign.number == host.target_port for sign in ports):
        return None
    is_down = (host.http_status is not None and host.http_status >= 500) or any(
        look.status is not None and look.status >= 500 for look in facts.looks
    )
    because = (ports[0].cite(), host.cite("target_port", host.target_port))
    return Finding(
        sure=0.92 if is_down else 0.7,
        because=because,
        next=f"Make the target port and the listening port ({ports[0].number}) the same.",
        remedy="ask-person",
        beats=frozenset({"health_check_failing"}),
    )


def ruled_out(facts: Facts) -> str | None:
    """The log tells how far it came."""
    log = facts.log
    if log is None:
        return None
    if log.has(K.PORT_FOUND, K.LIVE):
        return "its platform found the port"
    return (
        "it never came to listen"
        if log.has(K.EXIT, K.CRASHED) and not log.has(K.LISTENING, K.LISTENING_LOOPBACK)
        else None
    )


RULE = Rule(
    cause="wrong_port",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset(
        {"instance_unreachable", "no_live_deploy", "healthy", "health_check_failing", "crash_loop", "out_of_memory"}
    ),
    examples=(
        {
            "log": [
                "==> No open ports detected, continuing to scan...",
                "==> Port scan timeout reached, no open ports detected. Bind your service to at least one port.",
            ]
        },
        {
            "log": [
                "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
                "==> No open ports detected on 0.0.0.0, continuing to scan...",
            ]
        },
        {
            "log": [
                "2024-01-01T10:00:00+00:00 heroku[web.1]: Error R10 (Boot timeout) -> Web process failed to bind to $PORT",
                "2024-01-01T10:00:01+00:00 heroku[web.1]: Stopping process with SIGKILL",
                "2024-01-01T10:00:02+00:00 heroku[web.1]: Process exited with status 137",
            ]
        },
        {
            "log": [
                "The container failed to start and listen on the port defined by the PORT=8080 environment variable.",
                "Server started on port 3000",
            ]
        },
        {
            "log": [
                "* Running on http://127.0.0.1:5000",
                "Launch timed out, workload was not healthy after 30 min",
            ]
        },
        {"log": ["Server listening on port 8080"], "platform_state": {"target_port": 3000, "http_status": 502}},
    ),
    counter_examples=(
        {
            "log": [
                "==> No open ports detected, continuing to scan...",
                "Server listening on port 10000",
                "==> Detected service running on port 10000",
                "==> Your service is live",
            ]
        },
        {"log": ["==> Out of memory (used over 512Mi)", "==> No open ports detected, continuing to scan..."]},
    ),
    ruled_out=ruled_out,
)
