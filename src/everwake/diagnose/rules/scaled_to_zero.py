"""No web process is configured, or it was scaled to none by hand."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Scale the web process to one (and see that the Procfile names it)."


def explain(facts: Facts) -> Finding | None:
    """The router's H14, or a platform that counts no instance of a live deploy."""
    host, none = facts.host, None
    is_kept = host is not None and host.plan not in ("", "free")  # a free one without instances sleeps
    if host is not None and is_kept and host.instances == 0 and host.live is not None and host.suspenders == ():
        none = Finding(
            sure=0.6, because=(host.cite("instances", "0 instances, one deploy live"),), next=NEXT, remedy="ask-person"
        )
    runs = host is not None and (host.instances or 0) > 0  # so that the line is old
    return surest(none, None if runs else by_signs(facts, (K.NO_WEB,), 0.93, NEXT, "ask-person"))


RULE = Rule(
    cause="scaled_to_zero",
    explain=explain,
    needs=frozenset({"platform", "log"}),
    beats=frozenset({"crashed_at_start", "instance_unreachable", "no_live_deploy", "benign_shutdown", "crash_loop"}),
    examples=({"log": ['at=error code=H14 desc="No web processes running" method=GET path="/" status=503']},),
    counter_examples=({"log": ['at=error code=H10 desc="App crashed" method=GET path="/" status=503']},),
)
