"""The service exists, and no instance of it is ready: never deployed, or every deploy failed."""

from everwake.diagnose.facts import Facts
from everwake.diagnose.rule import Finding, Rule, by_edge, surest

__all__ = ["RULE", "explain"]

NEXT = "Look whether any deploy ever went live; deploy the latest commit and follow its log."


def explain(facts: Facts) -> Finding | None:
    """The edge says so, or the platform's list of deploys has no live one."""
    host, told = facts.host, None
    if host is not None and host.deploys and host.live is None and not any(one.is_running for one in host.deploys):
        told = Finding(
            sure=0.58, because=tuple(host.cite_deploy(one) for one in host.deploys[:3]), next=NEXT, remedy="deploy"
        )
    elif host is not None and host.instances == 0 and host.live is None and host.suspenders == () and not host.deploys:
        told = Finding(sure=0.5, because=(host.cite("instances", "0 instances"),), next=NEXT, remedy="deploy")
    edge = by_edge(facts, "no_live_deploy", NEXT, "deploy")
    if edge is not None and host is not None and host.live is not None:
        edge = Finding(sure=edge.sure - 0.35, because=edge.because, next=NEXT, remedy="deploy")
    return surest(told, edge)


def ruled_out(facts: Facts) -> str | None:
    """A deploy is live."""
    return f"{facts.host.live.id} is live" if facts.host is not None and facts.host.live is not None else None


RULE = Rule(
    cause="no_live_deploy",
    explain=explain,
    needs=frozenset({"http", "platform", "log"}),
    beats=frozenset({"instance_unreachable"}),
    examples=(
        {"http": {"url": "https://a.onrender.com/", "status": 502, "headers": {"x-render-routing": "no-deploy"}}},
        {"http": {"url": "https://a.koyeb.app/", "status": 404, "body": "No active service"}},
    ),
    counter_examples=(
        {
            "http": {"url": "https://a.onrender.com/", "status": 502, "headers": {"x-render-routing": "no-deploy"}},
            "platform_state": {"deploys": [{"id": "dep-2", "status": "build_in_progress"}]},
        },
        {"platform_state": {"deploys": [{"id": "dep-2", "status": "live"}]}},
    ),
    ruled_out=ruled_out,
)
