"""A deploy is starting or replacing its instances now."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.rule import Finding, Rule, by_edge, surest

__all__ = ["RULE", "explain"]

NEXT = "Wait until the deploy has ended, then look again."
_STAGES = (
    "BUILDING",
    "RUNNING_BUILDING",
    "RUNNING_APP_STARTING",
    "APP_STARTING",
    "DEPLOYING",
    "INITIALIZING",
    "STARTING",
    "QUEUED",
    "PENDING",
    "IN_PROGRESS",
)


def explain(facts: Facts) -> Finding | None:
    """The platform says so; the edge alone can only suspect it."""
    host, told = facts.host, None
    if host is not None:
        newest = host.newest
        if newest is not None and newest.is_running:
            told = Finding(sure=0.9, because=(host.cite_deploy(newest),), next=NEXT, remedy="wait")
        elif host.stage in _STAGES:
            told = Finding(sure=0.85, because=(host.cite("stage", host.stage),), next=NEXT, remedy="wait")
        elif (
            newest is None
            and host.events
            and host.events[0].type in ("deploy_started", "build_started", "pre_deploy_started", "image_pull_started")
        ):
            told = Finding(sure=0.8, because=(host.events[0].cite(),), next=NEXT, remedy="wait")
    return surest(told, by_edge(facts, "deploy_in_progress", NEXT, "wait"))


def ruled_out(facts: Facts) -> str | None:
    """The newest deploy has ended."""
    newest = facts.host.newest if facts.host else None
    return f"the newest deploy has ended ({newest.status})" if newest is not None and not newest.is_running else None


RULE = Rule(
    cause="deploy_in_progress",
    explain=explain,
    needs=frozenset({"http", "platform"}),
    beats=frozenset({"no_live_deploy", "instance_unreachable", "no_such_service", "benign_shutdown"}),
    examples=(
        {
            "platform_state": {
                "deploys": [{"id": "dep-2", "status": "update_in_progress"}, {"id": "dep-1", "status": "live"}]
            }
        },
        {
            "platform_state": {"deploys": [{"deploy": {"id": "dep-2", "status": "build_in_progress"}}]},
            "http": {"url": "https://a.onrender.com/", "status": 502, "headers": {"x-render-routing": "no-deploy"}},
        },
    ),
    counter_examples=(
        {"platform_state": {"deploys": [{"id": "dep-2", "status": "build_failed"}, {"id": "dep-1", "status": "live"}]}},
    ),
    ruled_out=ruled_out,
)
