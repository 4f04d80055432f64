"""A deploy was dropped because a newer one took over: no failure."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.log.signs import SignKind as K
from everwake.diagnose.rule import Finding, Rule, by_signs, surest

__all__ = ["RULE", "explain"]

NEXT = "Nothing to do: look at the newer deploy."


def explain(facts: Facts) -> Finding | None:
    """A canceled deploy with a newer one that is live or under way, or a line that says so."""
    host, told = facts.host, None
    if host is not None:
        for n, deploy in enumerate(host.deploys[:2]):  # one that was canceled long ago tells nothing of today
            newer = host.deploys[:n]
            if deploy.status == "canceled" and newer and (newer[0].status == "live" or newer[0].is_running):
                told = Finding(
                    sure=0.6 if newer[0].status == "live" else 0.5,
                    because=(host.cite_deploy(deploy), host.cite_deploy(newer[0])),
                    next=NEXT,
                )
                break
        newest = host.newest
        if told is None and newest is not None and newest.status == "canceled" and host.live is not None:
            told = Finding(
                sure=0.6,
                because=(host.cite_deploy(newest), host.cite_deploy(host.live)),
                next="Nothing to do: the older deploy serves; deploy again if that is not meant.",
            )
    return surest(told, by_signs(facts, (K.SUPERSEDED,), 0.75, NEXT, None))


RULE = Rule(
    cause="deploy_superseded",
    explain=explain,
    needs=frozenset({"platform", "log"}),
    beats=frozenset({"build_failed", "no_live_deploy", "benign_shutdown"}),
    examples=(
        {"platform_state": {"deploys": [{"id": "dep-3", "status": "live"}, {"id": "dep-2", "status": "canceled"}]}},
        {"log": ["==> Deploy cancelled: another deploy started"]},
    ),
    counter_examples=(
        {"platform_state": {"deploys": [{"id": "dep-3", "status": "build_failed"}, {"id": "dep-2", "status": "live"}]}},
    ),
)
