"""It starts and dies again and again."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Stop the loop and mend what the first start's log names; a restart alone only repeats it."


def explain(facts: Facts) -> Finding | None:
    """The platform says so, or the log shows start and end more than once."""
    host, told = facts.host, None
    if host is not None:
        if "stuck_crashlooping" in (host.suspenders or ()):
            told = Finding(
                sure=0.93,
                because=(host.cite("suspenders", ", ".join(host.suspenders or ())),),
                next="Mend the crash first, then resume it.",
                remedy="ask-person",
                beats=frozenset({"suspended_by_platform"}),
            )
        fallen = [
            event
            for event in host.events
            if event.type == "server_failed" and (event.reason.get("nonZeroExit") or event.reason.get("earlyExit"))
        ]
        never_served = host.newest is not None and host.newest.has_failed  # then it is one crash, tried again
        is_live = host.newest is not None and host.newest.status == "live"
        if told is None and len(fallen) >= (2 if is_live else 3) and not never_served:
            told = Finding(
                sure=0.88,
                because=tuple(event.cite() for event in fallen[:3]),
                next=NEXT,
                remedy="ask-person",
                beats=frozenset({"crashed_at_start"}),
            )
    ends = [sign for sign in facts.signs(K.EXIT, K.CRASHED, K.EXITED_EARLY) if sign.number != 0]
    again = None
    if (
        len({sign.n for sign in ends if sign.kind is K.EXIT and sign.number is not None}) >= 2
        and facts.log is not None
        and facts.root() is None
    ):
        served = facts.log.first(K.LIVE, K.LISTENING, K.PORT_FOUND)
        came_up = served is not None and served.seq < ends[-1].seq
        again = Finding(
            sure=0.9 if came_up else 0.72,
            because=tuple(sign.cite() for sign in ends[:4]),
            next=NEXT,
            remedy="ask-person",
            beats=frozenset({"crashed_at_start"} if came_up else ()),
        )
    named = by_signs(
        facts,
        (K.LOOPING,),
        0.8 if facts.root() is None else 0.5,
        NEXT,
        "ask-person",
        beats=() if facts.root() else ("wrong_port", "crashed_at_start"),
    )
    return surest(told, named, again)


RULE = Rule(
    cause="crash_loop",
    explain=explain,
    needs=frozenset({"platform", "log"}),
    beats=frozenset({"instance_unreachable", "no_live_deploy", "wake_failed", "slow_start"}),
    examples=(
        {"platform_state": {"service": {"suspended": "suspended", "suspenders": ["stuck_crashlooping"]}}},
        {"log": ["Warning  BackOff  kubelet  Back-off restarting failed container api in pod api-7f"]},
        {
            "log": [
                "web-1  | exited with code 1 (restarting)",
                "web-1  | exited with code 1 (restarting)",
                "web-1  | exited with code 1 (restarting)",
            ]
        },
        {"log": ["machine has reached its max restart count of 10"]},
    ),
    counter_examples=(
        {
            "log": [
                "Error: Cannot find module 'express'",
                "==> Exited with status 1",
                "==> Running 'npm start'",
                "Error: Cannot find module 'express'",
                "==> Exited with status 1",
            ]
        },
    ),
)
