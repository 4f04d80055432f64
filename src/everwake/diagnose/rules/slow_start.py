"""Its start takes longer than the platform waits."""

import re

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import Sign
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest
from everwake.model import Evidence

__all__ = ["RULE", "explain"]

_AT_WORK = re.compile(
    r"\b(?:loading|downloading|preparing|warming|indexing|compiling|building|installing|migrating|initiali[sz]ing|training|seeding|importing|"
    r"extracting|unpacking|shards?)\b|\b\d{1,2} ?%",
    re.IGNORECASE,
)
NEXT = "Let it open its port first and do the heavy work afterwards, or give it more time."


def explain(facts: Facts) -> Finding | None:
    """Workers that are killed while they load, a port that opens after the platform has given up, a deploy that timed out."""
    late = None
    log = facts.log
    if log is not None:
        given_up = log.first(K.PORT_TIMEOUT, K.BOOT_TIMEOUT, K.HEALTH_TIMEOUT)
        opened = log.first(K.LISTENING, K.PORT_FOUND)
        if given_up is not None and opened is not None and opened.seq > given_up.seq:
            late = Finding(
                sure=0.8,
                because=(given_up.cite(), opened.cite()),
                next=NEXT,
                remedy="ask-person",
                beats=frozenset({"wrong_port", "health_check_failing"}),
            )
        elif given_up is not None and (busy := _busy(facts, given_up)) is not None:
            late = Finding(
                sure=0.78,
                because=(given_up.cite(), busy),
                next=NEXT,
                remedy="ask-person",
                beats=frozenset({"wrong_port"}),
            )
        elif given_up is not None:
            late = Finding(sure=0.42, because=(given_up.cite(),), next=NEXT, remedy="ask-person")
    timed = None
    if facts.host is not None:
        event = next(
            (one for one in facts.host.events if one.reason.get("timedOutSeconds") or one.reason.get("timedOutReason")),
            None,
        )
        if event is not None:
            # Without a word of the process itself, a port that never opened may as well be another one.
            is_port = "port" in str(event.reason.get("timedOutReason", "")).lower()
            timed = Finding(sure=0.5 if is_port else 0.7, because=(event.cite(),), next=NEXT, remedy="ask-person")
    return surest(by_signs(facts, (K.WORKER_TIMEOUT,), 0.7, NEXT, "ask-person"), late, timed)


def _busy(facts: Facts, given_up: Sign) -> Evidence | None:
    """A last line of the process itself that says it is still at work."""
    for line in reversed(facts.log.tail if facts.log else ()):
        # The platform's own words, behind a time perhaps, are passed over.
        if line and "==>" not in line[:80] and given_up.text[:120] not in line:
            return Evidence(source="log", quote=line) if _AT_WORK.search(line) else None
    return None


RULE = Rule(
    cause="slow_start",
    explain=explain,
    needs=frozenset({"platform", "log"}),
    beats=frozenset({"instance_unreachable", "no_live_deploy"}),
    examples=(
        {
            "log": [
                "[2024-01-01 10:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:12)",
                "[2024-01-01 10:00:01 +0000] [15] [INFO] Booting worker with pid: 15",
            ]
        },
        {
            "log": [
                "2024-01-01T10:00:00Z ==> Port scan timeout reached, no open ports detected.",
                "2024-01-01T10:00:30Z Server listening on port 10000",
            ]
        },
        {
            "log": [
                "==> Running 'python serve.py'",
                "Loading checkpoint shards: 40%",
                "==> No open ports detected, continuing to scan...",
                "Loading checkpoint shards: 80%",
                "==> Port scan timeout reached, no open ports detected.",
            ]
        },
        {
            "log": [
                "Fetching model weights: 62 %",
                "The container failed to start and listen on the port defined by the PORT=8080 environment variable.",
            ]
        },
        {
            "platform_state": {
                "events": [
                    {
                        "type": "deploy_ended",
                        "details": {"reason": {"timedOutSeconds": 900, "timedOutReason": "Timed out"}},
                    }
                ]
            }
        },
    ),
    counter_examples=(
        {"log": ["==> Port scan timeout reached, no open ports detected. Bind your service to at least one port."]},
    ),
)
