"""From facts to a diagnosis: every rule speaks, what only follows from something else steps back, the rest is ranked.

It refuses to guess: what no rule is sure enough of is `unknown`, with what was ruled out and what to look at next. Pure.
"""

from collections.abc import Mapping
from dataclasses import replace

from everwake.diagnose.causes import CAUSES, HEALTHY, UNKNOWN, state_of
from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind
from everwake.diagnose.rule import Finding, Rule
from everwake.model import Cause, Diagnosis, Evidence, RuledOut, State

__all__ = ["rank"]

# Below this nothing is called by name first; below LISTED it is not named at all.
SURE_ENOUGH = 0.38
LISTED = 0.25
LIKELY = 0.6
# Who explains something away must be about as sure as what is explained; less so where another place speaks: what an edge or
# a port scan sees is surely true, and only tells what follows.
BEATS_FROM = 0.4
BEATS_WITHIN = 0.2
BEATS_ACROSS = 0.35
CAUSES_MOST = 6
RULED_OUT_MOST = 8
FOLLOWS = "it only follows from {winner}"

# Of a service that answers well, an old log says nothing about how it starts.
_OF_THE_PAST = frozenset(
    {
        "crashed_at_start",
        "crash_loop",
        "slow_start",
        "wrong_port",
        "instance_unreachable",
        "no_live_deploy",
        "health_check_failing",
        "wake_failed",
        "waking",
        "asleep",
        "no_such_service",
        "scaled_to_zero",
    }
)
# What may stand beside an answer, but is of the past too when the process that said it has died.
_FATAL_AT_START = frozenset({
    "bad_env_var", "missing_env_var", "dependency_redis", "dependency_database", "dependency_tls", "out_of_memory",
    "build_failed",
})  # fmt: skip
ANSWERS_MOST = 0.75


def rank(facts: Facts, rules: Mapping[str, Rule]) -> Diagnosis:
    """The diagnosis. `unknown` when nothing is sure enough, no cause at all when nothing is wrong."""
    found, out = _findings(facts, rules)
    healthy = found.pop(HEALTHY, None)
    if facts.is_answering and found:
        _mind_the_answer(facts, found, out)
    kept, beaten = _settled(found, rules, healthy)
    # A fault that is likely goes before what is no fault, however sure that is: an old instance's end hides nothing.
    ranked = sorted(
        kept.items(), key=lambda one: (not (_is_fault(one[0]) and one[1].sure >= LIKELY), -one[1].sure, one[0])
    )
    causes = tuple(_cause(name, finding) for name, finding in ranked[:CAUSES_MOST] if finding.sure >= LISTED)
    if causes and _is_fault(causes[0].cause):
        causes = tuple(one for one in causes if _is_fault(one.cause))  # what is no fault explains none
    if not causes and facts.places and facts.places <= {"variables", "context"} and facts.has_variables:
        return Diagnosis(
            state=State.UNKNOWN, variables=facts.problems
        )  # nothing else was looked at, and nothing is wrong with these
    if not any(cause.sure >= SURE_ENOUGH for cause in causes):
        causes = () if healthy is not None else (_unknown(facts), *causes)
    return Diagnosis(
        state=_state(facts, causes),
        causes=causes,
        ruled_out=_ruled_out(facts, rules, {one.cause for one in causes}, beaten, out),
        variables=facts.problems,
    )


def _findings(facts: Facts, rules: Mapping[str, Rule]) -> tuple[dict[str, Finding], list[RuledOut]]:
    found: dict[str, Finding] = {}
    out: list[RuledOut] = []
    for name, rule in rules.items():
        if not rule.needs & facts.places:
            continue
        try:
            finding = rule.explain(facts)
        except Exception as error:  # somebody else's rule must not cost the diagnosis
            out.append(RuledOut(cause=name, why=f"its rule broke: {type(error).__name__}"))
            continue
        if finding is not None and finding.because:
            found[name] = finding
    return found, out


def _mind_the_answer(facts: Facts, found: dict[str, Finding], out: list[RuledOut]) -> None:
    """The service answers well now: what is said about its start is of the past, unless a newer deploy failed."""
    newest = facts.host.newest if facts.host else None
    has_failed = newest is not None and newest.has_failed
    for name in list(found):
        if not has_failed and (name in _OF_THE_PAST or (name in _FATAL_AT_START and _has_died(facts))):
            answer = facts.looks[0].status
            out.append(RuledOut(cause=name, why=f"it answers {answer} now"))
            del found[name]
        elif (
            name not in ("edge_blocked", "domain_misrouted", "cors_only", "dependency_service", "wrong_service_url")
            and found[name].sure > ANSWERS_MOST
            and name in CAUSES
            and CAUSES[name].is_fault
            and not has_failed
        ):
            found[name] = replace(found[name], sure=ANSWERS_MOST)


def _has_died(facts: Facts) -> bool:
    """Whether the log shows a process end by itself: the one that answers now is another."""
    log = facts.log
    ended = log.last(SignKind.EXIT, SignKind.CRASHED) if log else None
    return ended is not None and ended.number != 0


def _settled(
    found: dict[str, Finding], rules: Mapping[str, Rule], healthy: Finding | None
) -> tuple[dict[str, Finding], dict[str, str]]:
    """What stays, and what was explained away by whom. The surest speaks first; who is beaten beats nobody."""
    kept = dict(found)
    beaten: dict[str, str] = {}
    for name, finding in sorted(found.items(), key=lambda one: (-one[1].sure, one[0])):
        if name in beaten or finding.sure < BEATS_FROM:
            continue
        for other in (rules[name].beats | finding.beats) & kept.keys():
            if other != name and _explains(finding, kept[other]):
                beaten.setdefault(other, name)
                del kept[other]
    if healthy is not None:
        for other in [one for one in kept if kept[one].sure < healthy.sure and (one in healthy.beats)]:
            beaten[other] = HEALTHY
            del kept[other]
    return kept, beaten


def _explains(finding: Finding, other: Finding) -> bool:
    """Whether one finding is good enough to explain another away: two readings of the same words do not."""
    if set(finding.because) == set(other.because):
        return False
    places, others = ({one.source.split(" ")[0].split(".")[0] for one in each.because} for each in (finding, other))
    return other.sure <= finding.sure + (BEATS_ACROSS if places != others else BEATS_WITHIN)


def _cause(name: str, finding: Finding) -> Cause:
    return Cause(
        cause=name,
        sure=round(min(0.99, finding.sure), 3),
        evidence=finding.because,
        next=finding.next,
        remedy=finding.remedy,
    )


def _is_fault(cause: str) -> bool:
    return cause not in CAUSES or CAUSES[cause].is_fault


def _unknown(facts: Facts) -> Cause:
    """The honest answer, and what to look at next: the first place that is still missing."""
    places = facts.places
    if "http" not in places:
        step = "Ask it once with a long GET (Accept: application/json, 180 s) and read status and headers."
    elif "log" not in places:
        step = "Read its log from the last start on, from the first error and not the last line."
    elif "platform" not in places:
        step = "Ask its platform: suspended or not, the newest deploys, the reasons of its events."
    elif "variables" not in places:
        step = "Run everwake doctor over its variables."
    else:
        step = "Watch it through one whole restart, with its log open."
    seen = facts.looks[0].cite_status() if facts.looks else None
    if seen is None and facts.log is not None and facts.log.tail:
        seen = Evidence(source="log", quote=next_text(facts.log.tail))
    return Cause(cause=UNKNOWN, sure=0.5, evidence=(seen,) if seen else (), next=step, remedy="ask-person")


def next_text(tail: tuple[str, ...]) -> str:
    """The last line that says anything."""
    return next((line for line in reversed(tail) if line), "")


def _state(facts: Facts, causes: tuple[Cause, ...]) -> State:
    if not causes:
        return State.UP if facts.places - {"variables", "context"} or not facts.problems else State.UNKNOWN
    first = causes[0].cause
    about = CAUSES.get(first)
    if about is not None and not about.is_fault:
        return State.UP
    if first == UNKNOWN:
        return (
            State.DOWN
            if facts.looks and facts.looks[0].status is not None and facts.looks[0].status >= 500
            else State.UNKNOWN
        )
    if facts.places <= {"variables", "context"}:
        return State.UNKNOWN
    if facts.is_answering and state_of(first) is State.DOWN:
        return State.DEGRADED
    live = facts.host.live if facts.host else None
    newest = facts.host.newest if facts.host else None
    if (
        live is not None
        and newest is not None
        and newest is not live
        and state_of(first) is State.DOWN
        and not facts.looks
    ):
        return State.DEGRADED  # the older deploy goes on serving
    return state_of(first)


def _ruled_out(
    facts: Facts, rules: Mapping[str, Rule], named: set[str], beaten: Mapping[str, str], out: list[RuledOut]
) -> tuple[RuledOut, ...]:
    said = {one.cause: one for one in out}
    for name, winner in beaten.items():
        while winner in beaten:  # whoever beat it was beaten too: the last of them stands
            winner = beaten[winner]
        said.setdefault(
            name,
            RuledOut(cause=name, why=FOLLOWS.format(winner=winner) if winner != HEALTHY else "it answers as it should"),
        )
    for name, rule in rules.items():
        if name in named or name in said or name in (HEALTHY, UNKNOWN):
            continue
        why = rule.ruled_out(facts)
        if why:
            said[name] = RuledOut(cause=name, why=why)
    return tuple(said.values())[:RULED_OUT_MOST]
